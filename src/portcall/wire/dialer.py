"""Keeps a link to a hub, from the side that dials: workers and clients alike.

A dialer never gives up by itself. Each attempt has a channel of its own, since no channel is trusted to heal; attempts
back off with jitter up to a low ceiling, so that a hub that restarts finds its fleet back within seconds and not all
at once ("full jitter": Brooker, "Exponential Backoff And Jitter", 2015).
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import grpc
from google.protobuf.message import DecodeError

from portcall._version import __version__
from portcall.errors import ConfigurationError, ProtocolError
from portcall.protos.link_rules import PROTOCOL_VERSION
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames, Goodbye, Hello, Welcome, WorkerHello
from portcall.wire.access import Access
from portcall.wire.diagnosis import REFUSALS, explain
from portcall.wire.limits import STREAM_BYTES_MAX, Liveness
from portcall.wire.link import Link, LinkState, goodbye_batch
from portcall.wire.native import dial, link_metadata
from portcall.wire.pump import (
    STREAM_ERRORS,
    PeerLeftError,
    Pump,
    ReasonLostError,
    StreamLostError,
    describe,
    is_reason_lost,
)

logger = logging.getLogger("portcall.link")

AGENT = f"portcall-python/{__version__}"

ATTACH = "/portcall.v1.Hub/Attach"
SESSION = "/portcall.v1.Hub/Session"

REASONS_LOST_MAX = 2
"""How often an attempt is made again at once because its failure has no reason; see `ReasonLostError`."""

STREAM_OPTIONS = (
    ("grpc.max_receive_message_length", STREAM_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    # Without this, attempts share one subchannel and its back-off, which grows to two minutes.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)


class Connectivity(Enum):
    """How a dialer stands with its hub, in gRPC's words."""

    CONNECTING = "connecting"
    READY = "ready"
    FAILING = "failing"
    CLOSED = "closed"


class _RefusedError(StreamLostError):
    """The hub does not take our credentials."""

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code = code


class LinkOwner(Protocol):
    """Whose calls travel on a dialer's link. No method may wait."""

    def on_session(self, link: Link, welcome: Welcome) -> None:
        """A new session begins on this link; frames may be sent."""

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Frames arrived; those of pings and goodbyes are not among them."""

    def on_session_lost(self, reason: str, unsent: dict[int, list[Frame]]) -> None:
        """The session is over, and with it all calls but those in `unsent`, of which nothing has left."""

    def on_connectivity(self, connectivity: Connectivity, reason: str) -> None:
        """The dialer stands differently with its hub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long a dialer waits between attempts, in seconds."""

    first_s: float = 0.1
    factor: float = 2.0
    ceiling_s: float = 2.0

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Return the wait before an attempt; the first attempt is number 0."""
        span = min(self.ceiling_s, self.first_s * self.factor ** min(attempt, 32))
        return rng.uniform(span / 2, span)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialerConfig:
    """Where and how to dial."""

    access: Access
    path: str
    worker: Callable[[], WorkerHello] | None = None
    """What a worker says of itself; asked before each hello."""
    backoff: Backoff = field(default_factory=Backoff)
    handshake_s: float = 10.0
    goodbye_s: float = 5.0


class Dialer:
    """Dials, shakes hands, pumps, resumes and backs off until closed."""

    def __init__(self, config: DialerConfig, owner: LinkOwner, rng: random.Random | None = None) -> None:
        self._config = config
        self._owner = owner
        self._rng = rng or random.Random()
        self.link = Link()
        """The link of the current session, or the one that waits for a session; frames may be queued on it."""
        self._session = b""
        self._grace_s = 0.0
        self._grace_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._attempt = 0
        self._is_closing = False
        self.refusal: grpc.StatusCode | None = None
        """UNAUTHENTICATED or PERMISSION_DENIED, if the hub did not take our credentials when it was dialled last."""

    def start(self) -> None:
        """Begin to dial, in a task of the dialer's own. Idempotent."""
        if self._task is None and not self._is_closing:
            name = f"dialer {self._config.access.target}"
            self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def pause(self) -> None:
        """Let go of the stream, but keep the session: `start` resumes it within its grace period."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
            self._suspend("paused")

    async def close(self) -> None:
        """Send what is queued, say goodbye and stop. Idempotent, and safe before `start`."""
        self._is_closing = True
        if self._grace_timer is not None:
            self._grace_timer.cancel()
        if self._task is not None and not self._task.done():
            if self.link.state is LinkState.OPEN:
                self.link.say_goodbye(Goodbye.REASON_DONE, "")
                await asyncio.wait([self._task], timeout=self._config.goodbye_s)
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.link.state is not LinkState.CLOSED:
            self.link.close()
            self._owner.on_connectivity(Connectivity.CLOSED, "closed")

    async def _run(self) -> None:
        while not self._is_closing:
            self._owner.on_connectivity(Connectivity.CONNECTING, "dialling")
            try:
                await self._attach()
            except StreamLostError as error:
                self.refusal = error.code if isinstance(error, _RefusedError) else None
                self._note_drop(str(error))
            except PeerLeftError as error:
                self.refusal = None
                self._note_drop(str(error))
                self._lose_session(str(error))
            except Exception as error:
                # A defect of ours must not take a worker out of the fleet for good.
                logger.exception("The link to %s failed in a way that it should not", self._config.access.target)
                self._note_drop(str(error))
                self._lose_session(str(error))
            if self._is_closing:
                return
            await asyncio.sleep(self._config.backoff.delay_s(self._attempt, self._rng))
            self._attempt += 1

    async def _attach(self) -> None:
        """Make one attempt, and at once another if it fails and nobody can say why; see `_attach_once`."""
        for _ in range(REASONS_LOST_MAX):
            try:
                return await self._attach_once()
            except ReasonLostError:
                pass
        return await self._attach_once()

    async def _attach_once(self) -> None:
        """Make one attempt, and stay for as long as it holds.

        Raises:
            StreamLostError: the attempt failed, or held and then broke.
            PeerLeftError: the hub ended the session or refused the hello.
        """
        access = self._config.access
        try:
            channel, metadata = dial(access, STREAM_OPTIONS), link_metadata(access)
        except ConfigurationError as error:
            # A file that is being replaced, or was replaced by a wrong one: it may be right the next time.
            raise StreamLostError(str(error)) from None
        async with channel:
            method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(self._config.path)
            stream = method(metadata=metadata)
            try:
                async with asyncio.timeout(self._config.handshake_s):
                    welcome = await self._shake_hands(stream)
            except TimeoutError:
                raise StreamLostError(f"no answer to the hello within {self._config.handshake_s:g} s") from None
            except STREAM_ERRORS as error:
                raise self._explained(error) from None
            if welcome.resumed and not self._session:
                await _say(stream, goodbye_batch(Goodbye.REASON_DONE, "the session is over on this side"))
                raise StreamLostError("the grace period ran out while the session was being resumed")
            try:
                self._take_welcome(welcome)
                await Pump(self.link, stream, self._owner.on_frames, _liveness(welcome)).run()
            except ProtocolError as error:
                await _say(stream, goodbye_batch(Goodbye.REASON_PROTOCOL_ERROR, str(error)))
                self._lose_session(f"the hub broke the protocol: {error}")
                raise StreamLostError(f"the hub broke the protocol: {error}") from error

    async def _shake_hands(self, stream: "grpc.aio.StreamStreamCall[bytes, bytes]") -> Welcome:
        hello = Hello(
            protocol=PROTOCOL_VERSION,
            session=self._session,
            received=self.link.received,
            worker=None if self._config.worker is None else self._config.worker(),
            agent=AGENT,
        )
        with contextlib.suppress(*STREAM_ERRORS):
            # A refusal may be here before the hello has left; reading says what it is.
            await stream.write(Frames(frames=[Frame(hello=hello)]).SerializeToString())
        answer = await stream.read()
        if not isinstance(answer, bytes):
            raise StreamLostError("the hub ended the stream before it said welcome")
        try:
            frames = Frames.FromString(answer).frames
        except DecodeError:
            raise StreamLostError("what answers there is not a Portcall hub: its welcome cannot be read") from None
        if frames and frames[0].HasField("goodbye"):
            raise PeerLeftError(frames[0].goodbye)
        if not frames or not frames[0].HasField("welcome"):
            raise StreamLostError("what answers there is not a Portcall hub: it said something else than welcome")
        return frames[0].welcome

    def _explained(self, error: BaseException) -> StreamLostError:
        """Say why the hub could not be had."""
        if not isinstance(error, grpc.aio.AioRpcError):
            return StreamLostError(describe(error))
        words = explain(self._config.access, error.code(), error.details() or "")
        if error.code() in REFUSALS:
            return _RefusedError(error.code(), words)
        return ReasonLostError(words) if is_reason_lost(error) else StreamLostError(words)

    def _take_welcome(self, welcome: Welcome) -> None:
        if self._grace_timer is not None:
            self._grace_timer.cancel()
        if welcome.resumed:
            self.link.resume(welcome.received)
        else:
            self._lose_session("the hub does not know the session any more; it has probably restarted")
            self._session = welcome.session
            self.link.establish()
            self._owner.on_session(self.link, welcome)
        self.refusal = None
        self._grace_s = welcome.grace_ms / 1e3
        self._attempt = 0
        self._owner.on_connectivity(Connectivity.READY, "resumed" if welcome.resumed else "attached")

    def _suspend(self, reason: str) -> None:
        if self.link.state is LinkState.OPEN:
            self.link.suspend()
            loop = asyncio.get_running_loop()
            self._grace_timer = loop.call_later(self._grace_s, self._lose_session, f"link lost: {reason}")

    def _note_drop(self, reason: str) -> None:
        self._suspend(reason)
        if not self._is_closing:
            self._owner.on_connectivity(Connectivity.FAILING, reason)

    def _lose_session(self, reason: str) -> None:
        if not self._session:
            return
        self._session = b""
        unsent = self.link.take_unsent_calls()
        self.link.close()
        self.link = Link()
        self._owner.on_session_lost(reason, unsent)


async def _say(stream: "grpc.aio.StreamStreamCall[bytes, bytes]", batch: bytes) -> None:
    """Send a batch by hand. A hub that is gone does not need it."""
    with contextlib.suppress(*STREAM_ERRORS):
        await stream.write(batch)


def _liveness(welcome: Welcome) -> Liveness:
    """Follow the hub, or else the default where a hub does not say how often it pings."""
    interval_ms = welcome.ping_interval_ms
    return Liveness(ping_interval_s=interval_ms / 1e3) if interval_ms else Liveness()
