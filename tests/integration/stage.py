"""What a test puts up: hubs, workers, channels and proxies, closed in the reverse order when it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
from interop.service import InteropStub, interop_stub, registers
from interop.servicers import scripted

import portcall
from portcall.core.limits import CallLimits
from portcall.hub import Hub, HubConfig
from portcall.hub.watching import OnCall
from portcall.protos.portcall.v1.fleet_pb2 import ListWorkersReply, ListWorkersRequest, WorkerStatus
from portcall.wire.limits import LINK_BYTES_MAX, MESSAGE_BYTES_MAX, Liveness

from .proxy import Proxy

LONG_S = 100.0
"""For what a test does not wait for, and for how long it waits before it says that something never came."""


class Stage:
    """Hubs here have no time to settle unless a test gives them one: an unknown method is unknown at once."""

    def __init__(self, exits: AsyncExitStack) -> None:
        self._exits = exits

    def on_exit(self, end: Callable[[], Awaitable[None]]) -> None:
        """Have this done when the test ends."""
        self._exits.push_async_callback(end)

    async def hub(
        self,
        *,
        listen: str = "127.0.0.1:0",
        grace_s: float = LONG_S,
        ping_interval_s: float = LONG_S,
        links_max: int = 100,
        streams_max: int = 1_000,
        link_bytes_max: int = LINK_BYTES_MAX,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        settle_s: float = 0.0,
        on_call: OnCall | None = None,
        access: Mapping[str, Any] = MappingProxyType({}),
        **limits: Any,
    ) -> Hub:
        """A hub that listens; `access` are those settings of `HubConfig` that say who may come in."""
        config = HubConfig(
            listen=listen,
            grace_s=grace_s,
            links_max=links_max,
            streams_max=streams_max,
            link_bytes_max=link_bytes_max,
            message_bytes_max=message_bytes_max,
            limits=CallLimits(settle_s=settle_s, **limits),
            liveness=Liveness(ping_interval_s=ping_interval_s),
            **access,
        )
        return await self._exits.enter_async_context(Hub(config, on_call=on_call))

    async def worker(self, address: str | None, **options: Any) -> portcall.Worker:
        """A worker that is attached to the hub at `address`; for the options see `make_worker`."""
        worker = self.make_worker(address, **options)
        await worker.start()
        return worker

    def make_worker(
        self,
        address: str | None,
        *,
        slots: int = 100,
        name: str | None = None,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        token: str | Path | None = None,
        tls: portcall.Tls | None = None,
        **handlers: Any,
    ) -> portcall.Worker:
        """A worker with these methods of `Interop`."""
        worker = portcall.Worker(address, slots=slots, name=name, interceptors=interceptors, token=token, tls=tls)
        registers(scripted(**handlers))(worker)
        self._exits.push_async_callback(worker.stop)
        return worker

    def channel(self, address: str | None, **options: Any) -> portcall.Channel:
        channel = portcall.Channel(address, **options)
        self._exits.push_async_callback(channel.close)
        return channel

    def sync_channel(self, address: str | None, **options: Any) -> portcall.sync.Channel:
        """A blocking channel, to be used from another thread than the event loop's."""
        channel = portcall.sync.Channel(address, **options)
        self._exits.push_async_callback(asyncio.to_thread, channel.close)
        return channel

    def native_channel(self, address: str) -> grpc.aio.Channel:
        # A connection of its own for each channel, as clients on different machines have.
        channel = grpc.aio.insecure_channel(address, (("grpc.use_local_subchannel_pool", 1),))
        self._exits.push_async_callback(channel.close)
        return channel

    def stub(self, address: str | None) -> InteropStub:
        """A stub on a `portcall.Channel` of its own."""
        return interop_stub(self.channel(address))

    def native_stub(self, address: str) -> InteropStub:
        """A stub on a gRPC channel of its own."""
        return interop_stub(self.native_channel(address))

    async def proxy(self, target: str) -> Proxy:
        return await self._exits.enter_async_context(Proxy(target))

    def fleet(self, address: str) -> "FleetView":
        return FleetView(self.native_channel(address))


class FleetView:
    """What a hub says of its workers."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._list_workers: Any = channel.unary_unary(
            "/portcall.v1.Fleet/ListWorkers", ListWorkersRequest.SerializeToString, ListWorkersReply.FromString
        )

    async def workers(self) -> list[WorkerStatus]:
        reply = await self._list_workers(ListWorkersRequest(), wait_for_ready=True)
        return list(reply.workers)

    async def when(self, condition: Callable[[list[WorkerStatus]], bool]) -> list[WorkerStatus]:
        """Wait until the workers are so, and return them. The hub has no event for it: it is asked again and again."""
        async with asyncio.timeout(LONG_S):
            while not condition(workers := await self.workers()):
                pass
        return workers

    async def when_state(self, *states: "WorkerStatus.State") -> list[WorkerStatus]:
        """Wait until there are as many workers as states, and their states are these."""
        return await self.when(lambda workers: sorted(worker.state for worker in workers) == sorted(states))


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    async with AsyncExitStack() as exits:
        yield Stage(exits)


async def when_channel(channel: grpc.aio.Channel, state: grpc.ChannelConnectivity) -> None:
    """Wait until the channel is in this state."""
    async with asyncio.timeout(LONG_S):
        while (now := channel.get_state()) is not state:
            await channel.wait_for_state_change(now)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that has no event, one turn of the loop after the other."""
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0.001)


async def status_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """The status that a call ends with."""
    return await call.code(), await call.details()
