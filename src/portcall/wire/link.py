"""One end of a link, without I/O: bytes in and frames out, frames in and bytes out.

Theory of operation. A link outlives the gRPC stream beneath it. Each batch that a side sends has a number, and is kept
until the other side has acknowledged it. When the stream breaks, the link is *suspended*: its owner goes on as before
and what it sends is queued. When the same session comes back on another stream, each side tells the highest number
that it has, the other side repeats what follows, and the link goes on; what arrives twice is recognised by its number.
So a drop is invisible to calls, and nothing is lost or repeated. The same scheme keeps XMPP sessions (XEP-0198).

What moves a link from state to state is `TRANSITIONS` and nothing else.
"""

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

from google.protobuf.message import DecodeError

from portcall.errors import ProtocolError
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames, Goodbye
from portcall.wire.limits import ACK_BATCHES, ACK_BYTES, UNACKED_BYTES_MAX
from portcall.wire.outbox import Outbox


class LinkState(Enum):
    """Where a link is in its life."""

    NEW = "new"
    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class LinkEvent(Enum):
    """What can happen to a link."""

    ESTABLISHED = "established"
    STREAM_LOST = "stream lost"
    RESUMED = "resumed"
    CLOSED = "closed"


TRANSITIONS: dict[tuple[LinkState, LinkEvent], LinkState] = {
    (LinkState.NEW, LinkEvent.ESTABLISHED): LinkState.OPEN,
    (LinkState.NEW, LinkEvent.CLOSED): LinkState.CLOSED,
    (LinkState.OPEN, LinkEvent.STREAM_LOST): LinkState.SUSPENDED,
    # The new stream may come before the end of the old one was noticed.
    (LinkState.OPEN, LinkEvent.RESUMED): LinkState.OPEN,
    (LinkState.OPEN, LinkEvent.CLOSED): LinkState.CLOSED,
    (LinkState.SUSPENDED, LinkEvent.RESUMED): LinkState.OPEN,
    (LinkState.SUSPENDED, LinkEvent.CLOSED): LinkState.CLOSED,
    (LinkState.CLOSED, LinkEvent.STREAM_LOST): LinkState.CLOSED,
    (LinkState.CLOSED, LinkEvent.CLOSED): LinkState.CLOSED,
}


def goodbye_batch(reason: Goodbye.Reason, details: str) -> bytes:
    """Return the last batch of a side that ends the link."""
    return Frames(frames=[Frame(goodbye=Goodbye(reason=reason, details=details))]).SerializeToString()


class Link:
    """One end of a link.

    The owner calls `send*` and handles what `receive` returns; a pump asks for `next_batch` whenever the stream can
    take one, and sets `on_ready` to be called, once, when there is something to send again.
    """

    __slots__ = (
        "_acked",
        "_goodbye",
        "_outbox",
        "_received",
        "_replay",
        "_sent",
        "_state",
        "_unacked",
        "_unacked_bytes",
        "_unconfirmed_batches",
        "_unconfirmed_bytes",
        "on_ready",
    )

    def __init__(self) -> None:
        self._state = LinkState.NEW
        self._outbox = Outbox()
        self._sent = 0
        self._acked = 0
        self._unacked: deque[bytes] = deque()
        self._unacked_bytes = 0
        self._replay: deque[bytes] = deque()
        self._received = 0
        self._unconfirmed_batches = 0
        self._unconfirmed_bytes = 0
        self._goodbye: bytes | None = None
        self.on_ready: Callable[[], None] | None = None

    @property
    def state(self) -> LinkState:
        """Return where the link is in its life."""
        return self._state

    @property
    def received(self) -> int:
        """Return the highest batch number received."""
        return self._received

    @property
    def bytes_held(self) -> int:
        """Return about how many bytes wait to be sent or acknowledged."""
        return self._outbox.bytes_queued + self._unacked_bytes

    @property
    def may_gather(self) -> bool:
        """Whether a batch is on its way, and what waits behind it is little and nothing that others wait for."""
        return bool(self._unacked) and not self._replay and self._outbox.may_gather

    def move(self, event: LinkEvent) -> None:
        """Change the state.

        Raises:
            RuntimeError: the event cannot happen in this state, which is a defect of the caller's.
        """
        try:
            self._state = TRANSITIONS[self._state, event]
        except KeyError:
            raise RuntimeError(f"a link that is {self._state.value} cannot become {event.value}") from None

    def establish(self) -> None:
        """Begin a new session on a stream whose handshake is done."""
        self.move(LinkEvent.ESTABLISHED)

    def suspend(self) -> None:
        """Go on without a stream, for now."""
        self.move(LinkEvent.STREAM_LOST)
        self.on_ready = None

    def resume(self, received: int) -> None:
        """Go on, on a new stream whose other side has all batches up to `received`.

        Raises:
            ProtocolError: the other side claims batches that were never sent, or forgot some that it had confirmed.
        """
        if not self._acked <= received <= self._sent:
            raise ProtocolError(f"session resumed at batch {received}, but {self._acked} to {self._sent} were possible")
        self.move(LinkEvent.RESUMED)
        self._confirm(received)
        self._replay = deque(self._unacked)
        self._wake()

    def close(self) -> None:
        """End the session and forget what was queued. Idempotent."""
        self.move(LinkEvent.CLOSED)
        self._outbox.clear()
        self._unacked.clear()
        self._replay.clear()
        self._unacked_bytes = 0
        self._wake()

    def send(self, frame: Frame, message_bytes: int = 0) -> None:
        """Queue a frame of a call that carries this many bytes of message and metadata."""
        self._outbox.put(frame, message_bytes)
        if self.on_ready is not None:
            self._wake()

    def add(self, message_bytes: int) -> Frame:
        """Queue the open of a call, or a frame of a call that has nothing else waiting, and return it to be filled now.

        It saves the copy that `send` has to make. `message_bytes` is what it will carry of message and metadata.
        """
        if self.on_ready is not None:
            self._wake()
        return self._outbox.add(message_bytes)

    def end_ok(self, call_id: int, message: bytes) -> None:
        """Queue the end of a call that has sent nothing yet: OK, with a reply of less than `TURN_BYTES_MIN`."""
        if self.on_ready is not None:
            self._wake()
        self._outbox.add_end(call_id, message)

    def send_ahead(self, frame: Frame) -> None:
        """Queue a credit, or a cancel, before the messages that its call has waiting."""
        self._outbox.put_ahead(frame)
        if self.on_ready is not None:
            self._wake()

    def send_event(self, frame: Frame) -> None:
        """Queue an event of the link itself, before everything else."""
        self._outbox.put_urgent(frame)
        if self.on_ready is not None:
            self._wake()

    def say_goodbye(self, reason: Goodbye.Reason, details: str) -> None:
        """Queue the last batch of this side, behind everything that waits to be sent."""
        self._goodbye = goodbye_batch(reason, details)
        self._wake()

    def drop_chunks(self, call_id: int) -> None:
        """Forget the chunks that a call has waiting."""
        self._outbox.drop_chunks(call_id)

    def take_unsent_calls(self, calls: dict[int, list[Frame]] | None = None) -> dict[int, list[Frame]]:
        """Remove and return the frames of the calls of which nothing has left; those of `calls` are added to theirs."""
        return self._outbox.take_unsent_calls(calls)

    def next_batch(self) -> bytes | None:
        """Return the next batch for the stream, or None if there is nothing that may be sent now."""
        if self._replay:
            return self._replay.popleft()
        if self._outbox and self._unacked_bytes < UNACKED_BYTES_MAX:
            self._sent += 1
            batch = self._outbox.take(self._sent, self._received)
            self._unacked.append(batch)
            self._unacked_bytes += len(batch)
        elif self._goodbye is not None and not self._outbox:
            batch, self._goodbye = self._goodbye, None
        elif self._is_ack_due():
            batch = Frames(ack=self._received).SerializeToString()
        else:
            return None
        self._unconfirmed_batches = self._unconfirmed_bytes = 0
        return batch

    def receive(self, batch: bytes) -> Sequence[Frame]:
        """Take a batch from the stream; return its frames, or none of them if the batch came before.

        What still comes for a closed link is let go by.

        Raises:
            ProtocolError: the batch is not what the link's rules allow.
        """
        if self._state is LinkState.CLOSED:
            return []
        try:
            parsed = Frames.FromString(batch)
        except DecodeError:
            raise ProtocolError(f"a batch of {len(batch)} bytes is not a portcall.v1.Frames message") from None
        if parsed.ack > self._acked:
            if parsed.ack > self._sent:
                raise ProtocolError(f"batch {parsed.ack} acknowledged, but only {self._sent} were sent")
            self._confirm(parsed.ack)
            self._wake()
        seq = parsed.seq
        if seq == 0:
            return self._unnumbered(parsed)
        if seq <= self._received:
            return []
        if seq != self._received + 1:
            raise ProtocolError(f"batch {seq} arrived where {self._received + 1} was due")
        self._received = seq
        self._unconfirmed_batches += 1
        self._unconfirmed_bytes += len(batch)
        if self.on_ready is not None and self._is_ack_due():
            self._wake()
        return parsed.frames

    def _unnumbered(self, parsed: Frames) -> Sequence[Frame]:
        frames = parsed.frames
        if frames and (len(frames) > 1 or not frames[0].HasField("goodbye")):
            raise ProtocolError("a batch with frames has no number")
        return frames

    def _is_ack_due(self) -> bool:
        return self._unconfirmed_batches >= ACK_BATCHES or self._unconfirmed_bytes >= ACK_BYTES

    def _confirm(self, received: int) -> None:
        for _ in range(received - self._acked):
            self._unacked_bytes -= len(self._unacked.popleft())
        self._acked = received

    def _wake(self) -> None:
        on_ready, self.on_ready = self.on_ready, None
        if on_ready is not None:
            on_ready()
