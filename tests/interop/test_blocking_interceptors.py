"""Interceptors of a blocking client: `grpc.intercept_channel`, and what each kind of call makes of it."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .blocking import begin, blocking_stub, replies, with_channel
from .kinds import UNARY_STREAM, UNARY_UNARY, Kind, each
from .payloads import stream_replies, unary_reply
from .routes import Route
from .service import SERVICE, Context
from .servicers import CoroutineServicer, scripted

UNARY = UnaryRequest(body=b"?", reply_bytes=3)
STREAM = StreamRequest(body=b"?", reply_bytes=[1, 2])

Intercept = Callable[[Any, Any, Any], Any]


class Interceptor(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamStreamClientInterceptor,  # type: ignore[type-arg]
):
    """Does what it is given, in place of a call of any kind."""

    def __init__(self, intercept: Intercept) -> None:
        self._intercept = intercept

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._intercept(continuation, client_call_details, request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._intercept(continuation, client_call_details, request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return self._intercept(continuation, client_call_details, request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return self._intercept(continuation, client_call_details, request_iterator)


def blocking_replies(kind: Kind, stub: Any, **options: Any) -> list[Any]:
    """All that a call answers, made without a future."""
    request = iter([kind.request]) if kind.is_request_stream else kind.request
    answer = getattr(stub, kind.method)(request, **options)
    return list(answer) if kind.is_reply_stream else [answer]


@pytest.mark.parametrize("is_future", [False, True])
@each()
async def test_added_metadata(route: Route, kind: Kind, *, is_future: bool) -> None:
    received: list[Any] = []

    async def note(context: Context) -> None:
        received.extend(context.invocation_metadata() or ())

    def sign(continuation: Any, details: Any, request: Any) -> Any:
        return continuation(details._replace(metadata=[*details.metadata, ("x-added", "yes")]), request)

    def use(channel: grpc.Channel) -> None:
        stub = blocking_stub(grpc.intercept_channel(channel, Interceptor(sign)))
        metadata = [("x-own", "1")]
        if is_future:
            answer = replies(kind, begin(kind, stub, metadata=metadata))
        else:
            answer = blocking_replies(kind, stub, metadata=metadata)
        assert answer == [kind.reply]

    await with_channel(route, scripted(**{kind.method: kind.handler(note)}), use)
    assert [entry for entry in received if entry[0].startswith("x-")] == [("x-own", "1"), ("x-added", "yes")]


@each()
async def test_order_and_details(route: Route, kind: Kind) -> None:
    seen: list[Any] = []

    def noting(name: str) -> Interceptor:
        def note(continuation: Any, details: Any, request: Any) -> Any:
            seen.append((name, details.method, details.timeout, details.wait_for_ready))
            return continuation(details, request)

        return Interceptor(note)

    def use(channel: grpc.Channel) -> None:
        stub = blocking_stub(grpc.intercept_channel(channel, noting("outer"), noting("inner")))
        blocking_replies(kind, stub, timeout=60, wait_for_ready=True)

    await with_channel(route, CoroutineServicer(), use)
    method = f"/{SERVICE}/{kind.method}"
    assert seen == [("outer", method, 60, True), ("inner", method, 60, True)]


async def test_another_method(route: Route) -> None:
    def redirect(continuation: Any, details: Any, request: Any) -> Any:
        return continuation(details._replace(method=f"/{SERVICE}/UnaryCall"), request)

    def use(channel: grpc.Channel) -> Any:
        method: Any = grpc.intercept_channel(channel, Interceptor(redirect)).unary_unary(
            f"/{SERVICE}/Nowhere", UnaryRequest.SerializeToString, UnaryReply.FromString
        )
        return method(UNARY)

    assert await with_channel(route, CoroutineServicer(), use) == unary_reply(UNARY)


async def test_retry(route: Route) -> None:
    attempts = 0

    async def fail_twice(request: UnaryRequest, context: Context) -> UnaryReply:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return unary_reply(request)

    def retry(continuation: Any, details: Any, request: Any) -> Any:
        answer = continuation(details, request)
        while answer.code() is grpc.StatusCode.UNAVAILABLE:
            answer = continuation(details, request)
        return answer

    def use(channel: grpc.Channel) -> Any:
        return blocking_stub(grpc.intercept_channel(channel, Interceptor(retry))).UnaryCall(UNARY)

    assert await with_channel(route, scripted(UnaryCall=fail_twice), use) == unary_reply(UNARY)
    assert attempts == 3


async def test_failure_is_seen_and_raised(route: Route) -> None:
    seen: list[Any] = []

    async def abort(request: UnaryRequest, context: Context) -> None:
        await context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    def note(continuation: Any, details: Any, request: Any) -> Any:
        answer = continuation(details, request)
        seen.append((answer.code(), answer.details()))
        return answer

    def use(channel: grpc.Channel) -> None:
        stub = blocking_stub(grpc.intercept_channel(channel, Interceptor(note)))
        with pytest.raises(grpc.RpcError) as caught:
            stub.UnaryCall(UNARY)
        assert caught.value.code() is grpc.StatusCode.DATA_LOSS

    await with_channel(route, scripted(UnaryCall=abort), use)
    assert seen == [(grpc.StatusCode.DATA_LOSS, "gone")]


@each((UNARY_UNARY, UNARY_STREAM))
async def test_interceptor_that_fails(route: Route, kind: Kind) -> None:
    def fail(continuation: Any, details: Any, request: Any) -> Any:
        raise LookupError("no token")

    def use(channel: grpc.Channel) -> None:
        stub = blocking_stub(grpc.intercept_channel(channel, Interceptor(fail)))
        with pytest.raises(LookupError, match="no token"):
            blocking_replies(kind, stub)

    await with_channel(route, CoroutineServicer(), use)


async def test_replies_of_a_stream_changed_on_the_way(route: Route) -> None:
    def shout(continuation: Any, details: Any, request: Any) -> Any:
        return (StreamReply(body=reply.body + b"!") for reply in continuation(details, request))

    def use(channel: grpc.Channel) -> Any:
        return list(blocking_stub(grpc.intercept_channel(channel, Interceptor(shout))).StreamingOutputCall(STREAM))

    changed = [StreamReply(body=reply.body + b"!") for reply in stream_replies(STREAM)]
    assert await with_channel(route, CoroutineServicer(), use) == changed


async def test_intercepted_channel_closes_what_it_wraps(route: Route) -> None:
    def use(channel: grpc.Channel) -> None:
        with grpc.intercept_channel(channel, Interceptor(lambda proceed, details, request: proceed(details, request))):
            assert blocking_stub(channel).UnaryCall(UNARY) == unary_reply(UNARY)
        with pytest.raises(ValueError, match="Cannot invoke RPC"):
            blocking_stub(channel).UnaryCall(UNARY)

    await with_channel(route, CoroutineServicer(), use)
