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

from portcall.contract.descriptors import shown
from portcall.errors import ConfigurationError
from portcall.wire.limits import WINDOW_BYTES
from portcall.wire.target import PORT_MAX

logger = logging.getLogger("portcall.sidecar")

CONNECT_S = 10.0
"""How long a server may take to be connected to and to say how it is."""

METADATA_BYTES_MAX = 131_072
"""Twice what a hub passes on by default, so that it is the hub that decides."""

HEALTH_WATCH = "/grpc.health.v1.Health/Watch"

AWAY_CODES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""What a call ends with when there is nobody who answers. Any other status is an answer."""

CONNECTION_WORDS = ("failed to connect", "Stream removed", "Socket closed", "errors resolving", "GOAWAY")
"""How gRPC's core begins when it ends a call because of the connection."""

_Health = HealthCheckResponse.ServingStatus


class Condition(Enum):
    """How an upstream is, as far as a fleet cares."""

    SERVING = "serving"
    NOT_SERVING = "not serving"
    GONE = "gone"


class UpstreamAwayError(Exception):
    """Nobody answers at the upstream's address, or not in time. `str()` says why."""


def upstream_target(text: str) -> str:
    """Return an upstream's address as gRPC takes it.

    Raises:
        ConfigurationError: it is neither HOST:PORT nor unix:PATH.
    """
    if text.startswith(("unix:", "dns:", "ipv4:", "ipv6:")) and not text.endswith(":"):
        return text
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) <= PORT_MAX:
        raise ConfigurationError(
            f"the upstream's address is {text!r}; it should be HOST:PORT, as in localhost:50051, or unix:PATH"
        )
    return text


def condition_of(*, is_connected: bool, health: int | None) -> Condition:
    """Return the condition that a connection and the last word of a health service make.

    A server that has no health service, or one that knows nothing of the server as a whole, serves while it is there.
    """
    if not is_connected:
        return Condition.GONE
    is_healthy = health in (None, _Health.SERVING, _Health.SERVICE_UNKNOWN)
    return Condition.SERVING if is_healthy else Condition.NOT_SERVING


class Upstream:
    """One connection to the upstream, from `connect` until it is gone; it does not come back.

    `channel` may be used until `close`, also while the connection is going and its last calls run out.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.channel = _open_channel(target)
        self._is_connected = False
        self._health: int | None = None
        self._changed = asyncio.Event()
        self._following: list[asyncio.Task[None]] = []

    @property
    def condition(self) -> Condition:
        """Return how the upstream is now."""
        return condition_of(is_connected=self._is_connected, health=self._health)

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
        if is_watching:
            self._following.append(loop.create_task(self._follow_health(watch), name="portcall-upstream-health"))

    async def wait_while(self, condition: Condition) -> Condition:
        """Wait until the condition is another than this; return it."""
        while self.condition is condition:
            await self._changed.wait()
        return self.condition

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
                raise UpstreamAwayError(shown(error.details() or error.code().name)) from None
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


def _open_channel(target: str) -> grpc.aio.Channel:
    """Return a channel of its own for an upstream. Messages are as large as the hub allows, which is not known here."""
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        # A window as large as a link's. By itself gRPC lets it grow to 16 MB for each stream that nobody reads.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
        ("grpc.use_local_subchannel_pool", 1),
        # A sidecar stands beside its upstream, on this side of any proxy.
        ("grpc.enable_http_proxy", 0),
        # An upstream that nobody calls is there all the same.
        ("grpc.client_idle_timeout_ms", 2**31 - 1),
    ]
    if target.startswith("unix:"):
        # The path, which gRPC would send, is no authority that other servers take.
        options.append(("grpc.default_authority", "localhost"))
    return grpc.aio.insecure_channel(target, options)
