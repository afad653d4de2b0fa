"""Replies of one attempt that are not on the hub's disk yet: kept, so that another session can begin with them."""

from collections.abc import Callable

from portcall.protos.portcall.v1.link_pb2 import Frame, Message
from portcall.wire.messages import MessageReceiver, MessageSender

UNBOUNDED = 1 << 62
"""What runs the attempt has said no to messages that are too large."""


class KeptReplies:
    """What has come and is not kept by the hub, and how much of it has gone to the call of the moment.

    The receiver's window bounds it: what runs the attempt is granted more when the hub has kept some.
    """

    __slots__ = ("_receiver", "_sender", "_sent", "kept")

    def __init__(self, id_: int, offset: int) -> None:
        self._receiver = MessageReceiver(id_, UNBOUNDED)
        self._sender: MessageSender | None = None
        self._sent = 0
        """How many of those that are here have gone."""
        self.kept = offset
        """How many replies of the job the hub has kept: the number of the first that is here."""

    @property
    def count(self) -> int:
        """Return how many replies there are, those that the hub has kept included."""
        return self.kept + len(self._receiver)

    @property
    def bytes_held(self) -> int:
        """Return about how many bytes of replies are here."""
        return self._receiver.bytes_unread

    def attach(self, call_id: int, send: Callable[[Frame, int], None], kept: int) -> None:
        """Send to this call, which has the replies before `kept`."""
        self.keep(kept)
        self._sent, self._sender = 0, MessageSender(call_id, send)

    def detach(self) -> None:
        """Let replies wait for another call."""
        self._sender = None

    def feed(self, message: Message) -> None:
        """Take a reply, or a chunk of one."""
        self._receiver.feed(message.data, more=message.more)

    def keep(self, kept: int) -> None:
        """Forget replies that the hub has."""
        while self.kept < kept and len(self._receiver):
            self._receiver.read()
            self.kept += 1
            self._sent = max(0, self._sent - 1)

    def grant(self, count: int) -> None:
        """Take credit of the hub's.

        Raises:
            ProtocolError: more than a call can hold.
        """
        if self._sender is not None:
            self._sender.grant(count)

    def grant_to_runner(self) -> Frame | None:
        """Return the grant that what runs the attempt is due, if it is due one."""
        return self._receiver.grant()

    def send_up_to(self, number: int | None) -> bool:
        """Send what there is credit for of the replies before this number, or of all; return whether they have gone."""
        sender = self._sender
        if sender is None:
            return False
        end = len(self._receiver) if number is None else number - self.kept
        while sender.is_idle and self._sent < end:
            sender.write(self._receiver.peek(self._sent))
            self._sent += 1
        return sender.is_idle and self._sent >= end
