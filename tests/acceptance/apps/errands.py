"""A worker whose methods are jobs: they tell their process's id as progress, and wait for what a test does."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

import portcall


def job() -> portcall.CurrentJob:
    """Return the job that runs here; there must be one."""
    current = portcall.current_job()
    assert current is not None
    return current


async def opened(pipe: bytes) -> bytes:
    """Wait until somebody writes to a named pipe."""
    return await asyncio.to_thread(Path(pipe.decode()).read_bytes)


async def wait(request: bytes, _: Any) -> bytes:
    """Answer with what comes through the named pipe of the request."""
    job().progress(1, 2, str(os.getpid()))
    return await opened(request)


async def save(request: bytes, _: Any) -> AsyncIterator[bytes]:
    """Reply, keep a checkpoint, wait for the named pipe of the request, and reply again."""
    job().progress(1, 2, str(os.getpid()))
    yield b"one"
    await job().checkpoint(b"after one")
    yield await opened(request)
    yield b"x" * 200_000


def hang(_: bytes, __: Any) -> bytes:
    """Wait for ever in a thread, and be deaf to everything."""
    job().log(20, str(os.getpid()))
    threading.Event().wait()
    return b""


HANDLERS = {
    "Wait": grpc.unary_unary_rpc_method_handler(wait),
    "Save": grpc.unary_stream_rpc_method_handler(save),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
}

worker = portcall.Worker(slots=2)
worker.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("acceptance.Errands", HANDLERS),))
