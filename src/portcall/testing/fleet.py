"""A fleet in the test's own event loop: a hub, workers and channels, and the faults that a test injects."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

from portcall.client import Channel
from portcall.core.limits import CallLimits
from portcall.errors import ConfigurationError
from portcall.hub import Hub, HubConfig
from portcall.sync import Channel as SyncChannel
from portcall.testing.clock import MovableClock
from portcall.testing.wires import Wire
from portcall.worker import Worker

GRACE_S: Final = 0.5
"""How long a link may be away and still resume: a test that loses a worker waits for it."""

SLOTS_DEFAULT: Final = 100


class FleetWorker:
    """A worker of a fleet, and what can be done to it."""

    def __init__(self, worker: Worker, wire: Wire) -> None:
        self.worker = worker
        self.wire = wire
        """What its link runs over: `wire.cut()`, `wire.restore()`."""

    async def kill(self) -> None:
        """Lose the worker: the hub hears nothing from it any more, and takes it for dead after the grace period.

        Its handlers are cancelled, since they share the test's process.
        """
        self.wire.cut()
        await self.worker.stop(0)

    async def stop(self, grace_s: float = 0.0) -> None:
        """Drain it, as a SIGTERM does. Idempotent."""
        await self.worker.stop(grace_s)


class Fleet:
    """A hub and what is attached to it. An async context manager, whose end closes all of it.

    It listens on unix sockets in a temporary folder, so fleets never meet each other.

    Args:
        store: whether the hub keeps jobs, in a file of that folder.
        grace_s: how long a link that was cut may be away and still resume.
        settings: more fields of `portcall.hub.HubConfig`.
    """

    def __init__(self, *, store: bool = True, grace_s: float = GRACE_S, **settings: Any) -> None:
        self._has_store = store
        # An unknown method is unknown at once: no worker is on its way back to a hub that has just begun.
        self._settings = {"limits": CallLimits(settle_s=0.0), "grace_s": grace_s, **settings}
        self.clock = MovableClock(self._poke)
        """What jobs go by: `clock.advance(3600)`."""
        self._exits = AsyncExitStack()
        self._hub: Hub | None = None
        self._wires = 0

    async def __aenter__(self) -> Self:
        # Unix sockets have short paths, so not in a folder of pytest's.
        self._folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="portcall-")))
        try:
            await self.start_hub()
            self._exits.push_async_callback(self.stop_hub)
            self.client_wire = await self._wire()
            """What the links of channels run over."""
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._exits.aclose()

    @property
    def address(self) -> str:
        """Return where the hub is, for programs that dial it themselves."""
        return f"unix:{self._socket}"

    @property
    def hub(self) -> Hub:
        """Return the hub of the moment.

        Raises:
            ConfigurationError: it was stopped.
        """
        if self._hub is None:
            raise ConfigurationError("the fleet's hub is stopped; call start_hub() first")
        return self._hub

    # --- workers and channels -----------------------------------------------------------------------------------------

    async def serve(
        self, add: Callable[[Any, Any], None], servicer: Any, *, slots: int = SLOTS_DEFAULT, **options: Any
    ) -> FleetWorker:
        """Attach a worker with one servicer: `serve(add_GreeterServicer_to_server, Greeter())`.

        Args:
            add: what adds the servicer to a server, from generated code.
            servicer: the servicer.
            slots: how many calls it takes at once.
            options: more arguments of `portcall.Worker`.
        """
        worker = Worker(slots=slots, **options)
        add(servicer, worker)
        return await self.attach(worker)

    async def attach(self, worker: Worker) -> FleetWorker:
        """Attach a worker that has its servicers already, such as the one of an app's module. It must not have started.

        It dials this fleet, whatever hub it was made for.
        """
        wire = await self._wire()
        worker.hub, worker.token, worker.tls = wire.address, None, False
        self._exits.push_async_callback(worker.stop, 0)
        await worker.start()
        return FleetWorker(worker, wire)

    def channel(self, **options: Any) -> Channel:
        """Return a channel to the hub; it is closed with the fleet. `options` are those of `portcall.Channel`."""
        channel = Channel(self.client_wire.address, tls=False, **options)
        self._exits.push_async_callback(channel.close)
        return channel

    def sync_channel(self, **options: Any) -> SyncChannel:
        """Return a blocking channel, to be used from another thread than this fleet's."""
        channel = SyncChannel(self.client_wire.address, tls=False, **options)
        self._exits.push_async_callback(asyncio.to_thread, channel.close)
        return channel

    # --- the hub ------------------------------------------------------------------------------------------------------

    async def stop_hub(self) -> None:
        """Stop the hub at once: calls end, jobs that run go on in their workers. Idempotent."""
        hub, self._hub = self._hub, None
        if hub is not None:
            await hub.stop()

    async def start_hub(self) -> None:
        """Start the hub again, with what its store has."""
        if self._hub is not None:
            raise ConfigurationError("the fleet's hub runs already; call stop_hub() first")
        store = self._folder / "jobs.db" if self._has_store else None
        config = HubConfig(listen=self.address, store=store, **self._settings)
        hub = Hub(config, clock=self.clock)
        await hub.start()
        self._hub = hub

    async def restart_hub(self) -> None:
        """Stop the hub and start it again."""
        await self.stop_hub()
        await self.start_hub()

    @property
    def _socket(self) -> Path:
        return self._folder / "hub"

    async def _wire(self) -> Wire:
        self._wires += 1
        return await self._exits.enter_async_context(Wire(self._folder / f"w{self._wires}", self._socket))

    def _poke(self) -> None:
        if self._hub is not None and self._hub.jobs is not None:
            self._hub.jobs.poke()
