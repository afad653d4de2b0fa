"""`map` on a blocking channel: requests are taken and replies are yielded in the caller's thread.

The engine's own `map` makes the calls and keeps their order; here is only the way across and back. Because requests are
taken in the thread that asks for replies, an iterable may use what belongs to that thread (a database cursor, say).
Replies that come meanwhile wait; requests taken and replies not yet yielded are never more than `limit` together.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Final

import grpc
from grpc._channel import _InactiveRpcError, _RPCState

from portcall.client.mapping import MapResults
from portcall.sync.calls import CLOSED
from portcall.sync.events import as_metadata
from portcall.sync.transport import BlockingTransport

STRIDE: Final = 4
"""Requests are taken when there is room for a fourth of the window: threads that meet at every request are slow."""

STRIDE_S: Final = 0.001
"""A request that was taken waits no longer than this for others to cross with it, nor does a part of a stride."""


@dataclass(frozen=True, slots=True)
class Over:
    """What follows the last reply: nothing, or the error that ended the map."""

    error: BaseException | None


class Crossing:
    """Requests on their way to the loop, where they are an async iterable, and replies on their way back."""

    def __init__(self, transport: BlockingTransport) -> None:
        self.replies: SimpleQueue[Any] = SimpleQueue()
        self._transport = transport  # so that a channel that nobody else holds stays while its replies are read
        self._engine = transport.engine()
        self.session = self._engine.session
        self._requests: deque[Any] = deque()
        self.has_all = False
        """Whether all requests have been taken."""
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # --- in the caller's thread ------------------------------------------------------------------------------------

    def begin(self, results: MapResults[Any]) -> None:
        """Let the engine make the calls."""
        self._engine.calls.add(self)
        self._engine.post(lambda: self._begin(results))

    def take(self, source: Iterator[Any], room: int) -> int:
        """Take requests for a moment, as many as there is room for, and hand them over; return how many.

        They cross together, or after STRIDE_S where the source keeps the caller waiting.
        """
        requests = self._requests
        count = 0
        until = time.monotonic() + STRIDE_S
        for request in islice(source, room):
            requests.append(request)
            count += 1
            if count == 1:
                self._engine.post(self._wake_soon)
            if time.monotonic() >= until:
                break
        else:
            self.has_all = count < room
        self._engine.post(self._wake)
        return count

    def close(self) -> None:
        """Cancel what is under way."""
        self._engine.post(self._cancel)

    def renew(self) -> None:
        """Nothing here is ever held."""

    def lose(self, details: str) -> None:
        """End the map where there is no loop to end it on."""
        self._engine.calls.discard(self)
        self.replies.put(Over(rpc_error(grpc.StatusCode.CANCELLED, details)))

    # --- on the loop -----------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while not self._requests:
            if self.has_all and not self._requests:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._requests.popleft()

    async def settle(self, future: Any, **_: Any) -> Any:
        """Wait for a call that was begun as a future; return its reply.

        Raises:
            grpc.RpcError: the call failed.
        """
        settled = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: self._engine.post(partial(_resolve, settled)))
        try:
            await settled
        except asyncio.CancelledError:
            future.cancel()
            raise
        try:
            return future.result()
        except grpc.FutureCancelledError:
            raise rpc_error(grpc.StatusCode.CANCELLED, future.details()) from None

    def _begin(self, results: MapResults[Any]) -> None:
        if self._engine.is_over:
            self.lose(CLOSED)
        else:
            self._task = self._engine.spawn(self._pass_on(results))

    def _wake_soon(self) -> None:
        if self._timer is None and not self._engine.is_over:
            self._timer = asyncio.get_running_loop().call_later(STRIDE_S, self._wake)

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None:
            _resolve(self._waiter)

    def _cancel(self) -> None:
        if self._task is not None and not self._engine.is_over:
            self._task.cancel()

    async def _pass_on(self, results: MapResults[Any]) -> None:
        error: BaseException | None = None
        try:
            async with aclosing(results):
                async for reply in results:
                    self.replies.put(reply)
        except asyncio.CancelledError:
            error = rpc_error(grpc.StatusCode.CANCELLED, CLOSED)
        except Exception as failure:  # noqa: BLE001  # it is raised where the reply is due
            error = failure
        self._engine.calls.discard(self)
        self.replies.put(Over(error))


def yield_replies(
    crossing: Crossing, results: MapResults[Any], requests: Iterable[Any], limit: int
) -> Generator[Any, None, None]:
    """Take requests and yield replies. Closing it cancels the calls."""
    source = iter(requests)
    stride = max(1, limit // STRIDE)
    room_wanted = stride
    taken = yielded = 0
    crossing.begin(results)
    try:
        while True:
            room = 0 if crossing.has_all else limit - taken + yielded
            if room >= room_wanted:
                count = crossing.take(source, room)
                taken += count
                room = 0 if crossing.has_all else room - count
                room_wanted = stride
            patience_s = None if not room else 0.0 if room >= stride else STRIDE_S
            try:
                reply = crossing.replies.get(timeout=patience_s)
            except Empty:
                room_wanted = 1
                continue
            if isinstance(reply, Over):
                if reply.error is not None:
                    raise _blocking(reply.error)
                return
            yielded += 1
            yield _blocking(reply)
    finally:
        crossing.close()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def rpc_error(
    code: grpc.StatusCode,
    details: str | None,
    initial_metadata: Any = (),
    trailing_metadata: Any = (),
    debug_error_string: str | None = "",
) -> grpc.RpcError:
    """Return an error as grpcio's blocking calls raise it: a `grpc.RpcError` that is a `grpc.Call` as well."""
    state = _RPCState((), as_metadata(initial_metadata), as_metadata(trailing_metadata), code, details)
    state.debug_error_string = debug_error_string
    return _InactiveRpcError(state)  # type: ignore[abstract]  # in grpcio, too


def _blocking(reply: Any) -> Any:
    """Return a reply as it is, and an error of `grpc.aio` as one of the blocking API."""
    if not isinstance(reply, grpc.aio.AioRpcError):
        return reply
    return rpc_error(
        reply.code(), reply.details(), reply.initial_metadata(), reply.trailing_metadata(), reply.debug_error_string()
    )
