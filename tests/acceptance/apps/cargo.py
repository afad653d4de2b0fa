"""A worker with what the tests need: a method that answers, and methods that run until they are let go, or for ever."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc

import portcall

RUNNING = b"running"


async def echo(request: bytes, _: Any) -> bytes:
    return request


async def hold(request: bytes, _: Any) -> AsyncIterator[bytes]:
    """Say that the call runs, and end it once somebody has written to the named pipe that the request names."""
    yield RUNNING
    yield await asyncio.to_thread(Path(request.decode()).read_bytes)


async def never(_: bytes, __: Any) -> AsyncIterator[bytes]:
    """Wait in a thread, and be deaf to everything."""
    yield RUNNING
    await asyncio.to_thread(threading.Event().wait)


def never_blocking(_: bytes, __: Any) -> Iterator[bytes]:
    """Wait as `never` does, in a blocking handler."""
    yield RUNNING
    threading.Event().wait()


HANDLERS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Hold": grpc.unary_stream_rpc_method_handler(hold),
    "Never": grpc.unary_stream_rpc_method_handler(never),
    "NeverBlocking": grpc.unary_stream_rpc_method_handler(never_blocking),
}

worker = portcall.Worker()
worker.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("acceptance.Cargo", HANDLERS),))
