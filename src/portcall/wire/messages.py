"""The messages of one direction of a call: cut into frames and put together again, within the credit that was granted.

Neither class does I/O. A unary call whose messages are small needs neither: its request is one `Open`, its reply one
`End`.
"""

from collections import deque
from collections.abc import Callable

from portcall.errors import ProtocolError
from portcall.protos.link_rules import (
    CREDIT_BYTES_INITIAL,
    CREDIT_BYTES_MAX,
    FRAME_COST_BYTES_MIN,
    FRAME_MESSAGE_BYTES_MAX,
    frame_cost,
)
from portcall.protos.portcall.v1.link_pb2 import Credit, Frame, HalfClose, Message
from portcall.wire.limits import WINDOW_BYTES

GRANT_BELOW_BYTES = CREDIT_BYTES_INITIAL // 2
"""A receiver grants anew once the sender has less than this left, so that most calls need no grant at all."""

GRANT_BYTES_MIN = WINDOW_BYTES // 4


class MessageSender:
    """Sends the messages of one direction of a call, no faster than the receiver grants.

    One message at a time: the next may be written once `is_idle`.
    """

    __slots__ = ("_call_id", "_credit", "_is_finished", "_is_half_closed", "_offset", "_pending", "_send")

    def __init__(self, call_id: int, send: Callable[[Frame, int], None]) -> None:
        self._call_id = call_id
        self._send = send
        self._credit = CREDIT_BYTES_INITIAL
        self._pending: bytes | None = None
        self._offset = 0
        self._is_finished = False
        self._is_half_closed = False

    @property
    def is_idle(self) -> bool:
        """Whether the last message has wholly gone to the link."""
        return self._pending is None

    def spend(self, message_bytes: int) -> None:
        """Account for a message that went inline with another frame."""
        self._credit -= frame_cost(message_bytes)

    def can_inline(self, message_bytes: int) -> bool:
        """Whether a message of this size may go inline with another frame now."""
        return (
            self._pending is None
            and message_bytes <= FRAME_MESSAGE_BYTES_MAX
            and frame_cost(message_bytes) <= self._credit
        )

    def write(self, message: bytes) -> None:
        """Send as much of the message as there is credit for; the rest goes when `grant` is called."""
        if self._pending is not None:
            raise RuntimeError("a message was written before the one before it had gone")
        if self._is_finished:
            raise RuntimeError("a message was written after the half-close")
        self._pending, self._offset = message, 0
        self._flush()

    def finish(self) -> None:
        """Send the half-close, behind the message that may still wait. Idempotent."""
        self._is_finished = True
        self._flush()

    def grant(self, count: int) -> None:
        """Take credit that the receiver granted, and send what waited for it.

        Raises:
            ProtocolError: more than a call can hold.
        """
        self._credit += count
        if self._credit > CREDIT_BYTES_MAX:
            raise ProtocolError(f"a grant of {count} bytes lifts a call's credit past {CREDIT_BYTES_MAX}")
        self._flush()

    def _flush(self) -> None:
        while self._pending is not None and self._credit >= FRAME_COST_BYTES_MIN:
            end = self._offset + min(self._credit, FRAME_MESSAGE_BYTES_MAX)
            chunk = self._pending[self._offset : end]
            is_last = end >= len(self._pending)
            self._credit -= frame_cost(len(chunk))
            self._offset = end
            if is_last:
                self._pending = None
            self._send(Frame(call_id=self._call_id, message=Message(data=chunk, more=not is_last)), len(chunk))
        if self._is_finished and self._pending is None and not self._is_half_closed:
            self._is_half_closed = True
            self._send(Frame(call_id=self._call_id, half_close=HalfClose()), 0)


class MessageReceiver:
    """Puts the messages of one direction of a call together, and says when the sender may be granted more.

    Holds at most a window of whole messages that nobody has read, and one unfinished message of up to
    `message_bytes_max`.
    """

    __slots__ = ("_call_id", "_chunks", "_chunks_bytes", "_message_bytes_max", "_messages", "_outstanding", "_unread")

    def __init__(self, call_id: int, message_bytes_max: int) -> None:
        self._call_id = call_id
        self._message_bytes_max = message_bytes_max
        self._messages: deque[bytes] = deque()
        self._chunks: list[bytes] = []
        self._chunks_bytes = 0
        self._unread = 0
        self._outstanding = CREDIT_BYTES_INITIAL

    def __len__(self) -> int:
        """Return how many whole messages can be read now."""
        return len(self._messages)

    @property
    def is_between_messages(self) -> bool:
        """Whether no message is unfinished."""
        return not self._chunks

    def feed(self, chunk: bytes, *, more: bool = False) -> None:
        """Take a message or a chunk of one.

        Raises:
            ProtocolError: the sender had no credit for it.
            MessageTooLargeError: the message is larger than what this receiver takes.
        """
        self._outstanding -= frame_cost(len(chunk))
        if self._outstanding < 0:
            raise ProtocolError(f"call {self._call_id} sent {-self._outstanding} bytes more than it had credit for")
        if self._chunks_bytes + len(chunk) > self._message_bytes_max:
            raise MessageTooLargeError(self._message_bytes_max)
        if more:
            self._chunks.append(chunk)
            # As credit counts them, or tiny chunks would hold far more memory than the message has bytes.
            self._chunks_bytes += frame_cost(len(chunk))
            return
        if self._chunks:
            self._chunks.append(chunk)
            chunk = b"".join(self._chunks)
            self._chunks, self._chunks_bytes = [], 0
        self._messages.append(chunk)
        self._unread += frame_cost(len(chunk))

    @property
    def bytes_unread(self) -> int:
        """Return what the whole messages here have taken of the credit."""
        return self._unread

    def peek(self, index: int) -> bytes:
        """Return a whole message, the oldest at index 0, and leave it here."""
        return self._messages[index]

    def feed_last(self, message: bytes) -> None:
        """Take the message that came inline with the end."""
        self._messages.append(message)

    def read(self) -> bytes:
        """Remove and return the oldest whole message; there must be one."""
        message = self._messages.popleft()
        self._unread -= frame_cost(len(message))
        return message

    def grant(self) -> Frame | None:
        """Return the grant that is due to the sender, if one is. Call it after `feed` and after `read`."""
        if self._outstanding > GRANT_BELOW_BYTES:
            return None
        count = WINDOW_BYTES - self._unread - self._outstanding
        if count < GRANT_BYTES_MIN:
            return None
        self._outstanding += count
        return Frame(call_id=self._call_id, credit=Credit(bytes=count))


class MessageTooLargeError(Exception):
    """A message passes the receiver's limit. `str()` is the status message for the caller."""

    def __init__(self, message_bytes_max: int) -> None:
        super().__init__(f"Received message larger than max ({message_bytes_max} bytes)")
