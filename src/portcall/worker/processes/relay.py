"""The calls of one hub, spread over processes: a switchboard with a clock and the hub as its one client."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from portcall.core.attempts import AttemptPort
from portcall.core.calls import CallState, ClientPort, WorkerPort
from portcall.core.limits import CallLimits
from portcall.core.relaying import RelaySwitchboard
from portcall.core.switchboard import SLOTS_MAX
from portcall.protos.portcall.v1.link_pb2 import Cancel, Drain, Frame, Slots, Welcome
from portcall.wire.link import Link, LinkState
from portcall.worker.holding import Holding

UNBOUNDED = 1 << 62

LIMITS = CallLimits(
    # The hub has said no to what is too much, and trims what clients do not have to take.
    calls_waiting_max=SLOTS_MAX,
    metadata_bytes_max=UNBOUNDED,
    unread_bytes_max=UNBOUNDED,
    settle_s=0.0,
)


class Relay:
    """What a worker's calls are given to: see `portcall.worker.server.WorkerCalls`."""

    def __init__(self, on_welcome: Callable[[Welcome], None], on_close: Callable[[], Awaitable[None]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._board = RelaySwitchboard(LIMITS, self._loop.time())
        self.holding = self._board.keeper = Holding(self._run_attempts)
        self._jobs = AttemptPort("the hub's jobs", self.holding)
        self._on_welcome = on_welcome
        self._on_close = on_close
        self._hub: ClientPort | None = None
        self._ports: set[WorkerPort] = set()
        self._slots_told = -1
        self._timer: asyncio.TimerHandle | None = None
        self._quiet: asyncio.Future[None] | None = None
        self.link = Link()
        """The link to the hub."""

    # --- for the hub -----------------------------------------------------------------------------------------------

    @property
    def calls_count(self) -> int:
        """Return how many calls are under way."""
        return self._board.calls_running + self._board.calls_waiting

    @property
    def slots(self) -> int:
        """Return how many calls the hub may have under way here: those that it has, and as many as there is room for.

        A process that takes no new calls still has those that it runs.
        """
        free = sum(max(0, port.free) for port in self._ports if port.is_taking_calls)
        return self._board.calls_running + free

    def begin_session(self, link: Link, welcome: Welcome) -> None:
        """Take the calls of a new session. Those of the old one still hold their slots until they have ended."""
        if self._hub is not None:
            self._board.remove_client(self._hub)
        self.link, self._hub, self._slots_told = link, ClientPort("the hub", link), -1
        self.holding.attach(link)
        self._on_welcome(welcome)
        self._settle()
        self.tell_slots()

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Take frames of the hub.

        Raises:
            ProtocolError: the hub broke the link's rules.
        """
        assert self._hub is not None
        self._board.from_client(self._hub, frames, self._loop.time())
        self._settle()

    def lose_session(self) -> None:
        """Cancel the calls of the session, since nobody waits for them any more. Attempts go on."""
        if self._hub is not None:
            self._cancel(self._hub, list(self._hub.calls))
        self.holding.detach()

    def cancel_all(self) -> None:
        """Cancel every call and attempt."""
        for port in (self._hub, self._jobs):
            if port is not None:
                self._cancel(port, list(port.calls))

    def hand_back(self) -> None:
        """Have the processes give attempts back that they have not begun."""
        for port in self._ports:
            port.send(Frame(drain=Drain()), 0)

    async def wait_quiet(self) -> None:
        """Wait until no call is under way."""
        while self.calls_count:
            self._quiet = self._loop.create_future()
            await self._quiet

    async def close(self) -> None:
        """End the processes, and the clock. Idempotent."""
        await self._on_close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def tell_slots(self) -> None:
        """Tell the hub how many calls there is room for, if that has changed."""
        slots = min(self.slots, SLOTS_MAX)
        if slots != self._slots_told and self.link.state is LinkState.OPEN:
            self._slots_told = slots
            self.link.send_event(Frame(slots=Slots(slots=slots)))

    # --- for the processes -----------------------------------------------------------------------------------------

    def add(self, port: WorkerPort, methods: Iterable[str]) -> None:
        """Let calls of these methods go to a process."""
        self._ports.add(port)
        self._board.add_worker(port, methods, self._loop.time())
        self._changed()

    def set_slots(self, port: WorkerPort, slots: int) -> None:
        """Change how many calls a process takes at once. With none, calls wait for it as for a busy one."""
        self._board.set_slots(port, slots, self._loop.time())
        self._changed()

    def withdraw(self, port: WorkerPort) -> None:
        """Let no new calls go to a process."""
        self._board.drain_worker(port, self._loop.time())
        self._changed()

    def cancel_calls(self, port: WorkerPort) -> None:
        """Cancel what a process runs, because it is to end."""
        attempts = [call.client_id for call in port.calls.values() if call.client is self._jobs]
        self.holding.stopping(attempts, f"{port.name} was replaced while it ran this job")
        for call in list(port.calls.values()):
            if call.state is CallState.RUNNING:
                self._cancel(call.client, (call.client_id,))

    def from_process(self, port: WorkerPort, frames: Sequence[Frame]) -> None:
        """Take frames of a process.

        Raises:
            ProtocolError: the process broke the link's rules.
        """
        self._board.from_worker(port, frames, self._loop.time())
        self._settle()
        if port.is_draining or not port.slots:
            self.tell_slots()

    def remove(self, port: WorkerPort, unbegun: dict[int, list[Frame]]) -> tuple[int, int]:
        """Take a process out that is gone; its calls in `unbegun` go to others, the rest end UNAVAILABLE.

        Returns:
            How many calls have ended, and how many were given to others.
        """
        running = {call_id: call for call_id, call in port.calls.items() if call.state is CallState.RUNNING}
        given = sum(call_id in unbegun and not call.is_stopping for call_id, call in running.items())
        self._ports.discard(port)
        self._board.remove_worker(port, unbegun, self._loop.time())
        self._changed()
        return len(running) - given, given

    # --- the clock -------------------------------------------------------------------------------------------------

    def _run_attempts(self, frames: Sequence[Frame]) -> None:
        """Give frames of attempts to the processes."""
        self._board.from_client(self._jobs, frames, self._loop.time())

    def _cancel(self, client: ClientPort, call_ids: Iterable[int]) -> None:
        frames = [Frame(call_id=call_id, cancel=Cancel()) for call_id in call_ids]
        self._board.from_client(client, frames, self._loop.time())
        self._settle()

    def _changed(self) -> None:
        self._settle()
        self.tell_slots()

    def _settle(self) -> None:
        """Wake up for the next deadline, and say so if all is quiet."""
        due = self._board.next_tick
        if due is not None and (self._timer is None or due < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._tick)
        if self._quiet is not None and not self.calls_count:
            if not self._quiet.done():
                self._quiet.set_result(None)
            self._quiet = None

    def _tick(self) -> None:
        self._timer = None
        self._board.tick(self._loop.time())
        self._settle()
