"""Calls of the blocking channel, with the methods that grpcio's blocking layer asks of the ones it makes in C.

That layer starts *operations* in batches (send this message, receive one, receive the status) and learns of each batch
by an *event*: a blocking call waits for it in a queue; for a future or a stream, the event's *tag* is called. A tag
takes the lock of the call object and wakes who waits there, so it may be called on the loop, or at once where the
answer is there already. The one that brings the status comes from the delivery thread: it runs the program's callbacks.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

import grpc
from grpc._cython import cygrpc

from portcall.client.transport import LinkCall
from portcall.sync.engine import Engine
from portcall.sync.events import (
    Batch,
    Event,
    InitialMetadata,
    Operations,
    ReceivedMessage,
    ReceivedStatus,
    Tag,
    first_metadata,
    first_request,
    renew,
)

CLOSED: Final = "Channel closed!"

CANCELLED: Final = grpc.StatusCode.CANCELLED.value[0]


class Opening:
    """What a call is made with. Its owner is the channel's transport, which stays while its calls are under way."""

    __slots__ = ("credentials", "deadline", "is_patient", "metadata", "method", "owner")

    def __init__(
        self, owner: object, method: bytes, deadline: float | None, credentials: object | None, batches: Sequence[Batch]
    ) -> None:
        self.owner = owner
        self.method = method
        self.deadline = deadline
        self.credentials = credentials
        self.metadata, self.is_patient = first_metadata(batches)


class Call:
    """What unary calls and streams have in common."""

    __slots__ = ("_cancel_code", "_engine", "_is_told", "_link_call", "_opening", "_queue")

    def __init__(self, engine: Engine, opening: Opening, *, has_queue: bool) -> None:
        self._engine = engine
        self._opening = opening
        self._queue: SimpleQueue[Event] | None = SimpleQueue() if has_queue else None
        self._link_call: LinkCall | None = None
        self._cancel_code = CANCELLED
        self._is_told = False
        engine.calls.add(self)
        engine.post(self._begin)

    def next_event(self) -> Event:
        """Wait for the next batch that is done. A wait that is interrupted, as by Ctrl-C, cancels the call."""
        assert self._queue is not None
        try:
            return self._queue.get()
        except BaseException:
            self.cancel(CANCELLED, "The wait for the reply was interrupted")
            raise

    def cancel(self, code: int, details: str) -> None:
        """End the call with this code, which is another than CANCELLED where the requests have failed."""
        self._engine.post(partial(self._cancel, code, details))

    def renew(self) -> None:
        """Replace what another thread may have held when this process was forked off."""
        raise NotImplementedError

    def lose(self, details: str) -> None:
        """End the call where there is no loop to end it on."""
        raise NotImplementedError

    def _begin(self) -> None:
        engine, opening = self._engine, self._opening
        if engine.is_over or engine.transport.closed():
            self.lose(CLOSED)
            return
        try:
            self._link_call = engine.transport.call(
                opening.method, opening.deadline, opening.credentials, opening.is_patient
            )
            engine.spawn(self._run(self._link_call))
        except Exception as error:
            # A defect of ours; but somebody waits for the end of the call in another thread.
            self.lose(f"{type(error).__name__}: {error}")
            raise

    async def _run(self, link_call: LinkCall) -> None:
        raise NotImplementedError

    def _cancel(self, code: int, details: str) -> None:
        if self._link_call is not None:
            self._cancel_code = code
            self._link_call.cancel(details)

    def _outcome(self, link_call: LinkCall) -> tuple[Any, Any]:
        """Return the initial metadata and the status of a call that is over."""
        initial_metadata, status = link_call.outcome()
        if link_call.is_locally_cancelled():
            status = ended(status.details(), self._cancel_code)
        return initial_metadata, status

    def _tell(self, operations: Operations, tag: Tag) -> None:
        """Say that a batch is done, other than the last one."""
        if self._queue is not None:
            self._queue.put(Event(operations, tag))
        elif tag is not None:
            tag(Event(operations, tag))

    def _tell_end(self, operations: Operations, tag: Tag) -> None:
        """Say that the batch with the status is done."""
        self._engine.calls.discard(self)
        if self._queue is not None:
            self._queue.put(Event(operations, tag))
        elif tag is not None:
            self._engine.delivery.put(partial(tag, Event(operations, tag)))


class UnaryCall(Call):
    """One request, one reply, one batch."""

    __slots__ = ("_batch", "_request")

    def __init__(self, engine: Engine, opening: Opening, batch: Batch, *, has_queue: bool) -> None:
        self._batch = batch
        self._request = first_request([batch]) or b""
        super().__init__(engine, opening, has_queue=has_queue)

    def renew(self) -> None:
        """Replace what another thread may have held when this process was forked off."""
        renew(self._batch[1])

    def lose(self, details: str) -> None:
        """End the call where there is no loop to end it on."""
        self._finish((), None, ended(details))

    async def _run(self, link_call: LinkCall) -> None:
        reply = None
        try:
            reply = await link_call.unary_unary(self._request, self._opening.metadata)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # somebody waits for it in another thread
            link_call.set_internal_error(f"{type(error).__name__}: {error}")
        initial_metadata, status = self._outcome(link_call)
        self._finish(initial_metadata, reply if status.code() == 0 else None, status)

    def _finish(self, initial_metadata: Any, reply: bytes | None, status: Any) -> None:
        if self._is_told:
            return
        self._is_told = True
        operations, tag = self._batch
        received = (InitialMetadata(initial_metadata), ReceivedMessage(reply), ReceivedStatus(status))
        self._tell_end((*operations[:3], *received), tag)


def ended(details: str, code: int = CANCELLED) -> Any:
    """Return the status of a call that this side gave up."""
    return cygrpc.AioRpcStatus(code, details, (), "")
