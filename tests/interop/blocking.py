"""The blocking API, for cases in which a thread calls while the test's event loop serves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import grpc
import interop_pb2_grpc
from interop_pb2_grpc import InteropServicer

from .kinds import Kind
from .routes import Route
from .service import registers

T = TypeVar("T")

Use: TypeAlias = Callable[[Callable[[grpc.Channel], Any]], Awaitable[Any]]
"""Calls a function with a blocking channel, in a thread; returns what it returns."""

WAIT_S = 100.0
"""How long a thread waits before the test fails."""


def blocking_stub(channel: grpc.Channel) -> Any:
    return interop_pb2_grpc.InteropStub(channel)  # type: ignore[no-untyped-call]


async def with_channel(route: Route, servicer: InteropServicer, use: Callable[[grpc.Channel], T]) -> T:
    """What `use` returns, called in a thread with a blocking channel to `servicer`."""
    await route.serve(registers(servicer))
    return await asyncio.to_thread(lambda: use(route.connect_blocking()))


async def with_stub(route: Route, servicer: InteropServicer, use: Callable[[Any], T]) -> T:
    """What `use` returns, called in a thread with a blocking stub of `servicer`."""
    return await with_channel(route, servicer, lambda channel: use(blocking_stub(channel)))


class Loop:
    """The test's event loop, for the thread that calls."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def thread(self, use: Callable[[], T]) -> T:
        """What `use` returns, called in a thread."""
        return await asyncio.to_thread(use)

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for something on the loop."""

        async def wait() -> T:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(WAIT_S)

    def do(self, act: Callable[[], None]) -> None:
        """Do something on the loop."""
        self._loop.call_soon_threadsafe(act)


def begin(kind: Kind, stub: Any, **options: Any) -> Any:
    """Start a call with one request, and half-close; return its call object."""
    request = iter([kind.request]) if kind.is_request_stream else kind.request
    method = getattr(stub, kind.method)
    return method(request, **options) if kind.is_reply_stream else method.future(request, **options)


def replies(kind: Kind, call: Any) -> list[Any]:
    """All that `call` answers; raises what it raises."""
    return list(call) if kind.is_reply_stream else [call.result(WAIT_S)]
