"""A fleet for tests that block: the same fleet, on an event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from portcall.sync import Channel
from portcall.testing.clock import MovableClock
from portcall.testing.fleet import SLOTS_DEFAULT, Fleet, FleetWorker
from portcall.worker import Worker

T = TypeVar("T")


class SyncWire:
    """A wire of a blocking fleet; see `portcall.testing.Wire`."""

    def __init__(self, fleet: "SyncFleet", wire: Any) -> None:
        self._fleet = fleet
        self._wire = wire

    def cut(self) -> None:
        """Reset all connections, and those that are tried until `restore`."""
        self._fleet.do(self._wire.cut)

    def restore(self) -> None:
        """Let connections be made again."""
        self._fleet.do(self._wire.restore)

    def hold(self) -> None:
        """Let nothing pass until `release`; nothing is lost."""
        self._fleet.do(self._wire.hold)

    def release(self) -> None:
        """Let pass what was held."""
        self._fleet.do(self._wire.release)


class SyncFleetWorker:
    """A worker of a blocking fleet; see `portcall.testing.FleetWorker`."""

    def __init__(self, fleet: "SyncFleet", inner: FleetWorker) -> None:
        self._fleet = fleet
        self._inner = inner
        self.wire = SyncWire(fleet, inner.wire)

    def kill(self) -> None:
        """Lose the worker."""
        self._fleet.run(self._inner.kill())

    def stop(self, grace_s: float = 0.0) -> None:
        """Drain it. Idempotent."""
        self._fleet.run(self._inner.stop(grace_s))


class SyncFleet:
    """A fleet whose hub and workers run in a thread. A context manager. For the arguments see `portcall.testing.Fleet`.

    Handlers run in that thread's event loop, or in threads of the worker's if they block.
    """

    def __init__(self, **options: Any) -> None:
        self._fleet = Fleet(**options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="portcall-fleet", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.run(self._fleet.__aenter__())
        except BaseException:
            self._end()
            raise
        self.client_wire = SyncWire(self, self._fleet.client_wire)
        return self

    def __exit__(self, *args: object) -> None:
        try:
            self.run(self._fleet.__aexit__(*args))
        finally:
            self._end()

    @property
    def address(self) -> str:
        """Return where the hub is."""
        return self._fleet.address

    @property
    def clock(self) -> MovableClock:
        """Return what jobs go by. It may be moved from any thread."""
        return self._fleet.clock

    def serve(
        self, add: Callable[[Any, Any], None], servicer: Any, *, slots: int = SLOTS_DEFAULT, **options: Any
    ) -> SyncFleetWorker:
        """Attach a worker with one servicer."""
        return SyncFleetWorker(self, self.run(self._fleet.serve(add, servicer, slots=slots, **options)))

    def attach(self, worker: Worker) -> SyncFleetWorker:
        """Attach a worker that has its servicers already."""
        return SyncFleetWorker(self, self.run(self._fleet.attach(worker)))

    def channel(self, **options: Any) -> Channel:
        """Return a blocking channel to the hub; it is closed with the fleet."""
        return self._fleet.sync_channel(**options)

    def stop_hub(self) -> None:
        """Stop the hub at once. Idempotent."""
        self.run(self._fleet.stop_hub())

    def start_hub(self) -> None:
        """Start the hub again, with what its store has."""
        self.run(self._fleet.start_hub())

    def restart_hub(self) -> None:
        """Stop the hub and start it again."""
        self.run(self._fleet.restart_hub())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the fleet's loop; return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def do(self, act: Callable[[], None]) -> None:
        """Call something on the fleet's loop."""

        async def work() -> None:
            act()

        self.run(work())

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
