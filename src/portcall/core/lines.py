"""The calls that wait for a worker: how many may, for how long, and who serves them when a slot is free.

It is the lower half of the switchboard, which decides what is put here and how a call ends.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from portcall.core.calls import GIVEN_BACK, Call, WorkerPort
from portcall.core.deadlines import Deadlines
from portcall.core.limits import CallLimits
from portcall.core.pools import Pool, Route
from portcall.core.refusals import UNIMPLEMENTED, never_brought, none_came, overload, refusal
from portcall.core.routes import Routes
from portcall.protos.link_rules import FRAME_COST_BYTES_MIN, detached
from portcall.protos.portcall.v1.link_pb2 import End, Frame


class Lines(ABC):
    """What waits, and what is counted of all calls."""

    def __init__(self, limits: CallLimits, now: float) -> None:
        self._limits = limits
        self._settled_at = now + limits.settle_s
        self._routes = Routes(limits.methods_remembered_max)
        self._deadlines = Deadlines()
        self.calls_waiting = 0
        self.calls_running = 0
        self.bytes_waiting = 0
        self.calls_refused = 0
        self.sought: frozenset[str] = frozenset()
        """Methods whose jobs wait for nothing but a slot. These get a share of what becomes free."""
        self.on_free: Callable[[], None] | None = None
        """Called once, and not again until it is set anew, when there are free slots that no call waits for; also where
        there were some. It must not call the switchboard."""

    @abstractmethod
    def _assign(self, call: Call, worker: WorkerPort) -> None:
        """Send a call, and what its client has sent so far, to a worker whose slot was taken for it."""

    @abstractmethod
    def _abandon(self, call: Call, end: End | None) -> None:
        """End a call for its client; with `end` None the client does not want to hear of it any more."""

    @abstractmethod
    def _refuse(self, call: Call, end: End) -> None:
        """End a call that was neither routed nor queued."""

    def _wait(self, call: Call, route: Route | None, now: float) -> None:
        limits = self._limits
        if route is None and now >= self._settled_at:
            details = f"Method not found! This hub knows no worker for {call.method}"
            self._refuse(call, refusal(UNIMPLEMENTED, details))
            return
        if self.calls_waiting >= limits.calls_waiting_max:
            self._refuse_overload(call, f"{self.calls_waiting} calls wait for a worker already; no more may")
            return
        assert call.open is not None
        call.bytes_held = max(call.open.ByteSize(), FRAME_COST_BYTES_MIN)
        if self.bytes_waiting + call.bytes_held > limits.bytes_waiting_max:
            self._refuse_overload(call, self._too_many_bytes())
            return
        call.open = detached(call.open)
        self.calls_waiting += 1
        self.bytes_waiting += call.bytes_held
        if route is None:
            route = self._routes.wait_for(call.method)
            self._wake_at(self._settled_at, call)
        route.line.put(call)
        if not route.has_worker:
            self._limit_wait(call, now)

    def _refuse_overload(self, call: Call, details: str) -> None:
        self._refuse(call, overload(details, self._limits.retry_delay_s))

    def _limit_wait(self, call: Call, now: float) -> None:
        """Let a call that has no worker to hope for give up some time, unless it said that it is patient."""
        if call.is_patient:
            return
        call.gives_up_at = now + self._limits.worker_wait_max_s
        self._watch(call)

    def _watch(self, call: Call) -> None:
        """Wake up when this call gives up. One wake at a time, or workers that come and go would pile them up."""
        if not call.is_watched:
            call.is_watched = True
            self._wake_at(call.gives_up_at, call)

    def _wake_at(self, at: float, call: Call) -> None:
        self._deadlines.add(at, call, self.calls_running + self.calls_waiting)

    def _check_hope(self, call: Call, now: float) -> None:
        """End a waiting call if the time in which a worker should have come is over."""
        route = self._routes.known.get(call.method)
        if route is None:
            if now >= self._settled_at:
                self._abandon(call, never_brought(call.method))
        elif route.has_worker or call.is_patient:
            return
        elif now < call.gives_up_at:
            self._watch(call)
        else:
            self._abandon(call, none_came(call.method, self._limits))

    def _fill(self, worker: WorkerPort, now: float) -> None:
        """Give waiting calls to a worker as long as it has free slots."""
        pool = worker.pool
        if pool is None or not worker.is_taking_calls:
            return
        while worker.free > 0 and pool.turns:
            pool.change_free(worker, -1)
            self._serve(pool.turns.take(), worker, now)
        if self.on_free is not None and worker.free > 0:
            self._tell_free()

    def _serve_line(self, route: Route, now: float) -> None:
        """Give the calls that wait for a method to its workers as long as any has free slots."""
        while route.line and (worker := route.best_worker()) is not None:
            pool = worker.pool
            assert pool is not None
            pool.change_free(worker, -1)
            self._serve(pool.turns.take(), worker, now)

    def _serve(self, call: Call, worker: WorkerPort, now: float) -> None:
        """Send a call that waited to a worker whose slot was taken for it."""
        self.calls_waiting -= 1
        self.bytes_waiting -= call.bytes_held
        if call.deadline is not None:
            assert call.open is not None
            call.open.open.timeout_us = max(1, int((call.deadline - now) * 1e6))
        self._assign(call, worker)

    def _too_many_bytes(self) -> str:
        return f"Waiting calls hold {self.bytes_waiting} bytes of {self._limits.bytes_waiting_max} that they may"

    def _give_back(self, call: Call, frames: list[Frame], now: float) -> None:
        """Let a call wait again whose worker never saw it."""
        call.move(GIVEN_BACK)
        self.calls_running -= 1
        call.worker, call.worker_id = None, 0
        call.open, *held = [detached(frame) for frame in frames]
        call.held = held or None
        call.bytes_held = sum(max(frame.ByteSize(), FRAME_COST_BYTES_MIN) for frame in frames)
        route = self._routes.know(call.method)
        self.calls_waiting += 1
        self.bytes_waiting += call.bytes_held
        route.line.put_first(call)
        if not route.has_worker:
            self._limit_wait(call, now)

    def _free_slot(self, worker: WorkerPort, now: float) -> None:
        """Give a slot that became free to the next waiting call, or back to the pool."""
        pool = worker.pool
        assert pool is not None
        if self.sought and self._set_apart(pool, worker):
            return
        self._give_slot(pool, worker, now)

    def _give_slot(self, pool: Pool, worker: WorkerPort, now: float) -> None:
        if pool.turns and worker.free >= 0 and worker.is_taking_calls:
            self._serve(pool.turns.take(), worker, now)
        else:
            pool.change_free(worker, 1)
            if self.on_free is not None:
                self._tell_free()

    def _set_apart(self, pool: Pool, worker: WorkerPort) -> bool:
        """Keep a slot that became free for an attempt, if one is due; return whether it was."""
        return False

    def _tell_free(self) -> None:
        on_free, self.on_free = self.on_free, None
        if on_free is not None:
            on_free()
