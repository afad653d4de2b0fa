"""Simulated workers: programs that serve, change their slots, drain, and die."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from portcall.protos.link_rules import many_ends, singly
from portcall.protos.portcall.v1.link_pb2 import (
    Contract,
    Drain,
    End,
    Frame,
    Headers,
    HeldAttempt,
    Method,
    Service,
    Slots,
    WorkerHello,
)
from portcall.wire.link import Link
from portcall.wire.messages import MessageReceiver, MessageSender
from portcall.worker.holding import Holding

from .attempts import SimAttempt
from .clients import MESSAGE_BYTES_MAX
from .dialling import SimDialer
from .plans import STOPPED, CallRecord, Way

if TYPE_CHECKING:
    from .world import World


class SimWorker:
    """One worker."""

    def __init__(self, world: "World", name: str, methods: Sequence[str], slots: int) -> None:
        self.world = world
        self.name = name
        self.methods = tuple(methods)
        self.slots = slots
        self._slots_told_max = slots
        self.calls: dict[int, Execution] = {}
        self.holding = Holding(self._run_attempts)
        self.attempts: dict[int, SimAttempt] = {}
        """Those that run, by the ids that they have here."""
        self._id_last = 0
        self._is_draining = False
        self._is_drained = False
        contract = Contract(services=[Service(name=name, methods=[Method(name=method) for method in methods])])
        self.dialer = SimDialer(world, self, WorkerHello(name=name, slots=slots, contract=contract))

    def __repr__(self) -> str:
        return self.name

    @property
    def is_taking_calls(self) -> bool:
        """Whether calls may come here, as far as the worker is concerned."""
        return not (self._is_draining or self.dialer.has_left)

    def names(self) -> list[HeldAttempt]:
        """Return what the hello names."""
        return self.holding.named()

    def on_session(self) -> None:
        """A hub has taken the worker in, with the slots of its hello."""
        self.holding.attach(self.dialer.link)
        self._id_last = 0
        self._is_drained = False
        self._tell_slots()
        if self._is_draining:
            self.dialer.link.send(Frame(drain=Drain()))

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Take what the hub sends."""
        for frame in frames:
            if frame.HasField("opens") and frame.opens.jobs:
                self._id_last = max(frame.opens.call_ids)
                self.holding.take_opens(frame.opens)
            elif frame.HasField("open") and frame.open.HasField("attempt"):
                self._id_last = frame.call_id
                self.holding.take_open(frame)
            elif not self.holding.take(frame):
                self._take_frames(frame)
        self._leave_if_quiet()

    def _take_frames(self, frames: Frame) -> None:
        for frame in singly([frames]):
            if not frame.call_id:
                assert frame.HasField("drain"), "a worker was sent an event that is not for it"
                self._is_drained = True
                continue
            call = self.calls.get(frame.call_id)
            if call is not None:
                call.on_frame(frame)
            elif frame.HasField("open"):
                self._take_open(frame)
            else:
                assert frame.call_id <= self._id_last, f"{self.name} was sent a frame for a call that never was"

    def on_session_lost(self, unsent: dict[int, list[Frame]]) -> None:
        """The callers of all calls are gone."""
        assert not unsent
        for call in list(self.calls.values()):
            call.abandon()
        self.calls.clear()
        self.holding.detach()
        self._leave_if_quiet()

    def on_sent(self, frames: Sequence[Frame]) -> None:
        """Nothing of what leaves a worker is entered in the ledger."""

    def set_slots(self, slots: int) -> None:
        """Take more calls at once from now on, or fewer."""
        self.slots = slots
        self._tell_slots()

    def drain(self) -> None:
        """Take no new calls, and leave when those that run have ended. Idempotent."""
        if not self._is_draining:
            self._is_draining = True
            self.dialer.link.send(Frame(drain=Drain()))

    def die(self) -> None:
        """Be gone without a word."""
        for call in list(self.calls.values()):
            call.abandon()
        self.calls.clear()
        for attempt in self.attempts.values():
            attempt.abandon()
        self.attempts.clear()
        self.holding = Holding(self._run_attempts)
        self.dialer.vanish()

    def note_end(self, call_id: int) -> None:
        """A call is over."""
        del self.calls[call_id]
        self._leave_if_quiet()

    def note_attempt_end(self, id_: int) -> None:
        """An attempt is over."""
        del self.attempts[id_]

    def _run_attempts(self, frames: Sequence[Frame]) -> None:
        for frame in singly(frames):
            attempt = self.attempts.get(frame.call_id)
            if attempt is not None:
                attempt.on_frame(frame)
            elif frame.HasField("open"):
                self.attempts[frame.call_id] = SimAttempt(self, frame)

    def _tell_slots(self) -> None:
        self._slots_told_max = max(self._slots_told_max, self.slots)
        self.dialer.link.send(Frame(slots=Slots(slots=self.slots)))

    def _take_open(self, frame: Frame) -> None:
        call_id, record = frame.call_id, self.world.ledger.of(frame.open.metadata)
        assert call_id > self._id_last, f"{self.name} was sent call {call_id} after call {self._id_last}"
        assert len(self.calls) < self._slots_told_max, f"{self.name} was sent more calls than it has slots"
        assert frame.open.method == record.plan.method
        assert frame.open.method in self.methods, f"{self.name} was sent a call of a method that it does not serve"
        assert not self._is_drained, f"{self.name} was sent a call after it was told that none would follow"
        self._id_last = call_id
        record.executions.append(self.name)
        self.calls[call_id] = Execution(self, self.dialer.link, frame, record)

    def _leave_if_quiet(self) -> None:
        if self._is_drained and not (self.calls or self.attempts) and self.holding.is_empty:
            self.dialer.leave()


class Execution:
    """The servicer's end of one call."""

    def __init__(self, worker: SimWorker, link: Link, frame: Frame, record: CallRecord) -> None:
        self._worker = worker
        self._world = worker.world
        self.link = link
        self._call_id = frame.call_id
        self.record = record
        self._opening = frame.open
        self.sender = MessageSender(frame.call_id, link.send)
        self.receiver = MessageReceiver(frame.call_id, MESSAGE_BYTES_MAX)
        if frame.open.HasField("message"):
            self.receiver.feed(frame.open.message)
        self._is_half_closed = frame.open.half_close
        self._read = 0
        self._written = 0
        self._has_sent = False
        self._is_cancelled = False
        self._is_over = False
        self._is_due = False
        self._work_soon()

    def __repr__(self) -> str:
        return f"{self.record.key} at {self._worker.name}"

    def on_frame(self, frame: Frame) -> None:
        """Take what the caller sends."""
        self._world.watch.touched.append(self)
        kind = frame.WhichOneof("event")
        if kind == "cancel":
            assert not self._is_cancelled, f"{self.record.key} was cancelled twice"
            self._is_cancelled = True
            self._world.think(self._stop)
        elif kind == "message":
            assert not self._is_half_closed, f"a message of {self.record.key} came after its half-close"
            self.receiver.feed(frame.message.data, more=frame.message.more)
            self._grant()
        elif kind == "half_close":
            assert not self._is_half_closed, f"{self.record.key} was half-closed twice"
            assert self.receiver.is_between_messages
            self._is_half_closed = True
        else:
            assert kind == "credit", f"a worker was sent {kind} for a call that runs"
            self.sender.grant(frame.credit.bytes)
        self._work_soon()

    def abandon(self) -> None:
        """Stop without a word, because nobody would hear it."""
        self._is_over = True

    def _work(self) -> None:
        """Do one thing that can be done now: read, reply or end."""
        self._world.watch.touched.append(self)
        self._is_due = False
        if not self._is_over and self._step():
            self._work_soon()

    def _work_soon(self) -> None:
        if not (self._is_due or self._is_over):
            self._is_due = True
            self._world.think(self._work)

    def _step(self) -> bool:
        plan = self.record.plan
        if plan.has_headers and not self._has_sent:
            self._has_sent = True
            self.link.send(Frame(call_id=self._call_id, headers=Headers()))
        elif len(self.receiver):
            self._read_one()
        elif self._may_reply():
            self._reply()
        elif self._may_end():
            self._end()
        else:
            return False
        return True

    def _read_one(self) -> None:
        message = self.receiver.read()
        assert message == self.record.payload(Way.UP, self._read), f"{self.record.key} was given another's message"
        self._read += 1
        self.record.requests_read = self._read
        self._grant()

    def _may_reply(self) -> bool:
        plan = self.record.plan
        if self._written == len(plan.replies) or not self.sender.is_idle or self._is_last_kept():
            return False
        if plan.echoes and not self._is_half_closed:
            return self._written < self._read
        return plan.ends_early or self._has_all()

    def _is_last_kept(self) -> bool:
        """Whether the next reply is the last, and goes with the end."""
        plan = self.record.plan
        is_last = self._written == len(plan.replies) - 1
        return is_last and plan.is_inline and not plan.hangs and self.sender.can_inline(plan.replies[-1])

    def _has_all(self) -> bool:
        return self._is_half_closed and not len(self.receiver)

    def _may_end(self) -> bool:
        plan = self.record.plan
        if plan.hangs or not self.sender.is_idle:
            return False
        has_replied = self._written == len(plan.replies) or self._is_last_kept()
        return has_replied and (plan.ends_early or self._has_all())

    def _reply(self) -> None:
        self._has_sent = True
        self.sender.write(self.record.payload(Way.DOWN, self._written))
        self._written += 1

    def _end(self) -> None:
        plan = self.record.plan
        end, size = End(status=plan.status, details="as planned" if plan.status else ""), 0
        if self._written < len(plan.replies):
            end.message = self.record.payload(Way.DOWN, self._written)
            size = len(end.message)
        self.record.is_served = True
        self._finish(end, size)

    def _stop(self) -> None:
        """End a call that was cancelled."""
        if not self._is_over:
            self.link.drop_chunks(self._call_id)
            self._finish(End(status=STOPPED, details="stopped"), 0)

    def _finish(self, end: End, size: int) -> None:
        self._is_over = True
        if not end.status and end.HasField("message") and not self._has_sent and self.record.plan.goes_as_many:
            self.link.send(many_ends([self._call_id], [end.message]), size)
        else:
            self.link.send(Frame(call_id=self._call_id, end=end), size)
        self._worker.note_end(self._call_id)

    def _grant(self) -> None:
        if not self._is_half_closed:
            frame = self.receiver.grant()
            if frame is not None:
                self.link.send_ahead(frame)
