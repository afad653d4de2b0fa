"""Interceptors of the server: they see each call before its handler, and choose the handler."""

import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import pytest
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .kinds import Kind, collect, each
from .payloads import stream_replies, unary_reply
from .routes import Route
from .service import SERVICE, Context, registers
from .servicers import CoroutineServicer, ThreadServicer, scripted

MethodHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its stubs only
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[MethodHandler | None]]"

UNARY = UnaryRequest(body=b"?", reply_bytes=3)
VISITOR = contextvars.ContextVar("VISITOR", default="nobody")


class Noting(grpc.aio.ServerInterceptor):
    """Notes what it sees, in a list that it may share with others."""

    def __init__(self, name: str, notes: list[tuple[str, str]]) -> None:
        self._name, self._notes = name, notes

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "MethodHandler | None":
        self._notes.append((self._name, handler_call_details.method))
        handler = await continuation(handler_call_details)
        self._notes.append((self._name, "handler found" if handler else "no handler"))
        return handler


class Refusing(grpc.aio.ServerInterceptor):
    """Refuses every call that has no password in its metadata, as an authenticating interceptor does."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "MethodHandler | None":
        handler = await continuation(handler_call_details)
        if handler is None or ("password", "sesame") in tuple(handler_call_details.invocation_metadata):
            return handler
        return with_behaviour(handler, self._refuse)

    async def _refuse(self, request: object, context: Context) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no password")


class Signing(grpc.aio.ServerInterceptor):
    """Adds a trailer to each unary call and changes its reply."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "MethodHandler | None":
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        behaviour: Any = handler.unary_unary

        async def sign(request: UnaryRequest, context: Context) -> UnaryReply:
            reply: UnaryReply = await behaviour(request, context)
            context.set_trailing_metadata((("x-signed", "yes"),))
            return UnaryReply(body=b"signed " + reply.body)

        return with_behaviour(handler, sign)


def with_behaviour(handler: "MethodHandler", behaviour: Any) -> "MethodHandler":
    """A handler of the same kind and the same serialisers that does `behaviour` instead."""
    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = kinds[handler.request_streaming, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


@each()
async def test_order(route: Route, kind: Kind) -> None:
    notes: list[tuple[str, str]] = []
    interceptors = [Noting("outer", notes), Noting("inner", notes)]
    stub = await route.open(CoroutineServicer(), server_interceptors=interceptors)
    await kind.replies(kind.begin(stub))
    method = f"/{SERVICE}/{kind.method}"
    assert notes == [("outer", method), ("inner", method), ("inner", "handler found"), ("outer", "handler found")]


async def test_function_in_a_thread_behind_an_interceptor(route: Route) -> None:
    notes: list[tuple[str, str]] = []
    stub = await route.open(ThreadServicer(), server_interceptors=[Noting("only", notes)])
    assert await stub.UnaryCall(UNARY) == unary_reply(UNARY)
    assert len(notes) == 2


@each()
async def test_refusal(route: Route, kind: Kind) -> None:
    stub = await route.open(CoroutineServicer(), server_interceptors=[Refusing()])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kind.replies(kind.begin_open(stub))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == "no password"


@each()
async def test_admission_by_metadata(route: Route, kind: Kind) -> None:
    stub = await route.open(CoroutineServicer(), server_interceptors=[Refusing()])
    call = kind.begin(stub, metadata=(("password", "sesame"),))
    await kind.replies(call)
    assert await call.code() is grpc.StatusCode.OK


async def test_changed_reply(route: Route) -> None:
    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=b"reply")

    stub = await route.open(scripted(UnaryCall=answer), server_interceptors=[Signing()])
    call = stub.UnaryCall(UNARY)
    assert await call == UnaryReply(body=b"signed reply")
    assert await call.trailing_metadata() == (("x-signed", "yes"),)


async def test_replaced_stream_handler(route: Route) -> None:
    class Doubling(grpc.aio.ServerInterceptor):
        async def intercept_service(
            self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
        ) -> "MethodHandler | None":
            handler = await continuation(handler_call_details)
            if handler is None or handler.unary_stream is None:
                return handler
            behaviour: Any = handler.unary_stream

            async def double(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
                async for reply in behaviour(request, context):
                    yield reply
                    yield reply

            return with_behaviour(handler, double)

    stub = await route.open(CoroutineServicer(), server_interceptors=[Doubling()])
    request = StreamRequest(reply_bytes=[1, 2])
    replies = await collect(stub.StreamingOutputCall(request))
    assert replies == [reply for reply in stream_replies(request) for _ in range(2)]


async def test_context_variable_reaches_the_handler(route: Route) -> None:
    class Introducing(grpc.aio.ServerInterceptor):
        async def intercept_service(
            self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
        ) -> "MethodHandler | None":
            VISITOR.set(str(dict(handler_call_details.invocation_metadata)["x-visitor"]))
            return await continuation(handler_call_details)

    async def greet(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=VISITOR.get().encode())

    stub = await route.open(scripted(UnaryCall=greet), server_interceptors=[Introducing()])
    calls = {name: stub.UnaryCall(UNARY, metadata=(("x-visitor", name),)) for name in ("Ada", "Grace")}
    for name, call in calls.items():
        assert await call == UnaryReply(body=name.encode())
    assert VISITOR.get() == "nobody"


async def test_interceptor_that_fails(route: Route) -> None:
    class Failing(grpc.aio.ServerInterceptor):
        async def intercept_service(
            self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
        ) -> "MethodHandler | None":
            raise ValueError("not today")

    stub = await route.open(CoroutineServicer(), server_interceptors=[Failing()])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnaryCall(UNARY)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == "Unexpected <class 'ValueError'>: not today"


async def test_interceptor_that_finds_no_handler(route: Route) -> None:
    class Hiding(grpc.aio.ServerInterceptor):
        async def intercept_service(
            self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
        ) -> "MethodHandler | None":
            return None

    stub = await route.open(CoroutineServicer(), server_interceptors=[Hiding()])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnaryCall(UNARY)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "Method not found!"


async def test_interceptor_of_a_wrong_type_is_refused(route: Route) -> None:
    with pytest.raises(ValueError, match="must be ServerInterceptor"):
        await route.prepare(registers(CoroutineServicer()), interceptors=[object()])  # type: ignore[list-item]
