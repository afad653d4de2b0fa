"""Attempts at jobs, as the switchboard sees them: calls of a port that never wait, and that tell a dead worker.

A hub's jobs are a caller like any other, with a port of their own. What differs:

* An attempt goes to a free slot or nowhere: it stands in no line, and is refused for no limit. Whoever opens attempts
  asks for the free slots first (`free_slots`). Where calls wait there are none, so calls come first and attempts take
  what calls leave; an attempt that runs is never stopped to make room for a call.
* Calls that never stop waiting would so starve jobs. Hence the share (`CallLimits.job_share`): whoever opens attempts
  says for which methods (`sought`), and once in a round, which is as many slots becoming free as these workers have,
  it is looked how many run attempts. What is missing to the share is kept from the next slots that become free, and
  offered by `free_slots`. What was offered and not taken goes back to calls (`take_back`). So jobs always go on, and
  calls lose no more than the share.
* `lost` tells that a worker is gone, or had not begun and gave the attempt back. An `End` is always the handler's word.
* A cancelled attempt ends when its worker says so. Nobody but the worker and its death ends an attempt.
* An attempt can go on that a worker has kept over the end of a session, of which this switchboard knows nothing
  (`adopt`).
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from portcall.core.calls import ABANDONED, RUNNING, WORKER_ENDED, Call, ClientPort, FrameSink, WorkerPort
from portcall.core.pools import Pool
from portcall.core.refusals import CANCELLED, DEADLINE_EXCEEDED, refusal
from portcall.core.switchboard import DEADLINE_S_MAX, Switchboard
from portcall.errors import ProtocolError
from portcall.protos.link_rules import (
    CHECKPOINT_BYTES_MAX,
    FRAME_MESSAGE_BYTES_MAX,
    NOTE_BYTES_MAX,
    fault_of_attempts,
    frame_cost,
    many_opens,
    metadata_bytes,
)
from portcall.protos.portcall.v1.link_pb2 import End, Frame, HeldAttempt, JobAttempt, Open, Opens, Recorded, Release

RECORDED_BYTES = 12
"""About what an entry of `Recorded` takes."""


class AttemptSink(FrameSink, Protocol):
    """Where a port of attempts hears of them.

    Frames are those of any client's port, and `Progress`, `LogLine` and `Checkpoint` beside them. All of it may be
    called while the switchboard is being called, and must not call it.
    """

    def placed(self, call_id: int, worker: WorkerPort, /) -> None:
        """An attempt goes to this worker."""

    def lost(self, call_ids: Sequence[int], worker: WorkerPort | None, /, *, is_begun: bool) -> None:
        """These attempts are over without an end.

        Their worker is gone and had begun them, or perhaps had. Or, without `is_begun`, it certainly had not: they were
        handed back, had not left, or there was no free slot (then `worker` is None).
        """


class AttemptPort(ClientPort):
    """Where attempts come from."""

    __slots__ = ()

    sink: AttemptSink

    def __init__(self, name: str, sink: AttemptSink) -> None:
        super().__init__(name, sink)


class AttemptCall(Call):
    """An attempt, from its open to its end."""

    __slots__ = ("checkpoints", "checkpoints_kept")

    client: AttemptPort

    def __init__(self, client: AttemptPort, client_id: int, method: str) -> None:
        super().__init__(client, client_id, method, None)
        self.checkpoints = 0
        """How many have come."""
        self.checkpoints_kept = 0


class AttemptSwitchboard(Switchboard):
    """A switchboard with ports for attempts."""

    _watches_timeouts = False
    """Whether attempts are told to stop here when their time is up. A hub's job engine does that itself."""

    def free_slots(self) -> list[tuple[frozenset[str], int]]:
        """Return how many slots are free, by the methods that their workers serve; only where there are any.

        `on_free` tells when it is worth to ask again.
        """
        if self.is_closing:
            return []
        free = []
        for methods, pool in self._routes.pools.items():
            pool.offered = len(pool.apart)
            if count := pool.free_slots + pool.offered:
                free.append((methods, count))
        return free

    def take_back(self, now: float) -> None:
        """Give calls the slots that were kept for attempts and offered, and that none has taken."""
        for pool in self._routes.pools.values():
            for _ in range(pool.offered):
                self._give_slot(pool, pool.apart.popleft(), now)
            pool.offered = 0

    def end_share(self, now: float) -> None:
        """Give calls all slots that are kept for attempts, since none is opened any more, and keep no others."""
        self.sought = frozenset()
        for pool in self._routes.pools.values():
            pool.offered = len(pool.apart)
        self.take_back(now)

    def adopt(
        self,
        port: AttemptPort,
        call_id: int,
        worker: WorkerPort,
        job: int,
        number: int,
        *,
        method: str = "",
        replies: int = 0,
    ) -> None:
        """Let an attempt that this worker has named in its hello go on as this call.

        The worker sends again what is not kept: the replies after the first `replies`, and the end if there is one. A
        call of this id that is with another session of the worker goes on here. May come before `add_worker`, so that
        the slot is taken before any call can have it.
        """
        call = port.calls.get(call_id)
        if isinstance(call, AttemptCall):
            self._disown(call)
        port.id_last = max(port.id_last, call_id)
        call = port.calls[call_id] = AttemptCall(port, call_id, method)
        call.is_half_closed = True
        if worker.pool is None:
            worker.free -= 1
        else:
            worker.pool.change_free(worker, -1)
        self._place(call, worker)
        attempt = JobAttempt(job=job, number=number, replies=replies, is_adopted=True)
        worker.send(Frame(call_id=call.worker_id, open=Open(attempt=attempt, half_close=True)), 0)

    def remove_worker(self, worker: WorkerPort, unsent: Mapping[int, list[Frame]], now: float) -> None:
        """Take a worker out that is gone; see `Switchboard`. What becomes of its attempts is told by `lost`."""
        begun: dict[AttemptPort, list[int]] = {}
        unbegun: dict[AttemptPort, list[int]] = {}
        for worker_id, call in list(worker.calls.items()):
            if isinstance(call, AttemptCall) and call.state is RUNNING:
                del worker.calls[worker_id]
                if call.is_stopping:
                    self._end_running(call, Frame(call_id=call.client_id, end=_stopped(call, worker, now)), 0)
                    continue
                self._forget(call)
                (unbegun if worker_id in unsent else begun).setdefault(call.client, []).append(call.client_id)
        super().remove_worker(worker, unsent, now)
        for port, call_ids in begun.items():
            port.sink.lost(call_ids, worker, is_begun=True)
        for port, call_ids in unbegun.items():
            port.sink.lost(call_ids, worker, is_begun=False)

    # --- the way up ---------------------------------------------------------------------------------------------------

    def _take_attempt(self, client: ClientPort, frame: Frame, now: float) -> None:
        if not isinstance(client, AttemptPort):
            super()._take_attempt(client, frame, now)
            return
        call_id, opening = frame.call_id, frame.open
        message, checkpoint = opening.message, opening.attempt.checkpoint
        if len(message) > FRAME_MESSAGE_BYTES_MAX or len(checkpoint) > CHECKPOINT_BYTES_MAX:
            raise ProtocolError(f"call {call_id} opened with {len(message)} and {len(checkpoint)} bytes inline")
        call = AttemptCall(client, call_id, opening.method)
        call.is_half_closed = opening.half_close
        if opening.HasField("message"):
            call.up_credit -= frame_cost(len(message))
        worker = self._take_slot(call.method)
        if worker is None:
            self._owe(call.method, 1)
            client.sink.lost((call_id,), None, is_begun=False)
            return
        client.calls[call_id] = call
        self._place(call, worker)
        self._watch_timeout(call, opening.timeout_us, now)
        frame.call_id = call.worker_id
        worker.send(frame, len(message) + len(checkpoint) + metadata_bytes(opening.metadata))
        client.sink.placed(call_id, worker)

    def _take_attempts(self, client: ClientPort, opens: Opens, now: float) -> None:
        if not isinstance(client, AttemptPort):
            super()._take_attempts(client, opens, now)
            return
        if fault := fault_of_attempts(opens):
            raise ProtocolError(fault)
        shared, placed = opens.shared, client.sink.placed
        method, timeout_us, calls = shared.method, shared.timeout_us, client.calls
        sent: dict[WorkerPort, tuple[list[int], list[bytes], list[int], list[int]]] = {}
        slotless = []
        for call_id, message, job, number in zip(
            opens.call_ids, opens.messages, opens.jobs, opens.attempts, strict=True
        ):
            worker = self._take_slot(method)
            if worker is None:
                slotless.append(call_id)
                continue
            call = calls[call_id] = AttemptCall(client, call_id, method)
            call.is_half_closed = True
            self._place(call, worker)
            self._watch_timeout(call, timeout_us, now)
            columns = sent.get(worker)
            if columns is None:
                columns = sent[worker] = ([], [], [], [])
            columns[0].append(call.worker_id)
            columns[1].append(message)
            columns[2].append(job)
            columns[3].append(number)
            placed(call_id, worker)
        extra = metadata_bytes(shared.metadata)
        for worker, columns in sent.items():
            worker.send(many_opens(shared, *columns), sum(map(len, columns[1])) + extra)
        if slotless:
            self._owe(method, len(slotless))
            client.sink.lost(slotless, None, is_begun=False)

    def _take_slot(self, method: str) -> WorkerPort | None:
        """Take a free slot for an attempt, if there is one; first those that were kept for one."""
        route = self._routes.known.get(method)
        if route is None or self.is_closing:
            return None
        for pool in route.pools:
            if pool.apart:
                pool.offered = max(0, pool.offered - 1)
                return pool.apart.popleft()
        worker = route.best_worker()
        if worker is not None:
            assert worker.pool is not None
            worker.pool.change_free(worker, -1)
        return worker

    # --- the share of jobs where calls wait ---------------------------------------------------------------------------

    def _set_apart(self, pool: Pool, worker: WorkerPort) -> bool:
        if not pool.owed:
            pool.freed += 1
            if pool.freed < max(pool.round, self._limits.job_share):
                return False
            pool.freed = 0
            pool.owed = 0 if pool.is_granted else self._missing(pool)
            pool.is_granted = False
        is_good = worker.free >= 0 and worker.is_taking_calls and not self.sought.isdisjoint(worker.methods)
        if not pool.owed or not is_good:
            return False
        pool.owed -= 1
        pool.apart.append(worker)
        self._tell_free()
        return True

    def _owe(self, method: str, count: int) -> None:
        """Keep the next slots for attempts that found theirs taken by calls: what this round has for them, at once."""
        route = self._routes.known.get(method)
        for pool in () if route is None else route.pools:
            if not pool.is_granted and not pool.owed:
                pool.owed = min(count, self._missing(pool))
                pool.is_granted = pool.owed > 0

    def _missing(self, pool: Pool) -> int:
        """Return how many slots jobs lack to their share, and begin a round. It costs as much as a round is long."""
        slots = pool.round = sum(worker.slots for worker in pool.workers)
        share = self._limits.job_share
        if not share:
            return 0
        running = sum(isinstance(call, AttemptCall) for worker in pool.workers for call in worker.calls.values())
        return max(0, max(1, slots // share) - running - len(pool.apart))

    def _withdraw(self, worker: WorkerPort, now: float) -> None:
        pool = worker.pool
        if pool is not None and worker in pool.apart:
            kept = len(pool.apart)
            pool.apart = deque(other for other in pool.apart if other is not worker)
            pool.offered = min(pool.offered, len(pool.apart))
            pool.change_free(worker, kept - len(pool.apart))
        super()._withdraw(worker, now)

    def _watch_timeout(self, call: Call, timeout_us: int, now: float) -> None:
        if self._watches_timeouts and timeout_us and timeout_us < DEADLINE_S_MAX * 1e6:
            call.deadline = now + timeout_us / 1e6
            self._wake_at(call.deadline, call)

    def _extra_up(self, call: Call, frame: Frame, kind: str | None) -> None:
        if kind != "kept" or not isinstance(call, AttemptCall):
            super()._extra_up(call, frame, kind)
            return
        call.checkpoints_kept = frame.kept.checkpoints
        self._pass_up(call, frame, 0)

    # --- the way down -------------------------------------------------------------------------------------------------

    def _extra_down(self, call: Call, frame: Frame, kind: str | None) -> None:
        if not isinstance(call, AttemptCall) or kind not in {"progress", "log", "checkpoint"}:
            super()._extra_down(call, frame, kind)
            return
        size = frame.ByteSize()
        if kind == "checkpoint":
            size = len(frame.checkpoint.state)
            if call.checkpoints > call.checkpoints_kept:
                raise ProtocolError(f"call {call.worker_id}: a checkpoint before the one before it was kept")
            call.checkpoints += 1
        if size > (CHECKPOINT_BYTES_MAX if kind == "checkpoint" else NOTE_BYTES_MAX):
            raise ProtocolError(f"call {call.worker_id}: a {kind} of {size} bytes")
        if call.state is RUNNING:
            frame.call_id = call.client_id
            call.client.send(frame, size)

    def _end_unserved(self, call: Call, worker: WorkerPort, frame: Frame, now: float) -> bool:
        if not isinstance(call, AttemptCall):
            return False
        del worker.calls[frame.call_id]
        worker.ended += 1
        self._forget(call)
        self._free_slot(worker, now)
        call.client.sink.lost((call.client_id,), worker, is_begun=frame.end.cause != End.CAUSE_HANDED_BACK)
        return True

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _give_up(self, call: Call, end: End | None) -> None:
        if isinstance(call, AttemptCall):
            self._stop(call)
        else:
            super()._give_up(call, end)

    def _forget(self, call: AttemptCall) -> None:
        """Let go of a running attempt that has no end."""
        del call.client.calls[call.client_id]
        call.move(WORKER_ENDED)
        self.calls_running -= 1

    def _disown(self, call: AttemptCall) -> None:
        """Let a session keep the slot of an attempt, until it ends, that goes on elsewhere."""
        del call.client.calls[call.client_id]
        call.move(ABANDONED)
        self.calls_running -= 1


def _stopped(call: AttemptCall, worker: WorkerPort, now: float) -> End:
    """Return the end of an attempt that was told to stop, and has: its worker is gone."""
    is_late = call.deadline is not None and call.deadline <= now
    details = f"It was told to stop, and {worker.name} was ended before it had"
    return refusal(DEADLINE_EXCEEDED if is_late else CANCELLED, details)


def tell_recorded(worker: WorkerPort, attempts: Iterable[tuple[int, int]]) -> None:
    """Let a worker forget the ends of these attempts, as (job, number). Nothing happens if it is gone."""
    if worker.pool is not None:
        recorded = Recorded()
        for job, number in attempts:
            recorded.jobs.append(job)
            recorded.attempts.append(number)
        worker.send(Frame(recorded=recorded), RECORDED_BYTES * len(recorded.jobs))


def release(worker: WorkerPort, attempts: Iterable[tuple[int, int]]) -> None:
    """Have a worker stop and forget attempts that it has named in its hello."""
    held = [HeldAttempt(job=job, number=number) for job, number in attempts]
    worker.send(Frame(release=Release(attempts=held)), 0)
