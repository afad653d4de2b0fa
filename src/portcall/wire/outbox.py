"""Frames that wait to be sent on one link, in the order in which they shall go.

Three orders meet here. Events of the link itself (pings, drains) go before anything else. Opens, and frames with little
or no message, follow in the order they came: the ids of the opens on a link have to rise. Other frames with
`TURN_BYTES_MIN` or more of a message take turns, call by call, so that a large message never holds up a link; whatever
follows such a frame in its own call waits behind it. Cancels and credits do not wait: they overtake the messages of
their own call, though never its open.
"""

from collections import OrderedDict, deque

from portcall.protos.link_rules import detached
from portcall.protos.portcall.v1.link_pb2 import Frame
from portcall.wire.limits import BATCH_BYTES_MAX, BATCH_FRAMES_MAX, GATHER_FRAMES, TURN_BYTES_MIN

FRAME_OVERHEAD_BYTES = 64
"""What a frame is taken to cost beside its message, in the accounts of an outbox."""


class Outbox:
    """The queue of one link's writer.

    Bounded from outside: calls are bounded by slots and limits, and each call by its credit. `bytes_queued` is there
    for the owner to see when a peer does not read.
    """

    __slots__ = (
        "_grants",
        "_is_hasty",
        "_is_holding",
        "_returned",
        "_returned_bytes",
        "_small",
        "_small_bytes",
        "_turn_bytes",
        "_turns",
        "_urgent",
    )

    def __init__(self) -> None:
        self._urgent: list[Frame] = []
        self._small: list[Frame] = []
        self._small_bytes = 0
        self._grants: dict[int, Frame] = {}
        """The credit frames that wait, by call."""
        self._turns: OrderedDict[int, deque[tuple[Frame, int]]] = OrderedDict()
        self._turn_bytes = 0
        self._is_hasty = False
        self._is_holding = False
        self._returned: list[Frame] = []
        self._returned_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._small or self._turns or self._urgent or self._returned)

    @property
    def bytes_queued(self) -> int:
        """Return about how many bytes wait here."""
        return self._small_bytes + self._turn_bytes + self._returned_bytes + FRAME_OVERHEAD_BYTES * len(self._small)

    @property
    def may_gather(self) -> bool:
        """Whether only small frames of calls wait here, and few of them."""
        return 0 < len(self._small) < GATHER_FRAMES and not (self._is_hasty or self._turns)

    def put_urgent(self, frame: Frame) -> None:
        """Queue an event of the link itself. Of pongs only the newest waits, or a peer could pile them up."""
        if frame.HasField("pong"):
            self._urgent = [event for event in self._urgent if not event.HasField("pong")]
        self._urgent.append(frame)
        self._is_hasty = True

    def put(self, frame: Frame, message_bytes: int) -> None:
        """Queue a frame of a call, with the number of message and metadata bytes that it carries."""
        if self._is_holding:
            frame = detached(frame)
        if (message_bytes < TURN_BYTES_MIN and (not self._turns or frame.call_id not in self._turns)) or frame.HasField(
            "open"
        ):
            self._small.append(frame)
            self._small_bytes += message_bytes
            return
        cost = message_bytes + FRAME_OVERHEAD_BYTES
        self._turn_bytes += cost
        turn = self._turns.get(frame.call_id)
        if turn is None:
            turn = self._turns[frame.call_id] = deque()
        turn.append((frame, cost))

    def put_ahead(self, frame: Frame) -> None:
        """Queue a credit or a cancel before the messages that its call has waiting.

        Grants to one call that wait become one, or a peer that grants little by little could pile them up.
        """
        if self._is_holding:
            frame = detached(frame)
        if frame.HasField("credit"):
            waiting = self._grants.setdefault(frame.call_id, frame)
            if waiting is not frame:
                waiting.credit.bytes += frame.credit.bytes
                return
        self._small.append(frame)
        self._is_hasty = True

    def drop_chunks(self, call_id: int) -> None:
        """Forget the messages of a call that nobody wants any more."""
        turn = self._turns.pop(call_id, None) if self._turns else None
        if turn is not None:
            self._turn_bytes -= sum(cost for _, cost in turn)

    def hold(self) -> None:
        """Until the next batch is taken, keep what waits here in frames that stand alone. Idempotent."""
        if self._is_holding:
            return
        self._is_holding = True
        self._grants.clear()
        self._small = [detached(frame) for frame in self._small]
        for call_id, turn in self._turns.items():
            self._turns[call_id] = deque((detached(frame), cost) for frame, cost in turn)

    def put_back(self, frames: list[Frame]) -> None:
        """Queue frames before all others that were taken, and did not fit into their batch."""
        self._returned = frames + self._returned
        self._returned_bytes = sum(frame.ByteSize() for frame in self._returned)

    def take(self) -> list[Frame]:
        """Remove and return the next batch; empty if nothing waits."""
        if self._returned:
            batch, self._returned, self._returned_bytes = self._returned, [], 0
            return batch
        batch = self._urgent
        self._urgent = []
        self._is_hasty = self._is_holding = False
        if self._small:
            self._grants.clear()
            batch = self._take_small(batch)
        if self._turns:
            self._take_turns(batch)
        return batch

    def take_unsent_calls(self, calls: dict[int, list[Frame]] | None = None) -> dict[int, list[Frame]]:
        """Remove and return the frames of the calls whose open still waits here, by call id, each in its order.

        Nothing of these calls has reached the other side, so they may be sent elsewhere (gRPC's transparent retry).
        So may `calls`, of which the other side has frames that it has not looked at; what waits here is added to them.
        """
        frames = [*self._returned, *self._small, *(frame for turn in self._turns.values() for frame, _ in turn)]
        if calls is None:
            calls = {}
        for frame in frames:
            if frame.HasField("open"):
                calls[frame.call_id] = [frame]
            elif frame.call_id in calls:
                calls[frame.call_id].append(frame)
        self.clear()
        return calls

    def clear(self) -> None:
        """Forget everything."""
        self._urgent, self._small, self._turns, self._returned = [], [], OrderedDict(), []
        self._small_bytes = self._turn_bytes = self._returned_bytes = 0
        self._grants.clear()

    def _take_small(self, batch: list[Frame]) -> list[Frame]:
        small = self._small
        if len(small) <= BATCH_FRAMES_MAX and self._small_bytes <= BATCH_BYTES_MAX:
            self._small, self._small_bytes = [], 0
            return batch + small if batch else small
        size = taken = 0
        for frame in small[:BATCH_FRAMES_MAX]:
            size += frame.ByteSize()
            taken += 1
            if size >= BATCH_BYTES_MAX:
                break
        self._small = small[taken:]
        # The accounts hold message bytes only, so they may drain faster than the true size; never below nothing.
        self._small_bytes = max(0, self._small_bytes - size) if self._small else 0
        return batch + small[:taken]

    def _take_turns(self, batch: list[Frame]) -> None:
        turns, size = self._turns, 0
        # A call with small frames left behind waits for them: its open may be among them.
        behind = {frame.call_id for frame in self._small}
        ready = deque(turns if not behind else (call_id for call_id in turns if call_id not in behind))
        while ready and size < BATCH_BYTES_MAX:
            call_id = ready.popleft()
            turn = turns[call_id]
            frame, cost = turn.popleft()
            if turn:
                turns.move_to_end(call_id)
                ready.append(call_id)
            else:
                del turns[call_id]
            batch.append(frame)
            size += cost
            self._turn_bytes -= cost
