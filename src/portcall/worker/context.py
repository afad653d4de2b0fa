"""The servicer's end of a call: `grpc.aio.ServicerContext`, and its blocking form for handlers in threads."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

import grpc

from portcall.errors import ProtocolError
from portcall.protos.link_rules import FRAME_MESSAGE_BYTES_MAX, metadata_bytes
from portcall.protos.portcall.v1.link_pb2 import End, Frame, Open
from portcall.wire.caller import ServingSink
from portcall.wire.current import CurrentJob
from portcall.wire.limits import TURN_BYTES_MIN
from portcall.wire.messages import MessageReceiver, MessageSender, MessageTooLargeError
from portcall.wire.metadata import from_frame, to_frame
from portcall.wire.status import COMPRESSION_IN
from portcall.worker.handlers import Metadatum, Method

T = TypeVar("T")

logger = logging.getLogger("portcall.worker")

OK = grpc.StatusCode.OK
CANCELLED = grpc.StatusCode.CANCELLED

DETAILS_CHARACTERS_MAX = 8_192
"""A status message is cut at this; gRPC peers take about as much metadata in all."""

Metadata = Sequence[tuple[str, str | bytes]]


class CallContext(grpc.aio.ServicerContext):  # type: ignore[type-arg]  # not subscriptable in every grpcio
    """One call on a worker, from its open to its end.

    What most calls never use is a class attribute until it is set: making a context is part of the cost of a call.
    """

    _code: grpc.StatusCode | int | None = None
    _details = ""
    _trailers: Metadata = ()
    _compression: grpc.Compression | None = None
    _metadata: tuple[Metadatum, ...] | None = None
    _callbacks: list[Callable[["CallContext"], None]] | None = None
    _receiver: MessageReceiver | None = None
    _sender: MessageSender | None = None
    _waiters: list[asyncio.Future[None]] | None = None
    _timer: asyncio.TimerHandle | None = None
    is_half_closed = False
    """Whether the caller sends nothing more."""
    _are_headers_sent = False
    _is_aborted = False
    _is_ended = False
    _is_cancelled = False
    method: Method
    on_cancel: Callable[[], object] | None = None
    """Stops the work; set while there is some."""
    job: CurrentJob | None = None
    """The job that it is an attempt at, once its code has asked for it."""

    def __init__(
        self,
        call_id: int,
        opening: Open,
        request: bytes | None,
        link: ServingSink,
        calls: "dict[int, CallContext]",
        message_bytes_max: int,
        now: float,
    ) -> None:
        self.call_id = call_id
        self.opening = opening
        """What the caller said of the call. Calls that were opened together share it, but for their requests."""
        self.request = request
        """The first request, whole, where it came with the open."""
        self._link = link
        self._calls = calls
        self._message_bytes_max = message_bytes_max
        timeout_us = opening.timeout_us
        self.deadline = now + timeout_us / 1e6 if timeout_us else None

    # --- what servicers use ----------------------------------------------------------------------------------------

    async def read(self) -> Any:
        """Return the next request, or `grpc.aio.EOF`; a call that was given up is at its end."""
        if not self._is_cancelled:
            self._check_alive()
        message = await self.read_bytes()
        return grpc.aio.EOF if message is None else self.method.deserialize(message)

    async def write(self, message: Any) -> None:
        """Send one reply of a stream; return when the next may be written."""
        self._check_alive()
        await self.write_bytes(self.method.serialize(message))

    async def send_initial_metadata(self, initial_metadata: Metadata) -> None:  # type: ignore[override]
        """Send the initial metadata now, before any message."""
        self._check_alive()
        if self._are_headers_sent:
            raise grpc.aio.UsageError("Send initial metadata failed: already sent")
        self._send_headers(checked_metadata(initial_metadata))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> NoReturn:  # type: ignore[override]
        """End the call with this status, by raising."""
        self.abort_now(code, details, trailing_metadata)

    async def abort_with_status(self, status: Any) -> NoReturn:
        """End the call with a `grpc.Status`, by raising."""
        self.abort_now(status.code, status.details, status.trailing_metadata)

    def abort_now(self, code: grpc.StatusCode, details: str, trailing_metadata: Metadata) -> NoReturn:
        """End the call with this status, by raising `grpc.aio.AbortError`."""
        if self._is_aborted:
            raise grpc.aio.UsageError("Abort already called!")
        if code == OK:
            code, details = grpc.StatusCode.UNKNOWN, f"Abort called with OK: {details}"
        self._is_aborted = True
        self._code = code
        self._details = details or self._details
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        raise grpc.aio.AbortError("Locally aborted.")

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:  # type: ignore[override]
        """Set what goes with the status.

        Raises:
            TypeError: it is not a sequence of pairs of a string and a string or bytes.
        """
        self._trailers = checked_metadata(trailing_metadata)

    def trailing_metadata(self) -> Metadata:  # type: ignore[override]
        """Return what was set to go with the status."""
        return self._trailers

    def invocation_metadata(self) -> tuple[Metadatum, ...]:  # type: ignore[override]
        """Return the caller's metadata."""
        if self._metadata is None:
            self._metadata = tuple(Metadatum(*entry) for entry in from_frame(self.opening.metadata))
        return self._metadata

    def set_code(self, code: grpc.StatusCode | int) -> None:
        """Set the status code that the call will end with."""
        self._code = code

    def code(self) -> grpc.StatusCode | int | None:  # type: ignore[override]
        """Return the status code that was set, or None."""
        return self._code

    def set_details(self, details: str) -> None:
        """Set the status message that the call will end with."""
        self._details = details

    def details(self) -> str:
        """Return the status message that was set."""
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress the replies where they leave the hub for a native client."""
        if self._are_headers_sent:
            raise RuntimeError("Compression setting must be specified before sending initial metadata")
        self._compression = compression

    def disable_next_message_compression(self) -> None:
        """Accepted for likeness; a link does not compress, so there is nothing to disable."""

    def peer(self) -> str:
        """Return who calls, as gRPC writes it ("ipv4:127.0.0.1:40000"): the client, not the hub."""
        return self.opening.peer

    def peer_identities(self) -> None:
        """Return None: clients have no certificates here."""

    def peer_identity_key(self) -> None:
        """Return None: clients have no certificates here."""

    def auth_context(self) -> dict[str, Sequence[bytes]]:
        """Return an empty mapping: clients have no certificates here."""
        return {}

    def time_remaining(self) -> float | None:  # type: ignore[override]
        """Return the seconds until the deadline, not below 0, or None if there is none."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - asyncio.get_running_loop().time())

    def add_done_callback(self, callback: Callable[["CallContext"], None]) -> None:
        """Call this with the context once the call is over, however it ended."""
        if self._is_ended:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def cancelled(self) -> bool:
        """Whether the call ends CANCELLED: the caller has given it up, or the servicer said so."""
        return self._is_cancelled or self._code is CANCELLED

    def done(self) -> bool:
        """Whether the call is over."""
        return self._is_ended or self._is_cancelled

    # --- what the execution uses -----------------------------------------------------------------------------------

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for this call any more."""
        return self._is_cancelled or self._is_ended

    @property
    def is_reading(self) -> bool:
        """Whether the caller's messages are taken as a stream; else its request is all in the open."""
        return self._receiver is not None

    def on_frame(self, frame: Frame) -> None:
        """Take a frame of this call that is not its open.

        Raises:
            ProtocolError: the hub broke the link's rules.
        """
        kind = frame.WhichOneof("event")
        if kind == "cancel":
            self.cancel()
        elif kind == "message":
            self._take_message(frame)
        elif kind == "half_close":
            self.is_half_closed = True
        elif kind == "credit":
            self.sender.grant(frame.credit.bytes)
        else:
            raise ProtocolError(f"call {self.call_id}: a hub cannot send {kind or 'a frame without an event'}")
        self._wake()

    def begin_reading(self) -> None:
        """Be ready for the messages of the caller, the inline one first."""
        receiver = self._receiver = MessageReceiver(self.call_id, self._message_bytes_max)
        if self.request is not None:
            self._feed(receiver, self.request)

    def begin_reply(self) -> None:
        """Send initial metadata without entries, unless some has gone or the call is over."""
        if not (self._are_headers_sent or self.is_given_up):
            self._send_headers(())

    async def read_bytes(self) -> bytes | None:
        """Return the next message of the caller, or None if it has sent the last."""
        receiver = self._receiver
        if receiver is None:
            return None
        if not len(receiver):
            self._grant()  # what was withheld until there was a reader
        while not len(receiver):
            if self.is_half_closed or self.is_given_up:
                return None
            await self._changed()
        message = receiver.read()
        self._grant()
        return message

    async def write_bytes(self, message: bytes) -> None:
        """Send one message, no faster than the caller takes it."""
        self._check_size(message)
        if not self._are_headers_sent and self._compression is not None:
            self._send_headers(())
        self._are_headers_sent = True
        sender = self.sender
        sender.write(message)
        while not sender.is_idle:
            if self.is_given_up:
                return
            await self._changed()

    async def end_with_reply(self, reply: Any) -> None:
        """End a unary call with what its handler returned."""
        if self._is_ended:
            return
        if self._code not in (None, OK, 0):
            self.end()
            return
        message = self.method.serialize(reply)
        self._check_size(message)
        size = len(message)
        if self._sender is None and size <= FRAME_MESSAGE_BYTES_MAX:
            self.end(message)
        else:
            await self.write_bytes(message)
            self.end()

    def end_at_once(self, reply: Any) -> bool:
        """End a unary call with a reply that goes inline and a status of plain OK; False if it is not so simple."""
        if self._is_ended or self._code is not None or self._details or self._trailers or self._compression is not None:
            return False
        if self._are_headers_sent:
            return False
        message = self.method.serialize(reply)
        size = len(message)
        if size > FRAME_MESSAGE_BYTES_MAX or size > self._message_bytes_max:
            return False
        if self.job is not None:
            self.job.flush()
        if size < TURN_BYTES_MIN:
            self._link.end_ok(self.call_id, message)
        else:
            self._link.send(Frame(call_id=self.call_id, end=End(message=message)), size)
        self._close()
        return True

    def end(self, message: bytes | None = None) -> None:
        """Send the end of the call. Idempotent."""
        if self._is_ended:
            return
        frame = Frame(call_id=self.call_id)
        end = frame.end
        end.SetInParent()
        size = 0
        if self._compression is not None and not self._are_headers_sent:
            self._send_headers(())
        if self._code is not None:
            end.status = self._code.value[0] if isinstance(self._code, grpc.StatusCode) else self._code
        if self._details:
            end.details = self._details[:DETAILS_CHARACTERS_MAX]
        if self._trailers:
            end.trailers.extend(to_frame(self._trailers))
            size = metadata_bytes(end.trailers)
        if message is not None:
            end.message = message
            size += len(message)
        if self.job is not None:
            self.job.flush()
        if not self.is_sender_idle:
            self._link.drop_chunks(self.call_id)
        self._link.send(frame, size)
        self._close()

    def end_unexpected(self, error: BaseException) -> None:
        """End the call because its handler raised; a status code that it had set stays. Idempotent."""
        if self._code in (None, OK, 0):
            self._code = grpc.StatusCode.UNKNOWN
        self._details = f"Unexpected {type(error)}: {error}"
        self.end()

    def fail(self, code: grpc.StatusCode, details: str) -> None:
        """End the call with a status of Portcall's own. Idempotent."""
        self._code, self._details = code, details
        self.end()

    def cancel(self) -> None:
        """Stop the work, because nobody waits for it any more."""
        if self._is_ended or self._is_cancelled:
            return
        self._is_cancelled = True
        if self.on_cancel is not None:
            self.on_cancel()
        self._wake()

    def watch_deadline(self) -> None:
        """Wake up at the deadline. Only calls that take their time need this."""
        if self.deadline is not None and self._timer is None and not self._is_ended:
            self._timer = asyncio.get_running_loop().call_at(self.deadline, self.cancel)

    @property
    def is_overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and asyncio.get_running_loop().time() >= self.deadline

    @property
    def sender(self) -> MessageSender:
        """Return the sender of the replies."""
        if self._sender is None:
            self._sender = MessageSender(self.call_id, self._link.send)
        return self._sender

    @property
    def is_sender_idle(self) -> bool:
        """Whether no reply is waiting for credit."""
        return self._sender is None or self._sender.is_idle

    def _take_message(self, frame: Frame) -> None:
        if self._receiver is not None and not self._is_ended:
            self._feed(self._receiver, frame.message.data, more=frame.message.more)
            self._grant()

    def _feed(self, receiver: MessageReceiver, chunk: bytes, *, more: bool = False) -> None:
        """Take a message or a chunk of one; end the call if it is larger than a message may be."""
        try:
            receiver.feed(chunk, more=more)
        except MessageTooLargeError as error:
            self.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
            if self.on_cancel is not None:
                self.on_cancel()

    def _grant(self) -> None:
        """Let the caller send more, once there is a handler to read it.

        Of a call that was granted nothing yet, every frame can be sent to another worker: see `Execution`.
        """
        receiver = self._receiver
        if receiver is not None and self.on_cancel is not None and not (self.is_half_closed or self._is_ended):
            frame = receiver.grant()
            if frame is not None:
                self._link.send_ahead(frame)

    def _send_headers(self, metadata: Metadata) -> None:
        self._are_headers_sent = True
        frame = Frame(call_id=self.call_id)
        headers = frame.headers
        headers.SetInParent()
        headers.metadata.extend(to_frame(metadata))
        if self._compression is not None:
            headers.compression = COMPRESSION_IN[self._compression]
        self._link.send(frame, metadata_bytes(headers.metadata))

    def _check_size(self, message: bytes) -> None:
        if len(message) > self._message_bytes_max:
            self._code = grpc.StatusCode.RESOURCE_EXHAUSTED
            self._details = f"Sent message larger than max ({len(message)} vs. {self._message_bytes_max})"
            raise grpc.aio.AbortError(self._details)

    def _check_alive(self) -> None:
        if self._is_aborted:
            raise grpc.aio.UsageError("Abort already called!")
        if self._is_ended or self._is_cancelled:
            raise grpc.aio.UsageError("RPC already finished.")

    def _close(self) -> None:
        self._is_ended = True
        self._calls.pop(self.call_id, None)
        if self._timer is not None:
            self._timer.cancel()
        if self._callbacks is not None:
            self._run_callbacks(self._callbacks)
        self._wake()

    def _run_callbacks(self, callbacks: list[Callable[["CallContext"], None]]) -> None:
        self._callbacks = None
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                logger.exception("A done callback of %s failed", self.opening.method)

    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


def checked_metadata(metadata: Any) -> Metadata:
    """Return metadata as a tuple of pairs.

    Raises:
        TypeError: it is something else.
    """
    try:
        entries = tuple((key, value) for key, value in metadata)
    except ValueError:
        entries = ((None, None),)
    if isinstance(metadata, (str, dict)) or not all(
        isinstance(key, str) and isinstance(value, (str, bytes)) for key, value in entries
    ):
        raise TypeError(f"metadata must be a sequence of pairs of a string and a string or bytes, not {metadata!r}")
    return entries


class RequestIterator:
    """The requests of a streaming client, for `async for`."""

    __slots__ = ("_context",)

    def __init__(self, context: CallContext) -> None:
        self._context = context

    def __aiter__(self) -> "RequestIterator":
        return self

    async def __anext__(self) -> Any:
        message = await self._context.read_bytes()
        if message is None:
            raise StopAsyncIteration
        return self._context.method.deserialize(message)


class BlockingContext(grpc.ServicerContext):
    """`CallContext` for a handler in a thread: the same call, with blocking methods."""

    def __init__(self, context: CallContext, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop

    def call_in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the worker's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def requests(self) -> Iterator[Any]:
        """Yield the requests of a streaming client."""
        while (message := self.call_in_loop(self._context.read_bytes())) is not None:
            yield self._context.method.deserialize(message)

    def write(self, message: Any) -> None:
        """Send one reply of a stream."""
        self.call_in_loop(self._context.write(message))

    def is_active(self) -> bool:
        """Whether somebody still waits for this call."""
        return not self._context.is_given_up

    def cancel(self) -> bool:
        """Give the call up from this side."""
        self._loop.call_soon_threadsafe(self._context.cancel)
        return True

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call this once the call is over; False if it is over already."""
        if self._context.done():
            return False
        self._loop.call_soon_threadsafe(self._context.add_done_callback, lambda _: callback())
        return True

    def time_remaining(self) -> float | None:  # type: ignore[override]
        """Return the seconds until the deadline, or None if there is none."""
        deadline = self._context.deadline
        return None if deadline is None else max(0.0, deadline - self._loop.time())

    def send_initial_metadata(self, initial_metadata: Metadata) -> None:
        """Send the initial metadata now."""
        self.call_in_loop(self._context.send_initial_metadata(initial_metadata))

    def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> NoReturn:
        """End the call with this status, by raising."""
        self._context.abort_now(code, details, trailing_metadata)

    def abort_with_status(self, status: Any) -> NoReturn:
        """End the call with a `grpc.Status`, by raising."""
        self._context.abort_now(status.code, status.details, status.trailing_metadata)

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:
        """Set what goes with the status."""
        self._context.set_trailing_metadata(trailing_metadata)

    def trailing_metadata(self) -> Metadata:  # type: ignore[override]
        """Return what was set to go with the status."""
        return self._context.trailing_metadata()

    def invocation_metadata(self) -> tuple[Metadatum, ...]:
        """Return the caller's metadata."""
        return self._context.invocation_metadata()

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status code that the call will end with."""
        self._context.set_code(code)

    def code(self) -> grpc.StatusCode | int | None:
        """Return the status code that was set, or None."""
        return self._context.code()

    def set_details(self, details: str) -> None:
        """Set the status message that the call will end with."""
        self._context.set_details(details)

    def details(self) -> str:
        """Return the status message that was set."""
        return self._context.details()

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress the replies where they leave the hub for a native client."""
        self._context.set_compression(compression)

    def disable_next_message_compression(self) -> None:
        """Accepted for likeness; a link does not compress."""

    def peer(self) -> str:
        """Return who calls, as gRPC writes it."""
        return self._context.peer()

    def peer_identities(self) -> None:
        """Return None: clients have no certificates here."""

    def peer_identity_key(self) -> None:
        """Return None: clients have no certificates here."""

    def auth_context(self) -> dict[str, Sequence[bytes]]:  # type: ignore[override]
        """Return an empty mapping: clients have no certificates here."""
        return {}
