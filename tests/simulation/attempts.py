"""Jobs in a world: a disk that survives the hub, attempts that survive its sessions, and what has to hold of both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from portcall.core.attempts import AttemptPort, AttemptSwitchboard, release, tell_recorded
from portcall.core.calls import WorkerPort
from portcall.core.refusals import CANCELLED, OK, UNAVAILABLE
from portcall.protos.link_rules import many_opens, singly
from portcall.protos.portcall.v1.jobs_pb2 import Progress
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Checkpoint,
    End,
    Frame,
    JobAttempt,
    Kept,
    Open,
)
from portcall.wire.messages import MessageReceiver, MessageSender

from .clients import MESSAGE_BYTES_MAX
from .profile import METHODS

if TYPE_CHECKING:
    from .workers import SimWorker
    from .world import World

LOOK_MEAN_S = 0.03
"""How often jobs look for free slots."""

COMMIT_MEAN_S = 0.01
"""How long it takes until something is on the disk."""

ADOPT_S = 3.0
"""How long a new hub waits for attempts to come back."""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """What an attempt does."""

    method: str
    replies: tuple[int, ...]
    """Sizes; without any, it is unary."""
    reply: int
    """Size of a unary reply."""
    checkpoint_after: int | None
    """Number of replies after which it keeps a checkpoint."""
    is_cancelled: bool
    goes_as_many: bool
    steps: int
    """How often it does nothing before it goes on."""


@dataclass(slots=True)
class JobRow:
    """A job on the disk."""

    job: int
    plan: JobPlan
    number: int = 0
    is_held: bool = False
    is_cancelling: bool = False
    checkpoint: bytes | None = None
    replies: list[bytes] = field(default_factory=list)
    replies_kept: int = 0
    """Those before the last checkpoint."""
    outcomes: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    """Number of the attempt, status and unary reply."""
    lost: list[int] = field(default_factory=list)
    """Numbers of the attempts that were lost, and not by the worker's word that it had not begun."""


@dataclass(slots=True)
class Live:
    """An attempt that the hub has under way, in its memory."""

    row: JobRow
    number: int
    worker: WorkerPort | None = None
    receiver: MessageReceiver | None = None
    replies: int = 0
    checkpoints: int = 0


def payload(job: int, number: int, place: int, size: int) -> bytes:
    """Return what one reply of one attempt is."""
    head = b"%d/%d/%d:" % (job, number, place)
    return head + b"." * max(0, size - len(head))


class SimJobs:
    """The jobs of a hub, over all of its lives."""

    bytes_held = 0

    def __init__(self, world: "World") -> None:
        self._world = world
        self.rows: dict[int, JobRow] = {}
        self.executed: dict[Pair, str] = {}
        """Which worker ran which attempt."""
        self._life = 0
        self._call_id = 0
        self.live: dict[int, Live] = {}
        self._late: list[Frame] = []
        self._orphans: set[int] = set()
        self.port = AttemptPort("jobs", self)
        world.schedule.soon(LOOK_MEAN_S, self._look)

    @property
    def is_at_rest(self) -> bool:
        """Whether every job has its outcome."""
        return all(row.outcomes for row in self.rows.values()) and not self.live

    # --- the hub ------------------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Lose all that is not on the disk."""
        self._life += 1
        self.live, self._late = {}, []
        self.port = AttemptPort("jobs", self)
        self._call_id = 0
        self._orphans = {row.job for row in self.rows.values() if row.is_held}
        life = self._life
        self._world.schedule.after(ADOPT_S, lambda: self._give_up_orphans(life))

    def take_held(self, worker: WorkerPort, held: Iterable[Pair]) -> None:
        """Adopt or release what a worker names."""
        for job, number in held:
            row = self.rows[job]
            known = next((call_id for call_id, live in self.live.items() if live.row is row), None)
            is_current = row.is_held and row.number == number and (known is not None or job in self._orphans)
            if not is_current:
                release(worker, [(job, number)])
                continue
            self._orphans.discard(job)
            call_id = self._next_id() if known is None else known
            replies = len(row.replies)
            self.live[call_id] = Live(row, number, worker, replies=replies)
            self._board.adopt(self.port, call_id, worker, job, number, method=row.plan.method, replies=replies)
            if row.is_cancelling:
                self._soon(Frame(call_id=call_id, cancel=Cancel()))

    def placed(self, call_id: int, worker: WorkerPort, /) -> None:
        self.live[call_id].worker = worker

    def lost(self, call_ids: Sequence[int], _: WorkerPort | None, /, *, is_begun: bool) -> None:
        for call_id in call_ids:
            live = self.live.pop(call_id)
            self._commit(lambda row=live.row, number=live.number: self._record_loss(row, number, is_begun=is_begun))

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        for one in singly([frame]):
            self._take(one)

    def send_ahead(self, frame: Frame, /) -> None:
        raise AssertionError("requests are sent whole")

    def drop_chunks(self, call_id: int, /) -> None:
        pass

    @property
    def _board(self) -> AttemptSwitchboard:
        return self._world.hub.board

    def _next_id(self) -> int:
        self._call_id += 1
        return self._call_id

    def _look(self) -> None:
        """Submit jobs, start what may start, and do this again in a while."""
        world, rng = self._world, self._world.schedule.rng
        world.schedule.soon(LOOK_MEAN_S, self._look)
        if not world.hub.is_up:
            return
        if not world.is_settling and len(self.rows) < world.profile.jobs_max:
            job = len(self.rows) + 1
            self.rows[job] = JobRow(job, draw_plan(world))
        ready = [row for row in self.rows.values() if not (row.is_held or row.outcomes)]
        self._board.sought = frozenset(row.plan.method for row in ready)
        free = sum(count for _, count in self._board.free_slots())
        starting = ready[: rng.randint(0, free + 1)]
        by_method: dict[str, list[JobRow]] = {}
        for row in starting:
            row.number += 1
            row.is_held = True
            by_method.setdefault(row.plan.method, []).append(row)
        for method, rows in by_method.items():
            self._open(method, rows)
        if rng.random() < 0.7:
            self._board.take_back(self._now)
        world.hub.settle()

    def _open(self, method: str, rows: list[JobRow]) -> None:
        plain = [row for row in rows if row.plan.goes_as_many and row.checkpoint is None and not row.replies_kept]
        for row in rows:
            del row.replies[row.replies_kept :]
            if row not in plain:
                attempt = JobAttempt(
                    job=row.job, number=row.number, checkpoint=row.checkpoint, replies=row.replies_kept
                )
                opening = Open(method=method, message=b"", half_close=True, attempt=attempt)
                self._board.from_client(self.port, [Frame(call_id=self._enter(row), open=opening)], self._now)
        if plain:
            ids = [self._enter(row) for row in plain]
            jobs, numbers = [row.job for row in plain], [row.number for row in plain]
            frame = many_opens(Open(method=method), ids, [b""] * len(ids), jobs, numbers)
            self._board.from_client(self.port, [frame], self._now)

    def _enter(self, row: JobRow) -> int:
        call_id = self._next_id()
        self.live[call_id] = Live(row, row.number, replies=row.replies_kept)
        if row.plan.is_cancelled:
            self._world.schedule.soon(0.05, lambda: self._cancel(row))
        return call_id

    def _cancel(self, row: JobRow) -> None:
        row.is_cancelling |= not row.outcomes
        for call_id, live in self.live.items():
            if live.row is row:
                self._soon(Frame(call_id=call_id, cancel=Cancel()))

    @property
    def _now(self) -> float:
        return self._world.schedule.now

    def _soon(self, frame: Frame) -> None:
        """Send a frame when the switchboard is not at it."""
        life = self._life

        def send() -> None:
            if self._life == life and self._world.hub.is_up and frame.call_id in self.live:
                self._board.from_client(self.port, [frame], self._now)
                self._world.hub.settle()

        self._world.think(send)

    def _take(self, frame: Frame) -> None:
        live, kind = self.live[frame.call_id], frame.WhichOneof("event")
        row = live.row
        if kind == "message":
            self._take_reply(frame, live)
        elif kind == "checkpoint":
            live.checkpoints += 1
            state, count, replies = frame.checkpoint.state, live.checkpoints, live.replies
            assert state == b"after %d" % replies, f"the checkpoint of job {row.job} came before its replies"

            def keep() -> None:
                if row.is_held and row.number == live.number:
                    row.checkpoint, row.replies_kept = state, replies
                    self._soon(Frame(call_id=frame_id, kept=Kept(checkpoints=count, replies=replies)))

            frame_id = frame.call_id
            self._commit(keep)
        elif kind == "end":
            del self.live[frame.call_id]
            reply = frame.end.message if frame.end.HasField("message") else None
            if reply is None and live.receiver is not None and not row.plan.replies and len(live.receiver):
                reply = live.receiver.read()
            end = (live.number, frame.end.status, reply)
            self._commit(lambda: self._record_end(row, end, live.worker))
        else:
            assert kind == "progress"

    def _take_reply(self, frame: Frame, live: Live) -> None:
        if live.receiver is None:
            live.receiver = MessageReceiver(frame.call_id, MESSAGE_BYTES_MAX)
        receiver, row, call_id = live.receiver, live.row, frame.call_id
        receiver.feed(frame.message.data, more=frame.message.more)
        while row.plan.replies and len(receiver):
            reply, place = receiver.read(), live.replies
            assert reply == payload(row.job, live.number, place, row.plan.replies[place]), "a reply is not the next"
            live.replies += 1

            def keep(place: int = place, reply: bytes = reply) -> None:
                if row.is_held and row.number == live.number:
                    assert len(row.replies) == place, f"reply {place} of job {row.job} was kept twice, or too early"
                    row.replies.append(reply)
                    self._soon(Frame(call_id=call_id, kept=Kept(checkpoints=0, replies=len(row.replies))))

            self._commit(keep)
        grant = receiver.grant()
        if grant is not None:
            self._soon(grant)

    # --- the disk -----------------------------------------------------------------------------------------------------

    def _commit(self, action) -> None:  # type: ignore[no-untyped-def]  # an Action
        """Write something down, unless the hub dies before; in the order in which it was asked."""
        life = self._life
        # One writer: what was asked later is not written earlier.
        self._written_at = max(self._now, getattr(self, "_written_at", 0.0)) + 1e-6
        at = self._written_at + COMMIT_MEAN_S

        def write() -> None:
            if self._life == life:
                action()

        self._world.schedule.after(at - self._now, write)

    def _record_end(self, row: JobRow, end: tuple[int, int, bytes | None], worker: WorkerPort | None) -> None:
        number, status, _ = end
        if worker is not None:
            tell_recorded(worker, [(row.job, number)])
        if not row.is_held or row.number != number:
            return
        row.is_held = False
        if status == UNAVAILABLE and not row.is_cancelling:
            row.lost.append(number)
            return
        row.outcomes.append(end)

    def _record_loss(self, row: JobRow, number: int, *, is_begun: bool) -> None:
        if not row.is_held or row.number != number:
            return
        row.is_held = False
        if is_begun:
            row.lost.append(number)
        if row.is_cancelling:
            row.outcomes.append((number, CANCELLED, None))

    def _give_up_orphans(self, life: int) -> None:
        if self._life == life:
            for job in sorted(self._orphans):
                self._record_loss(self.rows[job], self.rows[job].number, is_begun=True)
            self._orphans = set()

    # --- what has to hold ---------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        """Assert what holds once everything has come to rest."""
        is_kind = set(self._world.profile.faults) <= {"restart", "slots", "client_leaves"}
        for row in self.rows.values():
            assert len(row.outcomes) == 1, f"job {row.job} has {len(row.outcomes)} outcomes"
            [(number, status, reply)] = row.outcomes
            if is_kind:
                # One that was claimed and had not left the hub when that died has run nowhere.
                run = [number for number in row.lost if (row.job, number) in self.executed]
                assert not run, f"job {row.job} lost attempts {run} that ran, and no worker was away for long"
            if status != OK:
                assert status == CANCELLED, f"job {row.job} ended with {status}"
                assert row.is_cancelling
                continue
            assert (row.job, number) in self.executed
            if row.plan.replies:
                assert len(row.replies) == len(row.plan.replies)
            else:
                assert reply == payload(row.job, number, 0, row.plan.reply)


def draw_plan(world: "World") -> JobPlan:
    """Return what one more job shall be."""
    rng, profile = world.schedule.rng, world.profile
    sizes = (0, 10, 3_000) + ((9_000, 100_000) if profile.are_messages_large else ())
    replies = tuple(rng.choice(sizes) for _ in range(rng.choice((0, 0, 1, 3, 9))))
    return JobPlan(
        method=rng.choice(METHODS),
        replies=replies,
        reply=rng.choice(sizes),
        checkpoint_after=rng.randint(0, len(replies)) if replies and rng.random() < 0.5 else None,
        is_cancelled="cancel" in profile.troubles and rng.random() < 0.2,
        goes_as_many=rng.random() < 0.5,
        steps=rng.choice((0, 1, 5, 30, 200)),
    )


class SimAttempt:
    """One attempt, where it runs. It knows nothing of sessions."""

    def __init__(self, worker: "SimWorker", frame: Frame) -> None:
        self._worker = worker
        self._world = worker.world
        self._link = worker.holding
        self._id = frame.call_id
        attempt = frame.open.attempt
        row = self._world.hub.jobs.rows[attempt.job]
        self._pair = (attempt.job, attempt.number)
        self._plan = row.plan
        self._sender = MessageSender(frame.call_id, self._link.send)
        self._written = attempt.replies
        assert attempt.checkpoint == (b"after %d" % attempt.replies if attempt.HasField("checkpoint") else b"")
        self._steps = row.plan.steps
        self._has_checkpoint = attempt.HasField("checkpoint")
        self._checkpoints = 0
        self._checkpoints_kept = 0
        self._is_over = False
        self._is_due = False
        executed = self._world.hub.jobs.executed
        assert self._pair not in executed, f"attempt {self._pair} was begun at {executed[self._pair]} and {worker.name}"
        executed[self._pair] = worker.name
        self._work_soon()

    def __repr__(self) -> str:
        return f"attempt {self._pair} at {self._worker.name}"

    def on_frame(self, frame: Frame) -> None:
        """Take what the hub, or what keeps the attempt, sends."""
        kind = frame.WhichOneof("event")
        if kind == "cancel":
            self._world.think(self._stop)
        elif kind == "credit":
            self._sender.grant(frame.credit.bytes)
        else:
            assert kind == "kept", f"an attempt was sent {kind}"
            self._checkpoints_kept = frame.kept.checkpoints
        self._work_soon()

    def abandon(self) -> None:
        """Be gone with the worker."""
        self._is_over = True

    def _work_soon(self) -> None:
        if not (self._is_over or self._is_due):
            self._is_due = True
            self._world.think(self._work)

    def _work(self) -> None:
        self._is_due = False
        if self._is_over or not self._sender.is_idle or self._checkpoints > self._checkpoints_kept:
            return
        if self._steps:
            self._steps -= 1
            self._link.send(Frame(call_id=self._id, progress=Progress(done=self._steps)), 0)
        elif self._plan.checkpoint_after == self._written and not self._has_checkpoint:
            self._has_checkpoint = True
            self._checkpoints += 1
            self._link.send(Frame(call_id=self._id, checkpoint=Checkpoint(state=b"after %d" % self._written)), 0)
            return
        elif self._written < len(self._plan.replies):
            job, number = self._pair
            self._sender.write(payload(job, number, self._written, self._plan.replies[self._written]))
            self._written += 1
        else:
            self._end()
        self._work_soon()

    def _end(self) -> None:
        if self._plan.replies:
            self._finish(End(status=OK))
            return
        message = payload(*self._pair, 0, self._plan.reply)
        if len(message) < 4_096:
            self._leave()
            self._link.end_ok(self._id, message)
        elif self._written:
            self._finish(End(status=OK))
        else:
            self._written = 1
            self._sender.write(message)

    def _stop(self) -> None:
        if not self._is_over:
            self._finish(End(status=CANCELLED))

    def _finish(self, end: End) -> None:
        self._leave()
        self._link.send(Frame(call_id=self._id, end=end), 0)

    def _leave(self) -> None:
        self._is_over = True
        self._worker.note_attempt_end(self._id)
