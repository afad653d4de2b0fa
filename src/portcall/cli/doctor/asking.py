"""Asks a hub, over gRPC as workers and clients do it, whether it would take a link; and how that link holds."""

import asyncio
import contextlib
import time
import types
from dataclasses import dataclass
from typing import Any, Self

import grpc
from google.protobuf.message import DecodeError

from portcall.hub.tokens import Role
from portcall.protos.link_rules import PROTOCOL_VERSION
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames, Hello, Ping, Welcome
from portcall.wire.access import Access
from portcall.wire.dialer import AGENT, ATTACH, SESSION, STREAM_OPTIONS
from portcall.wire.native import dial, link_metadata
from portcall.wire.pump import STREAM_ERRORS, describe

PATHS = {Role.WORKER: ATTACH, Role.CLIENT: SESSION}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAnswer:
    """What a hub answers to the question whether it would take a link; one of these."""

    welcome: Welcome | None = None
    goodbye: str | None = None
    code: grpc.StatusCode | None = None
    details: str = ""
    """With `code`; or, without any other, what else there was."""


class LinkProbe:
    """A link that only asks: nothing is attached by it. An async context manager."""

    def __init__(self, access: Access, role: Role, timeout_s: float) -> None:
        self._access = access
        self._role = role
        self._timeout_s = timeout_s
        self._reading: asyncio.Task[Any] | None = None
        self._pings = 0

    async def __aenter__(self) -> Self:
        self._channel = dial(self._access, STREAM_OPTIONS)
        method: Any = self._channel.stream_stream(PATHS[self._role])
        self._stream: Any = method(metadata=link_metadata(self._access))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._stream.cancel()
        if self._reading is not None:
            await asyncio.wait([self._reading])
            if not self._reading.cancelled():
                self._reading.exception()
        await self._channel.close()

    async def ask(self) -> LinkAnswer:
        """Say hello; return what the hub says."""
        hello = Hello(protocol=PROTOCOL_VERSION, agent=AGENT, is_probe=True)
        try:
            with contextlib.suppress(*STREAM_ERRORS):
                # A refusal may be here before the hello has left; reading says what it is.
                await self._write(Frame(hello=hello))
            batch = await self._read(self._timeout_s)
        except TimeoutError:
            return LinkAnswer(details=f"no answer to the hello within {self._timeout_s:g} s")
        except grpc.aio.AioRpcError as error:
            return LinkAnswer(code=error.code(), details=error.details() or "")
        if not isinstance(batch, bytes):
            return LinkAnswer(details="it ended the stream without a word")
        return _parse(batch)

    async def ping(self) -> float:
        """Return the seconds from a ping to its pong.

        Raises:
            TimeoutError: none came in time.
            ConnectionError: the stream has ended. `str()` says how.
        """
        self._pings += 1
        began = time.perf_counter()
        try:
            await self._write(Frame(ping=Ping(value=self._pings)), seq=self._pings)
            while True:
                batch = await self._read(self._timeout_s)
                if not isinstance(batch, bytes):
                    raise ConnectionError("the other side ended the stream")
                if any(frame.pong.value == self._pings for frame in Frames.FromString(batch).frames):
                    return time.perf_counter() - began
        except STREAM_ERRORS as error:
            raise ConnectionError(describe(error)) from None

    async def stay_idle(self, seconds: float) -> float:
        """Send nothing for so long, unless the stream ends before; return how long that was."""
        began = time.monotonic()
        self._reading = self._reading or asyncio.ensure_future(self._stream.read())
        await asyncio.wait([self._reading], timeout=seconds)
        return min(time.monotonic() - began, seconds) if self._reading.done() else seconds

    async def _write(self, frame: Frame, seq: int = 0) -> None:
        await self._stream.write(Frames(frames=[frame], seq=seq).SerializeToString())

    async def _read(self, timeout_s: float) -> Any:
        """Read a batch. A read that is cancelled would end the stream, so one that takes too long is kept."""
        reading = self._reading = self._reading or asyncio.ensure_future(self._stream.read())
        await asyncio.wait([reading], timeout=timeout_s)
        if not reading.done():
            raise TimeoutError
        self._reading = None
        return reading.result()


def _parse(batch: bytes) -> LinkAnswer:
    """Return what the first batch of a hub says."""
    try:
        frames = list(Frames.FromString(batch).frames)
    except DecodeError:
        frames = []
    if frames and frames[0].HasField("goodbye"):
        return LinkAnswer(goodbye=frames[0].goodbye.details)
    if frames and frames[0].HasField("welcome"):
        return LinkAnswer(welcome=frames[0].welcome)
    return LinkAnswer(details="its answer is not a Portcall hub's")
