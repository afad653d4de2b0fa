"""Calls of the app `cargo`, by plain grpcio."""

import asyncio
import os
from pathlib import Path
from typing import Any

import grpc


async def echo(channel: grpc.aio.Channel, request: bytes) -> bytes:
    """Have it answered."""
    reply: bytes = await channel.unary_unary("/acceptance.Cargo/Echo")(request)
    return reply


async def running(channel: grpc.aio.Channel, method: str, request: bytes = b"") -> Any:
    """Make a call that goes on, and return it once it runs."""
    call = channel.unary_stream(f"/acceptance.Cargo/{method}")(request)
    assert await call.read() == b"running"
    return call


class Gate:
    """A named pipe for which calls of `Hold` wait."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "gate"
        os.mkfifo(self._path)

    @property
    def request(self) -> bytes:
        """What to send to `Hold`."""
        return os.fsencode(self._path)

    async def open(self) -> None:
        """Let the call go on that waits."""
        await asyncio.to_thread(self._path.write_bytes, b"released")
