"""Simulated clients: programs that call, read, stop reading, cancel, and leave."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from portcall.core.refusals import CANCELLED, OK, UNAVAILABLE
from portcall.protos.link_rules import many_opens, singly
from portcall.protos.portcall.v1.link_pb2 import Cancel, End, Frame, HeldAttempt, Open
from portcall.wire.link import Link
from portcall.wire.messages import MessageReceiver, MessageSender

from .dialling import SimDialer
from .plans import CallRecord, Way, draw_plan

if TYPE_CHECKING:
    from .world import World

MESSAGE_BYTES_MAX = 1 << 20
SLOW_READ_MEAN_S = 0.3


class SimClient:
    """One channel and the program behind it."""

    def __init__(self, world: "World", name: str) -> None:
        self._world = world
        self.name = name
        self.calls: dict[int, ClientCall] = {}
        self.given_up: set[int] = set()
        """Calls that this side ended; the hub may still have an end for them under way."""
        self._ended: set[int] = set()
        """Calls for which the hub has sent an end."""
        self._id_last = 0
        self.dialer = SimDialer(world, self, None)
        world.think(self._live)

    def __repr__(self) -> str:
        return self.name

    def names(self) -> list[HeldAttempt]:
        """Return nothing: clients hold no attempts."""
        return []

    def on_session(self) -> None:
        """A hub has answered."""

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Give each frame to its call."""
        for frame in singly(frames):
            call_id = frame.call_id
            assert 0 < call_id <= self._id_last, f"{self.name} was sent a frame for call {call_id}, which never was"
            if frame.HasField("end"):
                assert call_id not in self._ended, f"call {call_id} of {self.name} was ended twice by the hub"
                self._ended.add(call_id)
            call = self.calls.get(call_id)
            if call is not None:
                call.on_frame(frame)
            else:
                assert call_id in self.given_up, f"{frame.WhichOneof('event')} for call {call_id} came after its end"

    def on_session_lost(self, unsent: dict[int, list[Frame]]) -> None:
        """End what the hub has seen; what it has not seen goes to the next session."""
        for call_id, frames in unsent.items():
            if call_id in self.calls:
                for frame in frames:
                    self.dialer.link.send(frame, frame.ByteSize())
        for call_id, call in list(self.calls.items()):
            if call_id not in unsent:
                call.give_up(UNAVAILABLE, "the session was lost")

    def on_sent(self, frames: Sequence[Frame]) -> None:
        """Enter in the ledger which calls leave."""
        for frame in singly(frames):
            if frame.HasField("open"):
                self._world.ledger.of(frame.open.metadata).opens_left_client += 1

    def leave(self) -> None:
        """Give all calls up and go."""
        for call in list(self.calls.values()):
            call.cancel()
        self.dialer.leave()

    def _live(self) -> None:
        """Make one more call, as long as the world wants more."""
        if self.dialer.has_left or not self._world.wants_calls:
            return
        for _ in range(self._world.schedule.rng.choice((1, 1, 1, 3, 20))):
            self._call()
        self._world.think(self._live)

    def _call(self) -> None:
        self._id_last += 1
        plan = draw_plan(self._world.schedule.rng, self._world.profile)
        record = self._world.ledger.add(f"{self.name}.{self._id_last}", plan)
        call = self.calls[self._id_last] = ClientCall(self._world, self, self._id_last, record)
        call.open()


class ClientCall:
    """The caller's end of one call."""

    def __init__(self, world: "World", client: SimClient, call_id: int, record: CallRecord) -> None:
        self._world = world
        self._client = client
        self.call_id = call_id
        self.record = record
        self.sender = MessageSender(call_id, self._send)
        self.receiver = MessageReceiver(call_id, MESSAGE_BYTES_MAX)
        self._written = 0
        self._headers = 0
        self._is_reading = False
        self._is_writing = False
        self.end: End | None = None
        """What the hub ended the call with; messages may still be unread."""

    def __repr__(self) -> str:
        return self.record.key

    @property
    def link(self) -> Link:
        """Return the link of the moment."""
        return self._client.dialer.link

    @property
    def is_over(self) -> bool:
        """Whether the program is done with this call."""
        return self.record.status is not None

    def open(self) -> None:
        """Send the open, with the first message where it fits."""
        plan = self.record.plan
        opening = Open(method=plan.method, metadata=self.record.metadata(), wait_for_ready=plan.is_patient)
        size = 0
        if plan.timeout_s is not None:
            opening.timeout_us = int(plan.timeout_s * 1e6)
        if plan.is_inline and plan.requests and self.sender.can_inline(plan.requests[0]):
            opening.message = self.record.payload(Way.UP, 0)
            size = len(opening.message)
            self.sender.spend(size)
            self._written = 1
        if plan.is_inline and self._written == len(plan.requests):
            opening.half_close = True
        if opening.half_close and opening.HasField("message") and plan.goes_as_many:
            frame = many_opens(opening, [self.call_id], [opening.message])
        else:
            frame = Frame(call_id=self.call_id, open=opening)
        self.link.send(frame, size + 100)
        if not opening.half_close:
            self._write_on()
        if plan.cancels_after_s is not None:
            self._world.schedule.after(plan.cancels_after_s, self.cancel)

    def on_frame(self, frame: Frame) -> None:
        """Take what the hub sends."""
        self._world.watch.touched.append(self)
        kind = frame.WhichOneof("event")
        assert self.end is None, f"{kind} came after the end of {self.record.key}"
        if kind == "message":
            self.receiver.feed(frame.message.data, more=frame.message.more)
            self._grant()
        elif kind == "credit":
            self.sender.grant(frame.credit.bytes)
            self._write_on()
        elif kind == "headers":
            self._headers += 1
            assert self._headers == 1, f"headers of {self.record.key} came twice"
        else:
            assert kind == "end", f"a client was sent {kind}"
            self._take_end(frame.end)
        self._read_on()

    def cancel(self) -> None:
        """Give the call up, and say so."""
        if self.is_over or self.end is not None:
            return
        self.link.drop_chunks(self.call_id)
        self.link.send_ahead(Frame(call_id=self.call_id, cancel=Cancel()))
        self.give_up(CANCELLED, "cancelled by the caller")

    def give_up(self, status: int, details: str) -> None:
        """End the call on this side, unless the hub has ended it already."""
        if self.end is None:
            self._client.given_up.add(self.call_id)
            self._finish(status, details)

    def _send(self, frame: Frame, size: int) -> None:
        self.link.send(frame, size)

    def _write(self) -> None:
        """Send one more message, or the half-close."""
        self._world.watch.touched.append(self)
        self._is_writing = False
        if self.is_over or self.end is not None or not self.sender.is_idle:
            return
        if self._written < len(self.record.plan.requests):
            self.sender.write(self.record.payload(Way.UP, self._written))
            self._written += 1
            if self.record.plan.is_inline and self._written == len(self.record.plan.requests):
                self.sender.finish()
            else:
                self._write_on()
        else:
            self.sender.finish()

    def _write_on(self) -> None:
        """Write in a while what is still to be written."""
        if not self._is_writing:
            self._is_writing = True
            self._world.think(self._write)

    def _take_end(self, end: End) -> None:
        self.end = end
        if end.status == OK:
            assert self.receiver.is_between_messages, f"{self.record.key} ended OK in the middle of a message"
        if end.HasField("message"):
            self.receiver.feed_last(end.message)
        if end.status != OK:
            # As in gRPC, what was not read of a call that failed need not be.
            self._finish(end.status, end.details)

    def _read_on(self) -> None:
        """Read in a while, if there is something to read."""
        if self._is_reading or self.is_over:
            return
        if len(self.receiver):
            self._is_reading = True
            if self.record.plan.reads_slowly and not self._world.is_settling:
                self._world.schedule.soon(SLOW_READ_MEAN_S, self._read)
            else:
                self._world.think(self._read)
        elif self.end is not None:
            self._finish(self.end.status, self.end.details)

    def _read(self) -> None:
        self._world.watch.touched.append(self)
        self._is_reading = False
        if self.is_over:
            return
        message, record = self.receiver.read(), self.record
        assert message == record.payload(Way.DOWN, record.replies_read), f"{record.key} was given another's message"
        record.replies_read += 1
        self._grant()
        self._read_on()

    def _grant(self) -> None:
        if self.end is None:
            frame = self.receiver.grant()
            if frame is not None:
                self.link.send_ahead(frame)

    def _finish(self, status: int, details: str) -> None:
        self._world.watch.touched.append(self)
        self._world.ledger.end(self.record, status, details)
        del self._client.calls[self.call_id]
