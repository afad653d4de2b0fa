"""A worker that writes down what it does: a line of a file for each call that begins, and for each that ends.

Requests are "PATH ID": the file, and what to write there.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc

import portcall

WORK_S = 0.005


def write(request: bytes, what: str) -> None:
    """Append a line in one piece, whichever process writes it."""
    path, _, name = request.decode().partition(" ")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{name} {what} {os.getpid()}\n".encode())
    os.close(file)


async def work(request: bytes, _: Any) -> bytes:
    """Take a moment; answer with the number of this process."""
    write(request, "begun")
    await asyncio.sleep(WORK_S)
    write(request, "ended")
    return str(os.getpid()).encode()


async def count(request: bytes, _: Any) -> AsyncIterator[bytes]:
    """Count until somebody stops it."""
    write(request, "begun")
    number = 0
    try:
        while True:
            yield str(number).encode()
            number += 1
            await asyncio.sleep(WORK_S)
    finally:
        write(request, "stopped")


HANDLERS = {
    "Work": grpc.unary_unary_rpc_method_handler(work),
    "Count": grpc.unary_stream_rpc_method_handler(count),
}

worker = portcall.Worker(slots=20)
worker.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("acceptance.Ledger", HANDLERS),))
