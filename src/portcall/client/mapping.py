"""`map`: one method over many requests, with bounded memory.

A window of `limit` requests is under way or waits to be yielded; the next request is taken when a result is. There
are two ways to make the calls. The frames way writes each call's one frame and reads its one end, with no call object
between, at some microseconds a call. The calls way goes through the multi-callable, because interceptors or credentials
have to see each call.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

import grpc

from portcall.client.session import ClientSession
from portcall.errors import ConfigurationError
from portcall.protos.link_rules import FRAME_MESSAGE_BYTES_MAX
from portcall.protos.portcall.v1.link_pb2 import Cancel, End, Frame
from portcall.wire.caller import CallerEnd, open_frame
from portcall.wire.limits import BATCH_BYTES_MAX
from portcall.wire.metadata import from_frame, is_legal, to_frame
from portcall.wire.outbox import MANY_OVERHEAD_BYTES
from portcall.wire.status import status_code

LIMIT_DEFAULT = 2_000

STRIDE = 4
"""New requests are taken when there is room for a fourth of the window, because a batch costs more than its frames."""

STRIDE_S = 0.001
"""... or after this long, so that slow calls do not wait for others to end."""

Reply = TypeVar("Reply")
MapResults = AsyncGenerator[Reply, None]
Requests = Iterable[Any] | AsyncIterable[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What each call of a map is made with, in the names of `grpc.aio`."""

    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None


class MapEngine(Protocol):
    """Makes the calls of one map."""

    def start(self, index: int, requests: Sequence[Any]) -> None:
        """Begin the calls of these requests; the first has this index."""

    def cancel(self) -> None:
        """Cancel every call that is under way."""


class Window:
    """The results that have come, by index, and the one who waits for them."""

    __slots__ = ("_waiter", "failure", "results")

    def __init__(self) -> None:
        self.results: dict[int, Any] = {}
        self.failure: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, index: int, result: Any) -> None:
        """Note a result."""
        self.results[index] = result
        if self._waiter is not None:
            self.wake()

    def wake(self) -> None:
        """Let the waiter look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def changed(self) -> None:
        """Wait for the next result."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


async def _results(
    engine: MapEngine,
    window: Window,
    requests: Requests,
    limit: int,
    finish: Callable[[Any], Any],
    *,
    ordered: bool,
    return_exceptions: bool,
) -> AsyncGenerator[Any, None]:
    """Take requests and yield results. `finish` turns what an engine put into the window into a reply, or raises."""
    feed = _Feed(engine, window, requests, limit)
    results = window.results
    yielded = 0
    try:
        while True:
            feed.fill(yielded)
            if window.failure is not None:
                raise window.failure
            seen = yielded
            while yielded < feed.due_at and (index := yielded if ordered else next(iter(results), -1)) in results:
                try:
                    reply = finish(results.pop(index))
                except grpc.RpcError as error:
                    if not return_exceptions:
                        raise
                    reply = error
                yielded += 1
                yield reply
            if yielded > seen:
                continue
            if feed.is_exhausted and yielded == feed.taken:
                return
            await window.changed()
    finally:
        await feed.close()
        engine.cancel()


class _Feed:
    """Takes requests while there is room in the window: at once from an iterable, in a task from an async one."""

    def __init__(self, engine: MapEngine, window: Window, requests: Requests, limit: int) -> None:
        self._engine = engine
        self._window = window
        self._limit = limit
        self._iterator = iter(requests) if isinstance(requests, Iterable) else None
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stride = max(1, limit // STRIDE)
        self._yielded = 0
        self.taken = 0
        self.due_at = self._stride
        """How many results have to be out before there is room for a stride of requests."""
        self.is_exhausted = False
        if self._iterator is None:
            if not isinstance(requests, AsyncIterable):
                raise TypeError(f"requests must be an iterable or an async iterable, not {type(requests).__name__}")
            self._task = asyncio.get_running_loop().create_task(self._take_all(aiter(requests)))

    def fill(self, yielded: int) -> None:
        """Take as many requests as there is room for now that so many results are out."""
        self._yielded = yielded
        room = self._limit - self.taken + yielded
        if not self.is_exhausted:
            if room >= self._stride or self.taken == yielded:
                self._fill_now()
            elif room and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(STRIDE_S, self._fill_late)
        self.due_at = max(yielded + 1, self.taken - self._limit + self._stride)

    def _fill_late(self) -> None:
        self._timer = None
        try:
            self._fill_now()
        except Exception as error:  # noqa: BLE001  # the requests' own error goes to the one who iterates
            self._window.failure = error
            self._window.wake()

    def _fill_now(self) -> None:
        if self._iterator is None:
            waiter, self._room = self._room, None
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
            return
        room = self._limit - self.taken + self._yielded
        requests: list[Any] = []
        try:
            requests.extend(islice(self._iterator, room))
        finally:
            # What came before an error of the iterator's is called all the same.
            self._start(requests)
        if len(requests) < room:
            self.is_exhausted = True
            self._window.wake()

    def _start(self, requests: Sequence[Any]) -> None:
        if requests:
            self._engine.start(self.taken, requests)
            self.taken += len(requests)

    async def close(self) -> None:
        """Take no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _take_all(self, requests: AsyncIterator[Any]) -> None:
        try:
            async for request in requests:
                while self.taken - self._yielded >= self._limit:
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room
                self._start((request,))
        except Exception as error:  # noqa: BLE001  # the requests' own error goes to the one who iterates
            self._window.failure = error
        self.is_exhausted = True
        self._window.wake()


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ConfigurationError(f"limit is {limit}; at least one call must be allowed")


# --- the frames way --------------------------------------------------------------------------------------------------


class _FrameEngine:
    """One frame out and one frame in for each call."""

    def __init__(
        self,
        session: ClientSession,
        method: str,
        serialize: Callable[[Any], bytes],
        options: CallOptions,
        window: Window,
    ) -> None:
        self._session = session
        self._serialize = serialize
        self._window = window
        self._is_patient = bool(options.wait_for_ready)
        self._indexes: dict[int, int] = {}
        self._large: dict[int, CallerEnd] = {}
        metadata = options.metadata or ()
        self._is_legal = is_legal(metadata)
        # What the opens of all calls share.
        self._opening = open_frame(
            0, method, to_frame(metadata), timeout_s=options.timeout, is_patient=self._is_patient
        ).open

    def start(self, index: int, requests: Sequence[Any]) -> None:
        """Begin calls: those that can go in one frame each go in one frame together, up to a batch's worth."""
        if not self._is_legal:
            for illegal in range(index, index + len(requests)):
                self._window.put(illegal, End(status=grpc.StatusCode.INTERNAL.value[0], details="Invalid metadata"))
            return
        session = self._session
        messages = list(map(self._serialize, requests))
        ids = session.add_all(self, len(messages), is_patient=self._is_patient)
        self._indexes.update(zip(ids, range(index, index + len(messages)), strict=True))
        inline_max = min(FRAME_MESSAGE_BYTES_MAX, session.message_bytes_max) if session.is_ready else -1
        begun = size = 0
        for end, message in enumerate(messages):
            if len(message) > inline_max or size >= BATCH_BYTES_MAX:
                self._send(ids[begun:end], messages[begun:end], size)
                begun, size = end, 0
            if len(message) > inline_max:
                self._start_alone(ids[end], message)
                begun = end + 1
            else:
                size += len(message) + MANY_OVERHEAD_BYTES
        self._send(ids[begun:], messages[begun:], size)

    def _send(self, ids: range, messages: Sequence[bytes], size: int) -> None:
        """Open calls with one frame."""
        if ids:
            opens = self._session.link.add(size).opens
            opens.shared.CopyFrom(self._opening)
            opens.call_ids.extend(ids)
            opens.messages.extend(messages)

    def _start_alone(self, call_id: int, message: bytes) -> None:
        """Begin a call that does not fit into one frame, or may not be made at all."""
        refusal = self._refuse(len(message))
        if refusal is not None:
            self._session.remove(call_id)
            self._window.put(self._indexes.pop(call_id), refusal)
            return
        self._session.connect()
        self._caller(call_id).open(Frame(call_id=call_id, open=self._opening), message)

    def _refuse(self, size: int) -> End | None:
        """Return the end of a call that cannot be made, or None if it can."""
        session = self._session
        if size > session.message_bytes_max:
            details = f"Sent message larger than max ({size} vs. {session.message_bytes_max})"
            return End(status=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], details=details)
        return session.refuse(is_patient=self._is_patient)

    def on_frame(self, frame: Frame) -> None:
        """Take a frame of one of the calls."""
        call_id = frame.call_id
        if self._large and call_id in self._large:
            self._take_large(frame)
        elif frame.HasField("end"):
            self._session.remove(call_id)
            self._window.put(self._indexes.pop(call_id), frame.end)
        elif frame.HasField("message"):
            self._caller(call_id)
            self._take_large(frame)

    def on_reply(self, call_id: int, message: bytes) -> None:
        """Take the reply of one of the calls."""
        self._session.remove(call_id)
        if self._large:
            self._large.pop(call_id, None)
        self._window.put(self._indexes.pop(call_id), message)

    def cancel(self) -> None:
        """Cancel what is under way."""
        link = self._session.link
        for call_id in self._indexes:
            self._session.remove(call_id)
            link.drop_chunks(call_id)
            link.send_ahead(Frame(call_id=call_id, cancel=Cancel()))
        self._indexes.clear()

    def _caller(self, call_id: int) -> CallerEnd:
        """Give a call whose messages do not fit into one frame an end of its own."""
        caller = self._large[call_id] = CallerEnd(call_id, self._session.link, self._session.message_bytes_max)
        return caller

    def _take_large(self, frame: Frame) -> None:
        caller = self._large[frame.call_id]
        caller.on_frame(frame)
        if caller.end is None:
            return
        self._session.remove(frame.call_id)
        del self._large[frame.call_id]
        end = caller.end
        if end.status == 0 and len(caller.receiver):
            end.message = caller.receiver.read()
        self._window.put(self._indexes.pop(frame.call_id), end)


def map_by_frames(
    session: ClientSession,
    method: str,
    serialize: Callable[[Any], bytes] | None,
    deserialize: Callable[[bytes], Any] | None,
    requests: Requests,
    options: CallOptions,
    limit: int,
    *,
    ordered: bool,
    return_exceptions: bool,
) -> MapResults[Any]:
    """Map a unary method, without a call object for each call."""
    _check_limit(limit)
    window = Window()
    engine = _FrameEngine(session, method, serialize or bytes, options, window)
    parse = deserialize or bytes

    def finish(end: End | bytes) -> Any:
        if isinstance(end, bytes):
            return parse(end)
        if end.status:
            raise _rpc_error(end)
        message = end.message
        if not message and not end.HasField("message"):
            raise _rpc_error(End(status=grpc.StatusCode.INTERNAL.value[0], details="The call ended without a reply"))
        return parse(message)

    return _results(engine, window, requests, limit, finish, ordered=ordered, return_exceptions=return_exceptions)


def _rpc_error(end: End) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata
    return grpc.aio.AioRpcError(
        status_code(end.status), metadata(), metadata.from_tuple(from_frame(end.trailers)), end.details
    )


# --- the calls way ---------------------------------------------------------------------------------------------------


class _CallEngine:
    """A call object and a task for each call."""

    def __init__(self, callable_: Callable[..., Any], options: CallOptions, window: Window) -> None:
        self._callable = callable_
        self._options = options
        self._window = window
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, index: int, requests: Sequence[Any]) -> None:
        """Begin calls."""
        loop = asyncio.get_running_loop()
        for number, request in enumerate(requests, index):
            task = loop.create_task(self._call(number, request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()

    async def _call(self, index: int, request: Any) -> None:
        options = self._options
        try:
            reply = await self._callable(
                request,
                timeout=options.timeout,
                metadata=options.metadata,
                credentials=options.credentials,
                wait_for_ready=options.wait_for_ready,
            )
        except Exception as error:  # noqa: BLE001  # it is raised, or yielded, where the result is due
            self._window.put(index, (None, error))
        except asyncio.CancelledError:
            # Either the map gives its calls up, or somebody else has given up this one: an interceptor, or the channel.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            end = End(status=grpc.StatusCode.CANCELLED.value[0], details="The call was cancelled on the client's side")
            self._window.put(index, (None, _rpc_error(end)))
        else:
            self._window.put(index, (reply, None))


def map_by_calls(
    callable_: Callable[..., Any],
    requests: Requests,
    options: CallOptions,
    limit: int,
    *,
    ordered: bool,
    return_exceptions: bool,
) -> MapResults[Any]:
    """Map a method by way of its multi-callable."""
    _check_limit(limit)
    window = Window()

    def finish(outcome: tuple[Any, Exception | None]) -> Any:
        reply, error = outcome
        if error is not None:
            raise error
        return reply

    engine = _CallEngine(callable_, options, window)
    return _results(engine, window, requests, limit, finish, ordered=ordered, return_exceptions=return_exceptions)
