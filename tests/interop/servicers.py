"""Servicers: the reference, as coroutines and as plain functions, and those that a test scripts for itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import grpc
from interop_pb2 import EchoStatus, Empty, InputReply, StreamReply, StreamRequest, UnaryReply, UnaryRequest
from interop_pb2_grpc import InteropServicer

from .payloads import input_reply, stream_replies, unary_reply
from .service import Context, when_done

# A client sends these, and gets them back: the one as initial, the other as trailing metadata.
ECHO_INITIAL = "x-echo-initial"
ECHO_TRAILING = "x-echo-trailing-bin"

Handler: TypeAlias = Callable[[Any, Any], Any]


def scripted(**handlers: Handler) -> InteropServicer:
    """A servicer with these methods, by name; the others are unimplemented, as generated code leaves them."""
    unknown = [name for name in handlers if not hasattr(InteropServicer, name)]
    assert not unknown, f"the service has no method {unknown}"
    methods = {name: staticmethod(handler) for name, handler in handlers.items()}
    servicer: InteropServicer = type("Scripted", (InteropServicer,), methods)()
    return servicer


class CoroutineServicer(InteropServicer):
    """The reference, of coroutines and asynchronous generators."""

    async def EmptyCall(self, request: Empty, context: Context) -> Empty:
        return Empty()

    async def UnaryCall(self, request: UnaryRequest, context: Context) -> UnaryReply:
        await _echo_metadata(context)
        await _end_with(request.status, context)
        return unary_reply(request)

    async def StreamingOutputCall(self, request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        for reply in stream_replies(request):
            yield reply
        await _end_with(request.status, context)

    async def StreamingInputCall(self, requests: AsyncIterator[StreamRequest], context: Context) -> InputReply:
        return input_reply([request.body async for request in requests])

    async def FullDuplexCall(
        self, requests: AsyncIterator[StreamRequest], context: Context
    ) -> AsyncIterator[StreamReply]:
        await _echo_metadata(context)
        async for request in requests:
            for reply in stream_replies(request):
                yield reply
            await _end_with(request.status, context)

    async def HalfDuplexCall(
        self, requests: AsyncIterator[StreamRequest], context: Context
    ) -> AsyncIterator[StreamReply]:
        for request in [request async for request in requests]:
            for reply in stream_replies(request):
                yield reply


async def _echo_metadata(context: Context) -> None:
    received = dict(context.invocation_metadata() or ())
    if ECHO_INITIAL in received:
        await context.send_initial_metadata(((ECHO_INITIAL, received[ECHO_INITIAL]),))
    if ECHO_TRAILING in received:
        context.set_trailing_metadata(((ECHO_TRAILING, received[ECHO_TRAILING]),))


async def _end_with(status: EchoStatus, context: Context) -> None:
    if status.code:
        await context.abort(status_code(status.code), status.details)


class ThreadServicer(InteropServicer):
    """The reference, of plain functions and generators, which the server runs in threads."""

    def EmptyCall(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        return Empty()

    def UnaryCall(self, request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        _echo_metadata_from_thread(context)
        _end_with_from_thread(request.status, context)
        return unary_reply(request)

    def StreamingOutputCall(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamReply]:
        yield from stream_replies(request)
        _end_with_from_thread(request.status, context)

    def StreamingInputCall(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> InputReply:
        return input_reply([request.body for request in requests])

    def FullDuplexCall(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamReply]:
        _echo_metadata_from_thread(context)
        for request in requests:
            yield from stream_replies(request)
            _end_with_from_thread(request.status, context)

    def HalfDuplexCall(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamReply]:
        for request in list(requests):
            yield from stream_replies(request)


def _echo_metadata_from_thread(context: grpc.ServicerContext) -> None:
    received: dict[str, str | bytes] = dict(context.invocation_metadata())
    if ECHO_INITIAL in received:
        context.send_initial_metadata(((ECHO_INITIAL, received[ECHO_INITIAL]),))
    if ECHO_TRAILING in received:
        context.set_trailing_metadata(((ECHO_TRAILING, received[ECHO_TRAILING]),))


def _end_with_from_thread(status: EchoStatus, context: grpc.ServicerContext) -> None:
    if status.code:
        context.abort(status_code(status.code), status.details)


def status_code(number: int) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == number)


class EndlessHandler:
    """A handler of any kind that never ends by itself, and tells how far it came.

    Give the object's `handle` to `scripted`, under as many methods as a test needs.
    """

    def __init__(self) -> None:
        self.has_started = asyncio.Event()
        self.was_cancelled = asyncio.Event()
        self.is_done = asyncio.Event()
        self.contexts_done: list[Context] = []

    async def handle(self, request: Any, context: Context) -> Any:
        when_done(context, self._on_done)
        self.has_started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled.set()
            raise

    def _on_done(self, context: Context) -> None:
        self.contexts_done.append(context)
        self.is_done.set()
