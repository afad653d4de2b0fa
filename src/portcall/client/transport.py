"""The seam between grpcio's Python layer and the link.

`grpc.aio` has two layers: call objects, interceptors and multi-callables in Python, and below them a transport in
Cython, reached through two small classes, `AioChannel` and `_AioCall`. The two classes here have the same methods and
put calls on a link. So every method of every call object behaves as in grpcio, because it is grpcio's. The price is
that the lower layer is not public: `tests/tidy/test_seam.py` compares these classes with all that the installed grpcio
asks of them.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import grpc
from grpc._cython import cygrpc

from portcall.client.credentials import credentials_metadata
from portcall.client.session import ClientSession
from portcall.protos.portcall.v1.link_pb2 import End, Frame
from portcall.wire.caller import CallerEnd, open_frame
from portcall.wire.metadata import MetadataTuple, from_frame, is_legal, to_frame
from portcall.wire.status import status_code

CANCELLED: int = grpc.StatusCode.CANCELLED.value[0]
DEADLINE_EXCEEDED: int = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
INTERNAL: int = grpc.StatusCode.INTERNAL.value[0]
RESOURCE_EXHAUSTED: int = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]

RawMetadata = Sequence[tuple[str, str | bytes]]


class LinkCall:
    """One call, with the methods of grpcio's `_AioCall`."""

    def __init__(
        self,
        session: ClientSession,
        method: str,
        deadline: float | None,
        credentials: object | None,
        *,
        is_patient: bool,
    ) -> None:
        self._session = session
        self._method = method
        self._deadline = deadline
        self._credentials = credentials
        self._is_patient = is_patient
        self._call_id = session.add(self, is_patient=is_patient)
        self._caller = CallerEnd(self._call_id, _SessionSink(session), session.message_bytes_max)
        self._callbacks: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_locally_cancelled = False
        self._is_opened = False
        self._status: Any = None
        self._initial_metadata: MetadataTuple | None = None
        if deadline is not None:
            delay = max(0.0, deadline - time.time())
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    # --- what has become of the call -------------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether the call is over."""
        return self._status is not None

    def cancelled(self) -> bool:
        """Whether the call ended CANCELLED, on whichever side."""
        return self._status is not None and self._status.code() == CANCELLED

    def is_locally_cancelled(self) -> bool:
        """Whether this side cancelled it."""
        return self._is_locally_cancelled

    def is_ok(self) -> bool:
        """Whether the call ended OK."""
        return self._status is not None and self._status.code() == 0

    def time_remaining(self) -> float | None:
        """Return the seconds until the deadline, or None if there is none."""
        return None if self._deadline is None else max(0.0, self._deadline - time.time())

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call this when the call is over; now, if it is."""
        if self.done():
            callback()
        else:
            self._callbacks.append(callback)

    def cancel(self, details: str) -> bool:
        """Give the call up; return whether there was something to give up."""
        if self.done():
            return False
        self._is_locally_cancelled = True
        self._finish(End(status=CANCELLED, details=details))
        return True

    def set_internal_error(self, details: str) -> None:
        """End the call because of a failure on this side, unless it has ended."""
        self._finish(End(status=INTERNAL, details=details))

    async def status(self) -> Any:
        """Wait for the end; return it as grpcio's `AioRpcStatus`."""
        while self._status is None:
            await self._caller.changed()
        return self._status

    def outcome(self) -> tuple[MetadataTuple, Any]:
        """Return the initial metadata and the status of a call that is over."""
        assert self._status is not None
        return self._initial_metadata or (), self._status

    async def initial_metadata(self) -> MetadataTuple:
        """Wait for the reply to begin; return its initial metadata."""
        while self._initial_metadata is None:
            await self._caller.changed()
        return self._initial_metadata

    # --- the four kinds of call ------------------------------------------------------------------------------------

    async def unary_unary(self, request: bytes, metadata: RawMetadata, _: object = None) -> bytes:
        """Make the call; return the reply, or nothing if there is none."""
        await self._open(metadata, request)
        return await self._reply()

    async def initiate_unary_stream(self, request: bytes, metadata: RawMetadata, _: object = None) -> None:
        """Begin the call; return when the reply has begun."""
        await self._open(metadata, request)
        await self.initial_metadata()

    async def stream_unary(
        self, metadata: RawMetadata, metadata_sent_observer: Callable[[], None], _: object = None
    ) -> bytes:
        """Begin the call; return the reply, or nothing if there is none."""
        await self._open(metadata, None)
        metadata_sent_observer()
        return await self._reply()

    async def initiate_stream_stream(
        self, metadata: RawMetadata, metadata_sent_observer: Callable[[], None], _: object = None
    ) -> None:
        """Begin the call; return when the reply has begun."""
        await self._open(metadata, None)
        metadata_sent_observer()
        await self.initial_metadata()

    async def send_serialized_message(self, message: bytes) -> None:
        """Send one request; return when the next may be sent.

        A request for a call that has ended goes nowhere; its status comes when the replies have been read.

        Raises:
            grpc.aio.InternalError: the call has ended on this side; its status says why.
        """
        await self._opened()
        if not self._check_size(message) or self.done():
            raise grpc.aio.InternalError("the call ended before the message was sent")
        if not await self._caller.write(message):
            # Let the one who reads have a turn, or endless requests would never see the end.
            await asyncio.sleep(0)

    async def send_receive_close(self) -> None:
        """Say that no request follows."""
        await self._opened()
        if self._caller.end is None:
            self._caller.sender.finish()

    async def receive_serialized_message(self) -> Any:
        """Return the next reply, or grpcio's EOF if there is none."""
        if not self._is_opened:
            await self._opened()
        if self._is_locally_cancelled:
            return cygrpc.EOF
        message = await self._caller.read()
        self._close_if_read()
        return cygrpc.EOF if message is None else message

    async def receive_serialized_messages(self) -> list[bytes]:
        """Wait for a reply; return all that are there by then, or none if there is none any more."""
        messages: list[bytes] = []
        message = await self.receive_serialized_message()
        while message is not cygrpc.EOF:
            messages.append(message)
            if not len(self._caller.receiver):
                break
            message = await self.receive_serialized_message()
        return messages

    # --- frames ----------------------------------------------------------------------------------------------------

    def on_frame(self, frame: Frame) -> None:
        """Take a frame of the hub's."""
        caller = self._caller
        if self._initial_metadata is None:
            self._initial_metadata = from_frame(frame.headers.metadata)
            if frame.HasField("credit"):
                self._initial_metadata = None
        caller.on_frame(frame)
        if caller.end is not None:
            self._session.remove(self._call_id)
            self._close_if_read()

    def on_reply(self, call_id: int, message: bytes) -> None:
        """Take the end of the call, OK and with one reply."""
        self.on_frame(Frame(call_id=call_id, end=End(message=message)))

    async def _open(self, metadata: RawMetadata, request: bytes | None) -> None:
        refusal = self._session.refuse(is_patient=self._is_patient)
        if refusal is not None:
            self._finish(refusal)
            return
        if request is not None and not self._check_size(request):
            return
        if metadata and not is_legal(metadata):
            self._finish(End(status=INTERNAL, details="Invalid metadata"))
            return
        self._session.connect()
        if self._credentials is not None:
            try:
                extra = await credentials_metadata(self._credentials, self._session.target, self._method)
            except grpc.RpcError as error:
                self._finish(End(status=grpc.StatusCode.UNAVAILABLE.value[0], details=str(error)))
                return
            metadata = (*metadata, *extra)
            if not self.done():
                self._renumber()
        if self.done():
            return
        timeout_s = None if self._deadline is None else self._deadline - time.time()
        frame = open_frame(
            self._call_id, self._method, to_frame(metadata), timeout_s=timeout_s, is_patient=self._is_patient
        )
        self._is_opened = True
        self._caller.open(frame, request)
        self._caller.wake()

    def _renumber(self) -> None:
        """Take a new id: others have been opened while this call waited, and ids on a link must rise."""
        self._session.remove(self._call_id)
        self._call_id = self._session.add(self, is_patient=self._is_patient)
        waited = self._caller
        self._caller = CallerEnd(self._call_id, _SessionSink(self._session), self._session.message_bytes_max)
        waited.wake()

    async def _opened(self) -> None:
        """Wait until the open has been sent, or the call is over."""
        while not (self._is_opened or self.done()):
            await self._caller.changed()

    async def _reply(self) -> bytes:
        """Wait for the end of a call with a unary reply; return the reply, or nothing if there is none."""
        end = await self._caller.finished()
        message = self._caller.receiver.read() if end.status == 0 and len(self._caller.receiver) else None
        if end.status == 0 and message is None:
            end = End(status=INTERNAL, details="The call ended without a reply")
        self._close(end)
        return message or b""

    def _close_if_read(self) -> None:
        """Close a call that has ended, once its messages have been read: as gRPC's core tells the status last."""
        if self._caller.end is not None and not len(self._caller.receiver):
            self._close(self._caller.end)

    def _check_size(self, message: bytes) -> bool:
        limit = self._session.message_bytes_max
        if len(message) <= limit:
            return True
        self._finish(
            End(status=RESOURCE_EXHAUSTED, details=f"Sent message larger than max ({len(message)} vs. {limit})")
        )
        return False

    def _expire(self) -> None:
        self._finish(End(status=DEADLINE_EXCEEDED, details="Deadline Exceeded"))

    def _finish(self, end: End) -> None:
        """End the call from this side."""
        if self.done():
            return
        self._caller.finish(end, is_cancel=self._is_opened)
        self._close(end)

    def _close(self, end: End) -> None:
        if self.done():
            return
        self._session.remove(self._call_id)
        if self._timer is not None:
            self._timer.cancel()
        if self._initial_metadata is None:
            self._initial_metadata = ()
        self._status = _aio_status(end)
        self._caller.wake()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class _SessionSink:
    """The session's link of the moment."""

    __slots__ = ("_session",)

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Send a frame."""
        self._session.link.send(frame, message_bytes)

    def send_ahead(self, frame: Frame, /) -> None:
        """Send a cancel or a credit."""
        self._session.link.send_ahead(frame)

    def drop_chunks(self, call_id: int, /) -> None:
        """Forget messages of a call that still wait."""
        self._session.link.drop_chunks(call_id)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _aio_status(end: End) -> Any:
    debug = f"status {end.status} by way of a Portcall link" if end.status else ""
    return cygrpc.AioRpcStatus(status_code(end.status).value[0], end.details, from_frame(end.trailers), debug)


class LinkTransport:
    """A channel's transport, with the methods of grpcio's `AioChannel`."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._is_closing = False

    def call(
        self,
        method: bytes,
        deadline: float | None,
        credentials: object | None,
        wait_for_ready: bool | None,
        registered_call_handle: int = 0,
    ) -> LinkCall:
        """Make a call object; the call begins when one of its kinds is awaited."""
        if self._is_closing:
            raise grpc.aio.UsageError("Channel is closed.")
        name = method.decode() if isinstance(method, bytes) else method
        return LinkCall(self._session, name, deadline, credentials, is_patient=bool(wait_for_ready))

    def get_registered_call_handle(self, method: bytes) -> int:
        """Return 0: registering methods saves a link nothing."""
        return 0

    def closing(self) -> None:
        """Take no new calls."""
        self._is_closing = True

    def close(self) -> None:
        """Take no new calls. The channel closes the session, since that takes a moment."""
        self._is_closing = True

    def closed(self) -> bool:
        """Whether no new calls are taken."""
        return self._is_closing

    def check_connectivity_state(self, try_to_connect: bool) -> int:
        """Return the number of the connectivity; begin to dial if asked to."""
        if try_to_connect and not self._is_closing:
            self._session.connect()
        return int(self._session.connectivity.value[0])

    async def watch_connectivity_state(self, last_observed: int, deadline: float | None) -> bool:
        """Wait until the connectivity is another than this number; False if the deadline came first."""
        delay = None if deadline is None else deadline - time.time()
        try:
            async with asyncio.timeout(delay):
                while self._session.connectivity.value[0] == last_observed:
                    changed = asyncio.get_running_loop().create_future()
                    self._session.on_next_change(partial(_resolve, changed))
                    await changed
        except TimeoutError:
            return False
        return True
