"""What a link runs over, in a test's hand: a proxy between two unix sockets that can be cut or held up."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final, Self

CHUNK_BYTES: Final = 65_536


class Wire:
    """Passes connections to one unix socket on to another. An async context manager.

    A link over a wire that is cut is resumed if the wire is restored within the hub's grace period.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self._path = path
        self._target = target
        self._is_cut = False
        self._passing = asyncio.Event()
        self._passing.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Return what to dial."""
        return f"unix:{self._path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._accept, self._path)
        return self

    async def __aexit__(self, *args: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)  # transports that were aborted close in the next turn of the loop

    def cut(self) -> None:
        """Reset all connections, and those that are tried until `restore`."""
        self._is_cut = True
        for end in list(self._ends):
            end.transport.abort()

    def restore(self) -> None:
        """Let connections be made again."""
        self._is_cut = False

    def hold(self) -> None:
        """Let nothing pass until `release`; nothing is lost."""
        self._passing.clear()

    def release(self) -> None:
        """Let pass what was held."""
        self._passing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            with contextlib.suppress(OSError):  # the hub is away
                up_reader, up = await asyncio.open_unix_connection(self._target)
                ends.append(up)
                self._ends.update(ends)
                if not self._is_cut:
                    await self._carry_both((reader, up), (up_reader, writer))
        finally:
            self._ends.difference_update(ends)
            for end in ends:
                end.transport.abort()

    async def _carry_both(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Carry both directions until either is over."""
        parts = [asyncio.create_task(self._carry(*way)) for way in ways]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._passing.wait()
                if not writer.transport.is_closing():
                    writer.write(chunk)
                    await writer.drain()
