"""Frames that wait to be sent on one link, in the order in which they shall go.

Three orders meet here. Events of the link itself (pings, drains) go before anything else. Opens, and frames with little
or no message, follow in the order they came: the ids of the opens on a link have to rise. Other frames with
`TURN_BYTES_MIN` or more of a message take turns, call by call, so that a large message never holds up a link; whatever
follows such a frame in its own call waits behind it. Cancels and credits do not wait: they overtake the messages of
their own call, though never its open.

What is put here is copied at once to where it will be sent from: small frames into the batch that is being filled, the
others into bytes of their own. So nothing here keeps the batch alive that a frame came in, and taking a batch is one
serialisation. Who makes a frame by itself lets `add` make it in its place, which saves the copy. Batches are joined as
bytes, since protobuf takes concatenated messages for one (https://protobuf.dev/programming-guides/encoding, "last one
wins").
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from portcall.protos.link_rules import singly
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames
from portcall.wire.limits import BATCH_BYTES_MAX, GATHER_BYTES, STREAM_BYTES_MAX, TURN_BYTES_MIN

FRAME_OVERHEAD_BYTES: Final = 256
"""What a small frame is taken to cost beside its message, in the accounts of an outbox."""

MANY_OVERHEAD_BYTES: Final = 64
"""The same for a call in a frame of many. Not less than a batch's bytes by the calls that one frame may have."""


class Outbox:
    """The queue of one link's writer.

    Bounded from outside: calls are bounded by slots and limits, and each call by its credit. `bytes_queued` is there
    for the owner to see when a peer does not read.
    """

    __slots__ = (
        "_add",
        "_append",
        "_batch",
        "_end_id",
        "_end_message",
        "_full",
        "_full_bytes",
        "_grants",
        "_is_hasty",
        "_room_bytes",
        "_turn_bytes",
        "_turns",
        "_urgent",
    )

    def __init__(self) -> None:
        self._urgent: list[Frame] = []
        self._full: deque[tuple[Frames, int]] = deque()
        """Batches of small frames that are as large as a batch may be, with their bytes."""
        self._full_bytes = 0
        self._room_bytes: int = BATCH_BYTES_MAX
        """What may still be put into the batch that is being filled. The last frame may take more than is left."""
        self._end_id: Callable[[int], None] | None
        self._end_message: Callable[[bytes], None] | None
        self._begin_batch()
        self._grants: dict[int, Frame] = {}
        """The credit frames that wait, by call."""
        self._turns: OrderedDict[int, deque[bytes]] = OrderedDict()
        """The frames that take turns, by call, each serialised as a batch of one."""
        self._turn_bytes = 0
        self._is_hasty = False

    def __bool__(self) -> bool:
        return bool(self._room_bytes < BATCH_BYTES_MAX or self._turns or self._full or self._urgent)

    @property
    def bytes_queued(self) -> int:
        """Return about how many bytes wait here."""
        return BATCH_BYTES_MAX - self._room_bytes + self._full_bytes + self._turn_bytes

    @property
    def may_gather(self) -> bool:
        """Whether only small frames of calls wait here, and few of them."""
        is_little = 0 < BATCH_BYTES_MAX - self._room_bytes < GATHER_BYTES
        return is_little and not (self._is_hasty or self._full or self._turns)

    def put_urgent(self, frame: Frame) -> None:
        """Queue an event of the link itself. Of pongs only the newest waits, or a peer could pile them up."""
        if frame.HasField("pong"):
            self._urgent = [event for event in self._urgent if not event.HasField("pong")]
        self._urgent.append(frame)
        self._is_hasty = True

    def add(self, message_bytes: int) -> Frame:
        """Queue the open of a call, or a frame of a call that has nothing else waiting, and return it to be filled now.

        `message_bytes` is what it will carry of message and metadata.
        """
        frame = self._add()
        self._room_bytes -= message_bytes + FRAME_OVERHEAD_BYTES
        if self._room_bytes <= 0:
            self._close_batch()
        return frame

    def add_end(self, call_id: int, message: bytes) -> None:
        """Queue the end of a call that has sent nothing yet, OK and with a small reply, with others of the kind."""
        if self._end_id is None or self._end_message is None:
            ends = self._add().ends
            self._end_id, self._end_message = ends.call_ids.append, ends.messages.append
        self._end_id(call_id)
        self._end_message(message)
        self._room_bytes -= len(message) + MANY_OVERHEAD_BYTES
        if self._room_bytes <= 0:
            self._close_batch()

    def put(self, frame: Frame, message_bytes: int) -> None:
        """Queue a frame of a call, or of many, with the number of message and metadata bytes that it carries."""
        call_id = frame.call_id
        if (
            (message_bytes < TURN_BYTES_MIN and (not self._turns or call_id not in self._turns))
            or not call_id
            or frame.HasField("open")
        ):
            self._append(frame)
            room = self._room_bytes = self._room_bytes - message_bytes - FRAME_OVERHEAD_BYTES
            if room <= 0:
                self._close_batch()
            return
        alone = Frames(frames=(frame,)).SerializeToString()
        self._turn_bytes += len(alone)
        turn = self._turns.get(call_id)
        if turn is None:
            turn = self._turns[call_id] = deque()
        turn.append(alone)

    def put_ahead(self, frame: Frame) -> None:
        """Queue a credit or a cancel before the messages that its call has waiting.

        Grants to one call that wait become one, or a peer that grants little by little could pile them up.
        """
        is_credit = frame.HasField("credit")
        if is_credit and (waiting := self._grants.get(frame.call_id)) is not None:
            waiting.credit.bytes += frame.credit.bytes
            return
        copy = self.add(0)
        copy.CopyFrom(frame)
        if is_credit:
            self._grants[frame.call_id] = copy
        self._is_hasty = True

    def drop_chunks(self, call_id: int) -> None:
        """Forget the messages of a call that nobody wants any more."""
        turn = self._turns.pop(call_id, None) if self._turns else None
        if turn is not None:
            self._turn_bytes -= sum(map(len, turn))

    def take(self, seq: int, ack: int) -> bytes:
        """Remove and return the next batch, with these numbers in it."""
        batch = self._take_small()
        batch.seq, batch.ack = seq, ack
        parts = [batch.SerializeToString()]
        if len(parts[0]) > STREAM_BYTES_MAX // 2 and len(batch.frames) > 1:
            # Whoever sent them told too little of their sizes. The stream would break of it, and the next one again.
            self._halve(batch)
            return self.take(seq, ack)
        if self._urgent:
            parts.insert(0, Frames(frames=self._urgent).SerializeToString())
            self._urgent = []
        self._is_hasty = False
        if self._turns:
            self._take_turns(parts)
        return b"".join(parts) if len(parts) > 1 else parts[0]

    def take_unsent_calls(self, calls: dict[int, list[Frame]] | None = None) -> dict[int, list[Frame]]:
        """Remove and return the frames of the calls whose open still waits here, by call id, each in its order.

        Nothing of these calls has reached the other side, so they may be sent elsewhere (gRPC's transparent retry).
        So may `calls`, of which the other side has frames that it has not looked at; what waits here is added to them.
        """
        if calls is None:
            calls = {}
        turns = (Frames.FromString(alone) for turn in self._turns.values() for alone in turn)
        for batch in (*(full for full, _ in self._full), self._batch, *turns):
            for frame in singly(batch.frames):
                if frame.HasField("open"):
                    calls[frame.call_id] = [frame]
                elif frame.call_id in calls:
                    calls[frame.call_id].append(frame)
        self.clear()
        return calls

    def clear(self) -> None:
        """Forget everything."""
        self._urgent, self._turns = [], OrderedDict()
        self._full.clear()
        self._grants.clear()
        self._full_bytes = self._turn_bytes = 0
        self._begin_batch()

    def _begin_batch(self) -> None:
        self._batch = Frames()
        self._add = self._batch.frames.add
        self._append = self._batch.frames.append
        self._end_id = self._end_message = None
        self._room_bytes = BATCH_BYTES_MAX

    def _close_batch(self) -> None:
        """Let the batch that is being filled wait as it is, and begin another."""
        self._full.append((self._batch, BATCH_BYTES_MAX - self._room_bytes))
        self._full_bytes += BATCH_BYTES_MAX - self._room_bytes
        self._begin_batch()

    def _take_small(self) -> Frames:
        """Remove and return the next batch of small frames; empty if none waits."""
        if not self._full:
            batch = self._batch
            self._begin_batch()
            self._grants.clear()
            return batch
        batch, size = self._full.popleft()
        self._full_bytes -= size
        if self._grants:
            for frame in batch.frames:
                if frame.HasField("credit"):
                    del self._grants[frame.call_id]
        return batch

    def _halve(self, batch: Frames) -> None:
        """Queue a batch again as two, before all others."""
        half = len(batch.frames) // 2
        halves = (Frames(frames=batch.frames[:half]), Frames(frames=batch.frames[half:]))
        for part in reversed(halves):
            self._full.appendleft((part, part.ByteSize()))
            self._full_bytes += part.ByteSize()

    def _take_turns(self, parts: list[bytes]) -> None:
        """Add frames of calls that take turns until the batch is large enough."""
        turns, size = self._turns, 0
        # A call with small frames left behind waits for them: its open may be among them.
        left = (*(full for full, _ in self._full), self._batch)
        behind = {frame.call_id for batch in left for frame in batch.frames}
        ready = deque(turns if not behind else (call_id for call_id in turns if call_id not in behind))
        while ready and size < BATCH_BYTES_MAX:
            call_id = ready.popleft()
            turn = turns[call_id]
            alone = turn.popleft()
            if turn:
                turns.move_to_end(call_id)
                ready.append(call_id)
            else:
                del turns[call_id]
            parts.append(alone)
            size += len(alone)
            self._turn_bytes -= len(alone)
