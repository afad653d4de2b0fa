"""A worker of jobs that writes down what it does: a line for each attempt that begins, and for each that ends.

Requests are "PATH NAME MS": the file, what to write there, and how long to take.
"""

import asyncio
import os
from typing import Any

import grpc

import portcall


def write(path: str, *words: object) -> None:
    """Append a line in one piece, whichever process writes it."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (" ".join(map(str, words)) + "\n").encode())
    os.close(file)


async def work(request: bytes, _: Any) -> bytes:
    """Take a while; answer with the number of the attempt."""
    path, name, hold_ms = request.decode().split(" ")
    job = portcall.current_job()
    attempt = 0 if job is None else job.attempt
    write(path, name, "begun", attempt)
    await asyncio.sleep(int(hold_ms) / 1e3)
    write(path, name, "ended", attempt)
    return str(attempt).encode()


worker = portcall.Worker(slots=50)
worker.add_generic_rpc_handlers(
    (grpc.method_handlers_generic_handler("acceptance.Jobs", {"Work": grpc.unary_unary_rpc_method_handler(work)}),)
)
