"""A TCP proxy that does to a link what networks do: cut it, hold it up, or swallow what it carries."""

import asyncio
import contextlib
from typing import Self


class Proxy:
    """Listens on a port of its own and passes connections on to `target` (HOST:PORT), which may change."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._is_cut = False
        self._passing = asyncio.Event()
        self._passing.set()
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *args: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def ports_towards_target(self) -> list[int]:
        """The ports that the target sees these connections come from."""
        return [wire.up.get_extra_info("sockname")[1] for wire in self._wires]

    def cut(self) -> None:
        """Reset all connections, and those that are tried until `restore`."""
        self._is_cut = True
        for wire in self._wires:
            wire.reset()

    def restore(self) -> None:
        """Let connections be made again."""
        self._is_cut = False

    def drop_dialling_side(self) -> None:
        """Reset the connections towards those who dialled; their target sees nothing of it."""
        for wire in self._wires:
            wire.keeps_target = True
            wire.down.transport.abort()

    def deafen(self) -> None:
        """Swallow what today's connections carry from now on; new connections are sound."""
        for wire in self._wires:
            wire.is_deaf = True

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
        task.add_done_callback(lambda done: (self._tasks.discard(done), writer.transport.abort()))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        with contextlib.suppress(OSError):  # nobody listens there
            up_reader, up = await asyncio.open_connection(host, int(port))
            wire = _Wire(writer, up, self._passing)
            self._wires.add(wire)
            try:
                if not self._is_cut:
                    await wire.carry(reader, up_reader)
            finally:
                self._wires.discard(wire)
                wire.reset()


class _Wire:
    """One connection through the proxy."""

    def __init__(self, down: asyncio.StreamWriter, up: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        self.down = down
        self.up = up
        self.is_deaf = False
        self.keeps_target = False
        self._passing = passing

    def reset(self) -> None:
        self.down.transport.abort()
        self.up.transport.abort()

    async def carry(self, down_reader: asyncio.StreamReader, up_reader: asyncio.StreamReader) -> None:
        """Carry both directions until either is over."""
        parts = [
            asyncio.create_task(self._carry(down_reader, self.up)),
            asyncio.create_task(self._carry(up_reader, self.down)),
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            if self.keeps_target:
                await asyncio.wait(parts)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._passing.wait()
                if not (self.is_deaf or writer.transport.is_closing()):
                    writer.write(data)
                    await writer.drain()
