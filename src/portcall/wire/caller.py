"""The caller's end of a call: what it sends, and what has come back so far.

The hub's ingress and the client's channel both are such ends; they differ in where their frames go.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import grpc

from portcall.protos.portcall.v1.link_pb2 import Cancel, End, Frame, Headers, Metadatum
from portcall.wire.messages import MessageReceiver, MessageSender, MessageTooLargeError

RESOURCE_EXHAUSTED: int = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
INTERNAL: int = grpc.StatusCode.INTERNAL.value[0]


class CallSink(Protocol):
    """Where a caller's frames go. `portcall.wire.link.Link` is one."""

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Send a frame, given the number of message and metadata bytes in it."""

    def send_ahead(self, frame: Frame, /) -> None:
        """Send a cancel or a credit, before messages of the same call that still wait."""

    def drop_chunks(self, call_id: int, /) -> None:
        """Forget messages of a call that still wait."""


class ServingSink(CallSink, Protocol):
    """Where the frames go of whoever serves a call."""

    def end_ok(self, call_id: int, message: bytes, /) -> None:
        """Send the end of a call that has sent nothing yet: OK, with a reply of less than `TURN_BYTES_MIN`."""


def open_frame(
    call_id: int,
    method: str,
    metadata: Sequence[Metadatum],
    *,
    timeout_s: float | None = None,
    is_patient: bool = False,
) -> Frame:
    """Return the frame that opens a call. A timeout that has run out already is sent as the shortest there is."""
    frame = Frame(call_id=call_id)
    opening = frame.open
    opening.method = method
    if metadata:
        opening.metadata.extend(metadata)
    if timeout_s is not None:
        opening.timeout_us = min(max(1, int(timeout_s * 1e6)), (1 << 63) - 1)
    if is_patient:
        opening.wait_for_ready = True
    return frame


class CallerEnd:
    """One call from its open to its end, seen by its caller.

    `end` is None while the call lives. `read` and `changed` have one waiter each kind at a time; `finished` any number.
    """

    __slots__ = ("_call_id", "_sink", "_waiters", "end", "headers", "receiver", "sender")

    def __init__(self, call_id: int, sink: CallSink, message_bytes_max: int) -> None:
        self._call_id = call_id
        self._sink = sink
        self._waiters: list[asyncio.Future[None]] = []
        self.sender = MessageSender(call_id, sink.send)
        self.receiver = MessageReceiver(call_id, message_bytes_max)
        self.headers: Headers | None = None
        self.end: End | None = None

    def open(self, frame: Frame, request: bytes | None) -> None:
        """Send the open; with a request, the call is half-closed behind it."""
        if request is None:
            self._sink.send(frame, 0)
        elif self.sender.can_inline(len(request)):
            frame.open.message = request
            frame.open.half_close = True
            self.sender.spend(len(request))
            self._sink.send(frame, len(request))
        else:
            self._sink.send(frame, 0)
            self.sender.write(request)
            self.sender.finish()

    def on_frame(self, frame: Frame) -> None:
        """Take a frame that came for this call.

        Raises:
            ProtocolError: the other side sent without credit.
        """
        if self.end is not None:
            return
        kind = frame.WhichOneof("event")
        if kind == "end":
            self._take_end(frame.end)
        elif kind == "message":
            self._take_message(frame)
        elif kind == "credit":
            self.sender.grant(frame.credit.bytes)
        elif kind == "headers":
            self.headers = frame.headers
        self.wake()

    def finish(self, end: End, *, is_cancel: bool = False) -> None:
        """End the call from this side; with `is_cancel`, the other side is told. Idempotent."""
        if self.end is not None:
            return
        self.end = end
        if is_cancel:
            self._sink.drop_chunks(self._call_id)
            self._sink.send_ahead(Frame(call_id=self._call_id, cancel=Cancel()))
        self.wake()

    async def changed(self) -> None:
        """Wait until something has come or the call has ended."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def finished(self) -> End:
        """Wait for the end."""
        while self.end is None:
            await self.changed()
        return self.end

    async def read(self) -> bytes | None:
        """Return the next message, or None if the call has ended and there is none left."""
        while not len(self.receiver):
            if self.end is not None:
                return None
            await self.changed()
        message = self.receiver.read()
        self._grant()
        return message

    async def write(self, message: bytes) -> bool:
        """Send a message; return once it has gone, False if the call ended before."""
        if self.end is not None:
            return False
        self.sender.write(message)
        while not self.sender.is_idle:
            if self.end is not None:
                return False
            await self.changed()
        return True

    def _take_end(self, end: End) -> None:
        if not self.receiver.is_between_messages and end.status == 0:
            end = End(status=INTERNAL, details="The call ended in the middle of a message")
        elif end.HasField("message"):
            self.receiver.feed_last(end.message)
        self.end = end

    def _take_message(self, frame: Frame) -> None:
        try:
            self.receiver.feed(frame.message.data, more=frame.message.more)
        except MessageTooLargeError as error:
            self.finish(End(status=RESOURCE_EXHAUSTED, details=str(error)), is_cancel=True)
        else:
            self._grant()

    def _grant(self) -> None:
        if self.end is None:
            frame = self.receiver.grant()
            if frame is not None:
                self._sink.send_ahead(frame)

    def wake(self) -> None:
        """Let all who wait look again."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
