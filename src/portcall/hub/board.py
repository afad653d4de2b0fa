"""The switchboard with a clock: the one place where the hub reads the time for it and wakes it up."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from portcall.core.attempts import AttemptSwitchboard, release
from portcall.core.calls import ClientPort, WorkerPort
from portcall.core.limits import CallLimits
from portcall.protos.portcall.v1.link_pb2 import Frame


class Board:
    """Gives frames to the switchboard with the time at which they came, and ticks when a deadline is due."""

    def __init__(self, limits: CallLimits) -> None:
        self._loop = asyncio.get_running_loop()
        self.switchboard = AttemptSwitchboard(limits, self._loop.time())
        self.on_held: Callable[[WorkerPort, Sequence[tuple[int, int]]], None] | None = None
        """Told which attempts, as (job, number), a new worker holds from before, to adopt or release each. It is called
        before the worker can be given calls. Without it they are released: nobody here knows them."""
        self._timer: asyncio.TimerHandle | None = None
        self._quiet: asyncio.Future[None] | None = None

    @property
    def now(self) -> float:
        """Return the reading of the switchboard's clock, in seconds."""
        return self._loop.time()

    def take_back(self) -> None:
        """Give calls the slots that were kept for attempts; see `AttemptSwitchboard.take_back`."""
        self.switchboard.take_back(self._loop.time())

    def end_share(self) -> None:
        """Keep no slots for attempts any more; see `AttemptSwitchboard.end_share`."""
        self.switchboard.end_share(self._loop.time())

    async def wait_quiet(self, timeout_s: float) -> None:
        """Wait until no call runs or waits, at most this long."""
        quiet = self._quiet = self._loop.create_future()
        self._settle()
        await asyncio.wait([quiet], timeout=timeout_s)

    def from_client(self, client: ClientPort, frames: Sequence[Frame]) -> None:
        """Take frames of a client; see `Switchboard.from_client`."""
        self.switchboard.from_client(client, frames, self._loop.time())
        self._settle()

    def from_worker(self, worker: WorkerPort, frames: Sequence[Frame]) -> None:
        """Take frames of a worker; see `Switchboard.from_worker`."""
        self.switchboard.from_worker(worker, frames, self._loop.time())
        self._settle()

    def take_held(self, worker: WorkerPort, attempts: Sequence[tuple[int, int]]) -> None:
        """Take what a worker that is about to be added says that it holds."""
        if self.on_held is not None:
            self.on_held(worker, attempts)
        else:
            release(worker, attempts)

    def add_worker(self, worker: WorkerPort, methods: Iterable[str]) -> None:
        """Let calls go to a worker."""
        self.switchboard.add_worker(worker, methods, self._loop.time())
        self._settle()

    def remove_worker(self, worker: WorkerPort, unsent: dict[int, list[Frame]]) -> None:
        """Take a worker out that is gone."""
        self.switchboard.remove_worker(worker, unsent, self._loop.time())
        self._settle()

    def suspend_worker(self, worker: WorkerPort) -> None:
        """Send a worker no new calls while its link is down."""
        self.switchboard.suspend_worker(worker, self._loop.time())
        self._settle()

    def resume_worker(self, worker: WorkerPort) -> None:
        """Send a worker calls again."""
        self.switchboard.resume_worker(worker, self._loop.time())
        self._settle()

    def remove_client(self, client: ClientPort) -> None:
        """Give up the calls of a client that is gone."""
        self.switchboard.remove_client(client)
        self._settle()

    def close(self) -> None:
        """Stop the clock. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        """Wake up for the next deadline, and say so if all is quiet."""
        due = self.switchboard.next_tick
        if due is not None and (self._timer is None or due < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._tick)
        if self._quiet is not None and not (self.switchboard.calls_running or self.switchboard.calls_waiting):
            if not self._quiet.done():
                self._quiet.set_result(None)
            self._quiet = None

    def _tick(self) -> None:
        self._timer = None
        self.switchboard.tick(self._loop.time())
        self._settle()
