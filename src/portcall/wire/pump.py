"""The shell of a link: moves batches between a `Link` and one gRPC stream, and watches that the other side lives."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol

import grpc

from portcall.protos.portcall.v1.link_pb2 import Frame, Goodbye, Ping, Pong
from portcall.wire.limits import BUSY_TURN_S, GATHER_S, Liveness
from portcall.wire.link import Link

STREAM_ERRORS = (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError)
"""All that grpc.aio raises at a stream that has ended."""

REASON_LOST = (grpc.StatusCode.INTERNAL, "Internal error from Core")
"""See `ReasonLostError`."""

LAST_WRITE_S = 2.0
"""How long a peer that is about to be sent away may take to let the batch pass that is under way."""


class Stream(Protocol):
    """The two verbs that a gRPC server's context and a client's stream call share."""

    def read(self) -> Awaitable[object]:
        """Return the next message as bytes, or `grpc.aio.EOF`."""

    def write(self, message: bytes) -> Awaitable[None]:
        """Send one message; return when the next may be sent."""


class StreamLostError(Exception):
    """The stream beneath a link has ended; the link may resume on another. `str()` says why."""


class ReasonLostError(StreamLostError):
    """A stream has ended before it began, and nobody can say why.

    grpcio loses the status of a stream that the other side ends at the moment in which this one writes to it: one in a
    thousand refusals. What it says instead is `REASON_LOST`. It helps to try again.
    """


class PeerLeftError(Exception):
    """The other side has said goodbye: the session is over. `reason` is a `Goodbye.Reason`, `str()` the details."""

    def __init__(self, goodbye: Goodbye) -> None:
        super().__init__(goodbye.details or "the other side has closed the link")
        self.reason = goodbye.reason


class PeerNotReadingError(Exception):
    """The other side goes on sending, and does not read what that has this side answer."""


class Pump:
    """Runs one link over one stream until either ends.

    The reader only routes: `on_frames` must not wait. The writer is the only one that writes to the stream; what is
    given as `first` goes before what the link has.
    """

    __slots__ = ("_bytes_held_max", "_first", "_is_heard", "_is_over", "_link", "_liveness", "_on_frames", "_stream")

    def __init__(
        self,
        link: Link,
        stream: Stream,
        on_frames: Callable[[Sequence[Frame]], None],
        liveness: Liveness,
        bytes_held_max: int | None = None,
        first: bytes | None = None,
    ) -> None:
        self._bytes_held_max = bytes_held_max
        self._first = first
        self._link = link
        self._stream = stream
        self._on_frames = on_frames
        self._liveness = liveness
        self._is_heard = False
        self._is_over = False

    async def run(self) -> NoReturn:
        """Move batches until the stream or the session ends.

        Raises:
            StreamLostError: the stream broke, or the other side was silent for too long.
            PeerLeftError: the other side said goodbye.
            PeerNotReadingError: more than `bytes_held_max` waits for the other side.
            ProtocolError: the other side broke the link's rules.
        """
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(part) for part in (self._read(), self._write(), self._watch())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            failure = next((task.exception() for task in done if not task.cancelled()), None)
            if not isinstance(failure, (StreamLostError, PeerLeftError)):
                await self._finish_writing(tasks[1])
        finally:
            self._link.on_ready = None
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        try:
            raise failure or StreamLostError("the stream was cancelled")
        finally:
            # What is raised holds this frame, and these hold what is raised: a ring, which would keep the socket.
            del failure, done, tasks

    async def _finish_writing(self, writing: asyncio.Task[None]) -> None:
        """Let the batch pass that is under way, so that a goodbye can follow it; a write that is cut off blocks it."""
        self._is_over = True
        if self._link.on_ready is not None:
            self._link.on_ready()
        await asyncio.wait([writing], timeout=LAST_WRITE_S)

    async def _read(self) -> NoReturn:
        """Route what arrives."""
        stream, link, on_frames = self._stream, self._link, self._on_frames
        while True:
            try:
                batch = await stream.read()
            except STREAM_ERRORS as error:
                raise StreamLostError(describe(error)) from None
            if not isinstance(batch, bytes):
                raise StreamLostError("the other side ended the stream")
            self._is_heard = True
            frames = link.receive(batch)
            # Events of the link stand first in their batch, so one look tells whether there are any.
            if frames and not frames[0].call_id:
                frames = self._take_events(frames)
            if frames:
                on_frames(frames)
                if self._bytes_held_max is not None and link.bytes_held > self._bytes_held_max:
                    raise PeerNotReadingError(f"{link.bytes_held} bytes wait to be read, and more are asked for")

    def _take_events(self, frames: Sequence[Frame]) -> Sequence[Frame]:
        """Answer pings, end at a goodbye; return what is the owner's."""
        rest = []
        for frame in frames:
            if frame.HasField("ping"):
                self._link.send_event(Frame(pong=Pong(value=frame.ping.value)))
            elif frame.HasField("goodbye"):
                raise PeerLeftError(frame.goodbye)
            elif not frame.HasField("pong"):
                rest.append(frame)
        return rest

    async def _write(self) -> None:
        """Send whatever has gathered since the last write, as long as there is any."""
        loop = asyncio.get_running_loop()
        stream, link = self._stream, self._link
        try:
            if self._first is not None:
                await stream.write(self._first)
            while not self._is_over:
                if link.may_gather and await _is_loop_busy(loop):
                    await asyncio.sleep(GATHER_S)
                batch = link.next_batch()
                if batch is None:
                    ready = loop.create_future()
                    link.on_ready = _resolve(ready)
                    await ready
                    continue
                await stream.write(batch)
        except STREAM_ERRORS as error:
            raise StreamLostError(describe(error)) from None

    async def _watch(self) -> NoReturn:
        """Ping a silent peer; give up one that stays silent. Frames of any kind are proof of life.

        Silence is counted in pings, not read off the clock: after this process itself was held up, what the other side
        sent meanwhile is still to be read.
        """
        interval_s, missed_max = self._liveness.ping_interval_s, self._liveness.pings_missed_max
        count = missed = 0
        while True:
            self._is_heard = False
            await asyncio.sleep(interval_s)
            if self._is_heard:
                missed = 0
                continue
            if missed == missed_max:
                raise StreamLostError(f"{missed} pings in a row, {interval_s:g} s apart, were not answered")
            missed += 1
            count += 1
            self._link.send_event(Frame(ping=Ping(value=count)))


async def _is_loop_busy(loop: asyncio.AbstractEventLoop) -> bool:
    """Let the event loop turn once; return whether that took so long that others must have had work to do."""
    before = loop.time()
    await asyncio.sleep(0)
    return loop.time() - before > BUSY_TURN_S


def _resolve(future: asyncio.Future[None]) -> Callable[[], None]:
    def resolve() -> None:
        if not future.done():
            future.set_result(None)

    return resolve


def is_reason_lost(error: grpc.aio.AioRpcError) -> bool:
    """Whether grpcio has lost the status that it should tell."""
    return (error.code(), error.details()) == REASON_LOST


def describe(error: BaseException) -> str:
    """Return in one line what a gRPC stream died of."""
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error) or type(error).__name__
