"""Calls with a stream of requests, of replies, or of both.

Messages cross between the program's threads and the loop in bunches. A reader that finds nothing asks the loop once and
gets all replies that have come by then; those are bounded by the credit that the hub was granted. A writer may be
`SEND_AHEAD_BYTES` ahead of what the link has taken; past it, it waits.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import grpc

from portcall.client.transport import LinkCall
from portcall.sync.calls import CLOSED, Call, Opening, ended
from portcall.sync.engine import Engine
from portcall.sync.events import (
    KIND,
    Batch,
    InitialMetadata,
    Operations,
    ReceivedMessage,
    ReceivedStatus,
    Tag,
    batch_with,
    first_request,
    renew,
)

SEND_AHEAD_BYTES: Final = 65_536
"""Requests that are taken from the program before those in front of them have left."""

MESSAGE_COST_BYTES: Final = 64
"""What a message that waits counts besides its bytes, so that empty ones are bounded too."""

DEADLINE_EXCEEDED: Final = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]

_RECEIVED: Final = frozenset({KIND.receive_initial_metadata, KIND.receive_message, KIND.receive_status_on_client})


class StreamCall(Call):
    """A call whose messages come one by one.

    The lock guards what both sides of the crossing touch. It is never held while somebody is told something: tags take
    the lock of grpcio's call object, which the program's thread holds when it calls `operate`.
    """

    __slots__ = (
        "_end",
        "_end_batch",
        "_has_one_reply",
        "_is_cut",
        "_is_writing",
        "_lock",
        "_metadata_due",
        "_outgoing",
        "_outgoing_bytes",
        "_read_due",
        "_request",
        "_unread",
        "_write_due",
    )

    def __init__(self, engine: Engine, opening: Opening, batches: Sequence[Batch], *, has_queue: bool) -> None:
        self._request = first_request(batches)
        self._has_one_reply = batch_with(batches, KIND.receive_message) is not None
        self._metadata_due = batch_with(batches, KIND.receive_initial_metadata)
        self._end_batch = batch_with(batches, KIND.receive_status_on_client)
        self._lock = threading.Lock()
        self._unread: deque[bytes] = deque()
        self._read_due: Batch | None = None
        self._outgoing: deque[bytes | None] = deque()
        self._outgoing_bytes = 0
        self._write_due: Batch | None = None
        self._is_writing = False
        self._is_cut = False
        """Whether the call was ended on this side: as in gRPC's core, replies that were not read are not told then."""
        self._end: tuple[Operations, Tag] | None = None
        """The status, while there are replies in front of it that nobody has read."""
        super().__init__(engine, opening, has_queue=has_queue)

    # --- for grpcio's layer, from any thread -----------------------------------------------------------------------

    def operate(self, operations: Operations, tag: Tag) -> bool:
        """Begin a batch; return False if the call is over."""
        kind = operations[0].type()
        if kind == KIND.receive_message:
            return self._receive(operations, tag)
        return self._send(first_request([(operations, tag)]), operations, tag)

    def _receive(self, operations: Operations, tag: Tag) -> bool:
        with self._lock:
            if self._is_told:
                return False
            if not self._unread:
                self._read_due = (operations, tag)
                message = None
            else:
                message = self._unread.popleft()
            end = self._take_end()
        if message is None:
            self._engine.post(self._begin_to_read)
        else:
            self._tell((ReceivedMessage(message),), tag)
        if end is not None:
            self._tell_end(*end)
        return True

    def _send(self, message: bytes | None, operations: Operations, tag: Tag) -> bool:
        """Queue a request, or with None the half-close."""
        with self._lock:
            if self._is_told:
                return False
            self._outgoing.append(message)
            self._outgoing_bytes += _cost(message)
            is_ahead = self._outgoing_bytes > SEND_AHEAD_BYTES
            if is_ahead:
                self._write_due = (operations, tag)
            is_idle, self._is_writing = not self._is_writing, True
        if is_idle:
            self._engine.post(self._begin_to_write)
        if not is_ahead:
            self._tell(operations, tag)
        return True

    def renew(self) -> None:
        """Replace what another thread may have held when this process was forked off."""
        assert self._end_batch is not None
        self._lock = threading.Lock()
        renew(self._end_batch[1])

    def lose(self, details: str) -> None:
        """End the call where there is no loop to end it on."""
        self._release_reader()
        self._release_writer()
        self._finish((), ended(details))

    # --- on the loop -----------------------------------------------------------------------------------------------

    async def _run(self, link_call: LinkCall) -> None:
        metadata = self._opening.metadata
        reply = None
        try:
            if self._has_one_reply:
                self._engine.spawn(self._await_initial_metadata(link_call))
                reply = await link_call.stream_unary(metadata, _ignore)
            elif self._request is not None:
                link_call.add_done_callback(self._on_done)
                await link_call.initiate_unary_stream(self._request, metadata)
            else:
                link_call.add_done_callback(self._on_done)
                await link_call.initiate_stream_stream(metadata, _ignore)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # somebody waits for it in another thread
            link_call.set_internal_error(f"{type(error).__name__}: {error}")
        if self._has_one_reply:
            initial_metadata, status = self._outcome(link_call)
            self._finish(initial_metadata, status, reply)
        else:
            await self._await_initial_metadata(link_call)

    async def _await_initial_metadata(self, link_call: LinkCall) -> None:
        self._tell_initial_metadata(await link_call.initial_metadata())

    def _cancel(self, code: int, details: str) -> None:
        super()._cancel(code, details)
        self._cut()

    def _on_done(self) -> None:
        assert self._link_call is not None
        initial_metadata, status = self._outcome(self._link_call)
        if status.code() == DEADLINE_EXCEEDED:
            self._cut()
        self._finish(initial_metadata, status)

    def _cut(self) -> None:
        with self._lock:
            self._is_cut = True
            self._unread.clear()
        self._release_reader()

    def _begin_to_read(self) -> None:
        if self._link_call is None or self._engine.is_over:
            self.lose(CLOSED)
        else:
            self._engine.spawn(self._read(self._link_call))

    async def _read(self, link_call: LinkCall) -> None:
        messages: list[bytes] = []
        try:
            messages = await link_call.receive_serialized_messages()
        finally:
            with self._lock:
                if not self._is_cut:
                    self._unread.extend(messages)
            self._release_reader()

    def _begin_to_write(self) -> None:
        if self._link_call is None or self._engine.is_over:
            self.lose(CLOSED)
        else:
            self._engine.spawn(self._write(self._link_call))

    async def _write(self, link_call: LinkCall) -> None:
        try:
            while True:
                with self._lock:
                    if not self._outgoing:
                        self._is_writing = False
                        return
                    message = self._outgoing.popleft()
                if message is None:
                    await link_call.send_receive_close()
                else:
                    await link_call.send_serialized_message(message)
                self._note_sent(message)
        except (grpc.aio.BaseError, asyncio.CancelledError):
            # The call is over, and its status says why.
            self._release_writer()

    # --- telling ---------------------------------------------------------------------------------------------------

    def _release_reader(self) -> None:
        """Give the one who waits for a reply the next one, or nothing if none is there."""
        with self._lock:
            due, self._read_due = self._read_due, None
            message = self._unread.popleft() if due is not None and self._unread else None
            end = self._take_end()
        if due is not None:
            self._tell((ReceivedMessage(message),), due[1])
        if end is not None:
            self._tell_end(*end)

    def _note_sent(self, message: bytes | None) -> None:
        with self._lock:
            self._outgoing_bytes -= _cost(message)
            due = None
            if self._outgoing_bytes <= SEND_AHEAD_BYTES:
                due, self._write_due = self._write_due, None
        if due is not None:
            self._tell(*due)

    def _release_writer(self) -> None:
        """Let the one who waits to send go on; nothing is sent any more."""
        with self._lock:
            self._outgoing.clear()
            self._outgoing_bytes = 0
            self._is_writing = False
            due, self._write_due = self._write_due, None
        if due is not None:
            self._tell(*due)

    def _tell_initial_metadata(self, metadata: Any) -> None:
        due, self._metadata_due = self._metadata_due, None
        if due is not None:
            self._tell((InitialMetadata(metadata),), due[1])

    def _finish(self, initial_metadata: Any, status: Any, reply: bytes | None = None) -> None:
        """Tell the status, once all replies in front of it have been read. Idempotent."""
        self._tell_initial_metadata(initial_metadata)
        assert self._end_batch is not None
        operations, tag = self._end_batch
        done = [operation for operation in operations if operation.type() not in _RECEIVED]
        if self._has_one_reply:
            done.append(ReceivedMessage(reply if status.code() == 0 else None))
        done.append(ReceivedStatus(status))
        with self._lock:
            if self._is_told or self._end is not None:
                return
            self._end = (done, tag)
            end = self._take_end()
        if end is not None:
            self._tell_end(*end)

    def _take_end(self) -> tuple[Operations, Tag] | None:
        """Return the status if it is due now. To be called under the lock."""
        if self._end is None or self._unread or self._read_due is not None:
            return None
        end, self._end = self._end, None
        self._is_told = True
        return end


def _cost(message: bytes | None) -> int:
    return MESSAGE_COST_BYTES + len(message or b"")


def _ignore() -> None:
    """Grpcio's observer of metadata that was sent; requests wait for that by themselves."""
