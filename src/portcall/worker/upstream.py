"""The upstream: the gRPC server that a sidecar stands beside.

One `Upstream` is one connection, with a channel of its own, for as long as it holds: no channel is trusted to heal, and
a server that was away may be another program when it is back. What it knows of the server's health comes from
`grpc.health.v1`, where the server has it, and from the connection itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from enum import Enum

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from portcall.errors import ConfigurationError
from portcall.wire.limits import Liveness
from portcall.worker.upstream_access import UpstreamAccess

logger = logging.getLogger("portcall.sidecar")

CONNECT_S = 10.0
"""How long a server may take to be connected to and to say how it is."""

HEALTH_WATCH = "/grpc.health.v1.Health/Watch"

PROBE = "/portcall.v1.Sidecar/Probe"
"""A method that no server has. Where all is well, gRPC itself answers that; a health check may wait for a thread."""

AWAY_CODES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""What a call ends with when there is nobody who answers. Any other status is an answer."""

CONNECTION_WORDS = ("failed to connect", "Stream removed", "Socket closed", "errors resolving", "GOAWAY", "keepalive")
"""How gRPC's core begins when it ends a call because of the connection."""

_Health = HealthCheckResponse.ServingStatus


class Condition(Enum):
    """How an upstream is, as far as a fleet cares."""

    SERVING = "serving"
    NOT_SERVING = "not serving"
    SILENT = "silent"
    """Its connection holds, and it answers nothing: it is frozen, or blocked."""

    GONE = "gone"


class UpstreamAwayError(Exception):
    """Nobody answers at the upstream's address, or not in time. `str()` says why."""


def condition_of(*, is_connected: bool, is_silent: bool, health: int | None) -> Condition:
    """Return the condition that a connection, its silence and the last word of a health service make.

    A server that has no health service, or one that knows nothing of the server as a whole, serves while it is there.
    """
    if not is_connected:
        return Condition.GONE
    if is_silent:
        return Condition.SILENT
    is_healthy = health in (None, _Health.SERVING, _Health.SERVICE_UNKNOWN)
    return Condition.SERVING if is_healthy else Condition.NOT_SERVING


class Upstream:
    """One connection to the upstream, from `connect` until it is gone or silent; it does not come back.

    `channel` may be used until `close`, also while the connection is going and its last calls run out.
    """

    def __init__(self, access: UpstreamAccess, liveness: Liveness) -> None:
        """Open a channel, that does not dial yet.

        Raises:
            UpstreamAwayError: a file of certificates cannot be used now.
        """
        self._access = access
        self.target = access.target
        try:
            self.channel = access.open_channel()
        except ConfigurationError as error:
            # A file that is being replaced, or was replaced by a wrong one: it may be right the next time.
            raise UpstreamAwayError(str(error)) from None
        self._liveness = liveness
        self._is_connected = False
        self._is_silent = False
        self._replies = 0
        self._health: int | None = None
        self._changed = asyncio.Event()
        self._following: list[asyncio.Task[None]] = []

    @property
    def condition(self) -> Condition:
        """Return how the upstream is now."""
        return condition_of(is_connected=self._is_connected, is_silent=self._is_silent, health=self._health)

    @property
    def tells_health(self) -> bool:
        """Whether the server says by itself how it is."""
        return self._health not in (None, _Health.SERVICE_UNKNOWN)

    async def connect(self) -> None:
        """Connect and hear how the server is. Once only.

        Raises:
            UpstreamAwayError: nobody answers.
        """
        watch: grpc.aio.UnaryStreamCall[bytes, bytes] = self.channel.unary_stream(HEALTH_WATCH)(
            HealthCheckRequest().SerializeToString()
        )
        try:
            async with asyncio.timeout(CONNECT_S):
                is_watching = await self._hear(watch)
                await self.channel.channel_ready()
        except TimeoutError:
            raise UpstreamAwayError(f"it did not answer within {CONNECT_S:g} s") from None
        self._is_connected = True
        loop = asyncio.get_running_loop()
        self._following.append(loop.create_task(self._follow_connection(), name="portcall-upstream-connection"))
        self._following.append(loop.create_task(self._follow_silence(), name="portcall-upstream-silence"))
        if is_watching:
            self._following.append(loop.create_task(self._follow_health(watch), name="portcall-upstream-health"))

    async def wait_while(self, condition: Condition) -> Condition:
        """Wait until the condition is another than this; return it."""
        while self.condition is condition:
            await self._changed.wait()
        return self.condition

    def note_reply(self) -> None:
        """Note that the server has answered something, so that it need not be asked."""
        self._replies += 1

    async def close(self) -> None:
        """Close the channel, with the calls that it still has. Idempotent."""
        for task in self._following:
            task.cancel()
        await self.channel.close()
        if self._following:
            await asyncio.wait(self._following)
        self._note(is_connected=False)

    def explain(self, code: grpc.StatusCode, details: str, trailers: Sequence[object]) -> str:
        """Return the details of a call's end; where it ended for want of the upstream, they say which.

        What the server says for itself is left as it is. gRPC does not tell the one from the other, but what it makes
        up of a lost connection has no trailers and begins with few words, and the connection is gone.
        """
        if code is not grpc.StatusCode.UNAVAILABLE or trailers:
            return details
        is_up = self.channel.get_state() is grpc.ChannelConnectivity.READY
        if is_up and not details.startswith(CONNECTION_WORDS):
            return details
        return f"The upstream {self.target} is not available: {details}"

    async def _hear(self, watch: "grpc.aio.UnaryStreamCall[bytes, bytes]") -> bool:
        """Take the first word of the health service; return whether there is one.

        Raises:
            UpstreamAwayError: nobody answers.
        """
        try:
            answer = await watch.read()
        except grpc.aio.AioRpcError as error:
            if error.code() in AWAY_CODES:
                raise UpstreamAwayError(self._access.explain(error.details() or error.code().name)) from None
            logger.debug("%s has no health to follow: %s %s", self.target, error.code().name, error.details())
            return False
        return self._take_health(answer)

    async def _follow_health(self, watch: "grpc.aio.UnaryStreamCall[bytes, bytes]") -> None:
        """Note what the health service says; a watch that ends is a connection that does."""
        try:
            while self._take_health(await watch.read()):
                self._tell()
        except grpc.aio.AioRpcError as error:
            logger.debug("%s ended the watch of its health: %s %s", self.target, error.code().name, error.details())
        except grpc.aio.UsageError:
            pass  # the channel was closed
        self._note(is_connected=False)

    async def _follow_connection(self) -> None:
        """Note the end of the connection. What comes after it, gRPC would dial by itself, is not looked at."""
        with contextlib.suppress(grpc.aio.UsageError):  # the channel was closed
            await self.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        self._note(is_connected=False)

    async def _follow_silence(self) -> None:
        """Ask a server that says nothing, and note when it does not answer either. It is not listened to after that."""
        while True:
            before = self._replies
            await asyncio.sleep(self._liveness.ping_interval_s)
            if self._replies == before and not await self._answers() and self._replies == before:
                self._is_silent = True
                self._tell()
                return

    async def _answers(self) -> bool:
        """Whether anything answers a call, be it that there is no such method.

        The wait is counted in intervals, not read off the clock: after this process itself was held up, an answer that
        came meanwhile is still to be read.
        """
        asking = asyncio.get_running_loop().create_task(self._ask(), name="portcall-upstream-probe")
        try:
            for _ in range(self._liveness.pings_missed_max):
                answered, _ = await asyncio.wait([asking], timeout=self._liveness.ping_interval_s)
                if answered:
                    return True
            return False
        finally:
            asking.cancel()
            await asyncio.wait([asking])

    async def _ask(self) -> None:
        """Make a call, whatever becomes of it."""
        probe: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(PROBE)
        # An answer, or the end of the connection, which is followed by itself.
        with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.UsageError):
            await probe(b"")

    def _take_health(self, answer: object) -> bool:
        if not isinstance(answer, bytes):
            return False
        try:
            self._health = HealthCheckResponse.FromString(answer).status
        except DecodeError:
            logger.warning("%s answers a health check with something else; following the connection", self.target)
            self._health = None
            return False
        return True

    def _note(self, *, is_connected: bool) -> None:
        if self._is_connected is not is_connected:
            self._is_connected = is_connected
            self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
