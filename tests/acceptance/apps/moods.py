"""A worker whose processes can be made to block, hang, leak and die. Each method answers with its process's id."""

import asyncio
import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc

import portcall

LIBC = ctypes.PyDLL(None)
"""Calls to it hold the GIL."""

LEAKED: list[bytes] = []


def me() -> bytes:
    return str(os.getpid()).encode()


async def who(_: bytes, __: Any) -> bytes:
    return me()


async def block(request: bytes, _: Any) -> AsyncIterator[bytes]:
    """Hold the GIL until somebody opens the named pipe of the request."""
    yield me()
    await asyncio.sleep(0.05)  # so that the reply goes out
    os.close(LIBC.open(request, os.O_RDONLY))
    yield b"released"


async def hold(request: bytes, _: Any) -> AsyncIterator[bytes]:
    """Wait, as handlers should, until somebody opens the named pipe of the request."""
    yield me()
    yield await asyncio.to_thread(Path(request.decode()).read_bytes)


async def bloat(request: bytes, _: Any) -> AsyncIterator[bytes]:
    """Take 500 MiB, keep them, and go on as `hold` does."""
    LEAKED.append(b"x" * (500 << 20))
    async for reply in hold(request, _):
        yield reply


def hang(_: bytes, __: Any) -> Iterator[bytes]:
    """Wait for ever in a thread, and be deaf to everything."""
    yield me()
    threading.Event().wait()


async def leave_orphan(_: bytes, __: Any) -> bytes:
    """Start a program that starts another and ends before it; return the other's id."""
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()'], stdout=-3).pid)"
    started = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, check=True)
    return started.stdout.strip()


def unary(behavior: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(behavior)


HANDLERS = {
    "Who": unary(who),
    "LeaveOrphan": unary(leave_orphan),
    "Block": grpc.unary_stream_rpc_method_handler(block),
    "Bloat": grpc.unary_stream_rpc_method_handler(bloat),
    "Hang": grpc.unary_stream_rpc_method_handler(hang),
    "Hold": grpc.unary_stream_rpc_method_handler(hold),
}

worker = portcall.Worker(slots=10)
worker.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("acceptance.Moods", HANDLERS),))
