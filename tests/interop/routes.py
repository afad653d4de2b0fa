"""The ways from a client to a servicer. A case is written once and runs on each of them.

`direct` is grpcio's client and grpcio's server, and proves the case itself. `native` puts a hub and a
`portcall.Worker` in the server's place, and `channel` a `portcall.Channel` in the client's place as well. `guarded` is
`native` with TLS and tokens. `sidecar` has grpcio at both ends again, with a hub and a sidecar between them.
"""

import abc
import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import grpc
from interop_pb2_grpc import InteropServicer
from pki import Authority

import portcall
from portcall.hub import Hub, HubConfig

from .service import InteropStub, Register, interop_stub, registers
from .upstreams import UpstreamServer

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
TOKEN = "interop-0123456789abcdef"
WORKER_SLOTS = 512  # more than any case has calls in flight


class Route(abc.ABC):
    """One way from a client to a servicer, for the length of one test.

    `prepare` comes first, `start` and the `connect` methods after it in any order. All that was opened is closed by the
    exit stack, clients before servers.
    """

    def __init__(self, exits: AsyncExitStack) -> None:
        self._exits = exits
        self._server: Any = None
        self._address = ""
        self._message_bytes_max = 0

    async def open(
        self,
        servicer: InteropServicer,
        *,
        server_interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        client_interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        compression: grpc.Compression | None = None,
    ) -> InteropStub:
        """Serve `servicer` and return a stub that calls it."""
        await self.serve(registers(servicer), interceptors=server_interceptors)
        return interop_stub(await self.connect(interceptors=client_interceptors, compression=compression))

    async def serve(
        self,
        register: Register,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        await self.prepare(register, interceptors=interceptors, message_bytes_max=message_bytes_max)
        await self.start()

    async def prepare(
        self,
        register: Register,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        """Do all but start to serve: from here on a client finds the address, and nobody who answers."""
        self._message_bytes_max = message_bytes_max
        self._server = await self._prepare_server(interceptors)
        self._exits.push_async_callback(self._server.stop, None)
        register(self._server)

    async def start(self) -> None:
        await self._server.start()

    async def connect(
        self,
        *,
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        compression: grpc.Compression | None = None,
    ) -> grpc.aio.Channel:
        channel = self._make_channel(interceptors, compression)
        return await self._exits.enter_async_context(channel)

    def connect_blocking(self) -> grpc.Channel:
        """A channel of the blocking API; to be used from another thread than the event loop's."""
        channel = self._make_blocking_channel()
        self._exits.push_async_callback(asyncio.to_thread, channel.close)
        return channel

    @abc.abstractmethod
    async def _prepare_server(self, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> Any: ...

    @abc.abstractmethod
    def _make_channel(
        self, interceptors: Sequence[grpc.aio.ClientInterceptor], compression: grpc.Compression | None
    ) -> grpc.aio.Channel: ...

    @abc.abstractmethod
    def _make_blocking_channel(self) -> grpc.Channel: ...


class DirectRoute(Route):
    """grpcio's client to grpcio's server: what gRPC itself does."""

    async def _prepare_server(self, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> grpc.aio.Server:
        server = grpc.aio.server(interceptors=interceptors, options=_receives_up_to(self._message_bytes_max))
        self._address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        return server

    def _make_channel(
        self, interceptors: Sequence[grpc.aio.ClientInterceptor], compression: grpc.Compression | None
    ) -> grpc.aio.Channel:
        options = _receives_up_to(self._message_bytes_max)
        return grpc.aio.insecure_channel(self._address, options, compression, interceptors)

    def _make_blocking_channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self._address, _receives_up_to(self._message_bytes_max))


class NativeRoute(Route):
    """grpcio's client to a hub, as if the hub implemented the service."""

    async def _prepare_server(self, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> Any:
        config = HubConfig(listen="127.0.0.1:0", message_bytes_max=self._message_bytes_max)
        hub = await self._exits.enter_async_context(Hub(config))
        self._address = hub.address
        return portcall.Worker(hub.address, slots=WORKER_SLOTS, interceptors=interceptors)

    def _make_channel(
        self, interceptors: Sequence[grpc.aio.ClientInterceptor], compression: grpc.Compression | None
    ) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self._address, _receives_up_to(_NO_LIMIT), compression, interceptors)

    def _make_blocking_channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self._address, _receives_up_to(_NO_LIMIT))


class GuardedRoute(NativeRoute):
    """grpcio's client to a hub that wants TLS and a token of everybody."""

    async def _prepare_server(self, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> Any:
        self._authority = Authority(Path(self._exits.enter_context(tempfile.TemporaryDirectory())))
        config = HubConfig(
            listen="127.0.0.1:0",
            message_bytes_max=self._message_bytes_max,
            tls=self._authority.server(),
            token=TOKEN,
        )
        hub = await self._exits.enter_async_context(Hub(config))
        self._address = hub.address
        tls = self._authority.client()
        return portcall.Worker(hub.address, slots=WORKER_SLOTS, interceptors=interceptors, token=TOKEN, tls=tls)

    def _make_channel(
        self, interceptors: Sequence[grpc.aio.ClientInterceptor], compression: grpc.Compression | None
    ) -> grpc.aio.Channel:
        options = _receives_up_to(_NO_LIMIT)
        return grpc.aio.secure_channel(self._address, self._credentials(), options, compression, interceptors)

    def _make_blocking_channel(self) -> grpc.Channel:
        return grpc.secure_channel(self._address, self._credentials(), _receives_up_to(_NO_LIMIT))

    def _credentials(self) -> grpc.ChannelCredentials:
        encrypted = grpc.ssl_channel_credentials(self._authority.ca.read_bytes())
        return grpc.composite_channel_credentials(encrypted, grpc.access_token_call_credentials(TOKEN))


class ChannelRoute(NativeRoute):
    """Portcall's own client to a hub."""

    def _make_channel(
        self, interceptors: Sequence[grpc.aio.ClientInterceptor], compression: grpc.Compression | None
    ) -> grpc.aio.Channel:
        channel: Any = portcall.Channel(self._address, interceptors=interceptors, compression=compression)
        return cast("grpc.aio.Channel", channel)

    def _make_blocking_channel(self) -> grpc.Channel:
        return portcall.sync.Channel(self._address)


class SidecarRoute(NativeRoute):
    """grpcio's client to a hub, whose worker is a sidecar of grpcio's server."""

    async def _prepare_server(self, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> Any:
        config = HubConfig(listen="127.0.0.1:0", message_bytes_max=self._message_bytes_max)
        hub = await self._exits.enter_async_context(Hub(config))
        self._address = hub.address
        return UpstreamServer(hub.address, WORKER_SLOTS, interceptors, _receives_up_to(_NO_LIMIT))


ROUTES: dict[str, type[Route]] = {
    "direct": DirectRoute,
    "native": NativeRoute,
    "guarded": GuardedRoute,
    "channel": ChannelRoute,
    "sidecar": SidecarRoute,
}

_NO_LIMIT = -1


def _receives_up_to(size: int) -> list[tuple[str, int]]:
    return [("grpc.max_receive_message_length", size)]
