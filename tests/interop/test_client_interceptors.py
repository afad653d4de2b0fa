"""Interceptors of the client: one base class for each kind of method, and the call goes through them in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import grpc
import pytest
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .kinds import STREAM_STREAM, STREAM_UNARY, UNARY_STREAM, UNARY_UNARY, Kind, collect, each
from .payloads import input_reply, stream_replies, unary_reply
from .routes import Route
from .service import SERVICE, Context, registers
from .servicers import CoroutineServicer, EndlessHandler, scripted

Details: TypeAlias = grpc.aio.ClientCallDetails

UNARY = UnaryRequest(body=b"?", reply_bytes=3)
STREAM = StreamRequest(body=b"?", reply_bytes=[1, 2])


class UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    """Does what it is given, in place of the call. The three classes below are its like for the other kinds."""

    def __init__(self, intercept: Callable[[Any, Details, Any], Any]) -> None:
        self._intercept = intercept

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Details, request: Any) -> Any:
        return await self._intercept(continuation, client_call_details, request)


class UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, intercept: Callable[[Any, Details, Any], Any]) -> None:
        self._intercept = intercept

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Details, request: Any) -> Any:
        return await self._intercept(continuation, client_call_details, request)


class StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, intercept: Callable[[Any, Details, Any], Any]) -> None:
        self._intercept = intercept

    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Details, request_iterator: Any
    ) -> Any:
        return await self._intercept(continuation, client_call_details, request_iterator)


class StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, intercept: Callable[[Any, Details, Any], Any]) -> None:
        self._intercept = intercept

    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Details, request_iterator: Any
    ) -> Any:
        return await self._intercept(continuation, client_call_details, request_iterator)


def interceptor(kind: Kind, intercept: Callable[[Any, Details, Any], Any]) -> grpc.aio.ClientInterceptor:
    classes: dict[str, Any] = {
        UNARY_UNARY.method: UnaryUnary,
        UNARY_STREAM.method: UnaryStream,
        STREAM_UNARY.method: StreamUnary,
        STREAM_STREAM.method: StreamStream,
    }
    made: grpc.aio.ClientInterceptor = classes[kind.method](intercept)
    return made


async def passing(continuation: Any, details: Details, request: Any) -> Any:
    return await continuation(details, request)


@each()
async def test_added_metadata(route: Route, kind: Kind) -> None:
    received: list[tuple[str, object]] = []

    async def note(context: Context) -> None:
        received.extend(context.invocation_metadata() or ())

    async def sign(continuation: Any, details: Details, request: Any) -> Any:
        metadata = details.metadata or grpc.aio.Metadata()
        metadata.add("x-added", "yes")
        return await continuation(details._replace(metadata=metadata), request)  # type: ignore[attr-defined]

    servicer = scripted(**{kind.method: kind.handler(note)})
    stub = await route.open(servicer, client_interceptors=[interceptor(kind, sign)])
    await kind.replies(kind.begin(stub, metadata=(("x-own", "1"),)))
    assert [entry for entry in received if entry[0].startswith("x-")] == [("x-own", "1"), ("x-added", "yes")]


@each()
async def test_details_of_the_call(route: Route, kind: Kind) -> None:
    seen: list[Details] = []

    async def note(continuation: Any, details: Details, request: Any) -> Any:
        seen.append(details)
        return await continuation(details, request)

    stub = await route.open(CoroutineServicer(), client_interceptors=[interceptor(kind, note)])
    await kind.replies(kind.begin(stub, timeout=60, metadata=(("x-key", "1"),), wait_for_ready=True))
    await kind.replies(kind.begin(stub))
    full, empty = seen
    assert isinstance(full, grpc.aio.ClientCallDetails)
    assert full.method == f"/{SERVICE}/{kind.method}".encode()  # type: ignore[comparison-overlap]
    assert (full.timeout, full.metadata, full.wait_for_ready) == (60, grpc.aio.Metadata(("x-key", "1")), True)
    assert (empty.timeout, empty.metadata, empty.wait_for_ready) == (None, grpc.aio.Metadata(), None)


@each()
async def test_order(route: Route, kind: Kind) -> None:
    order: list[str] = []

    def noting(name: str) -> grpc.aio.ClientInterceptor:
        async def note(continuation: Any, details: Details, request: Any) -> Any:
            order.append(f"{name} before")
            call = await continuation(details, request)
            order.append(f"{name} after")
            return call

        return interceptor(kind, note)

    stub = await route.open(CoroutineServicer(), client_interceptors=[noting("outer"), noting("inner")])
    await kind.replies(kind.begin(stub))
    assert order == ["outer before", "inner before", "inner after", "outer after"]


@each()
async def test_interceptor_of_one_kind_leaves_the_others_alone(route: Route, kind: Kind) -> None:
    methods: list[object] = []

    async def note(continuation: Any, details: Details, request: Any) -> Any:
        methods.append(details.method)
        return await continuation(details, request)

    stub = await route.open(CoroutineServicer(), client_interceptors=[interceptor(kind, note)])
    for other in (UNARY_UNARY, UNARY_STREAM, STREAM_UNARY, STREAM_STREAM):
        await other.replies(other.begin(stub))
    assert len(methods) == 1


@each()
async def test_intercepted_call_tells_what_a_call_tells(route: Route, kind: Kind) -> None:
    async def send(context: Context) -> None:
        await context.send_initial_metadata((("x-initial", "1"),))
        context.set_trailing_metadata((("x-trailing", "2"),))

    servicer = scripted(**{kind.method: kind.handler(send)})
    stub = await route.open(servicer, client_interceptors=[interceptor(kind, passing)])
    call = kind.begin(stub)
    told: list[object] = []
    call.add_done_callback(told.append)
    await call.wait_for_connection()
    await kind.replies(call)
    assert await call.initial_metadata() == (("x-initial", "1"),)
    assert await call.trailing_metadata() == (("x-trailing", "2"),)
    assert await call.code() is grpc.StatusCode.OK
    assert await call.details() == ""
    assert call.done()
    assert not call.cancelled()
    assert told == [call]


async def test_changed_unary_reply(route: Route) -> None:
    async def change(continuation: Any, details: Details, request: UnaryRequest) -> UnaryReply:
        reply: UnaryReply = await (await continuation(details, request))
        return UnaryReply(body=b"changed " + reply.body)

    stub = await route.open(CoroutineServicer(), client_interceptors=[UnaryUnary(change)])
    call = stub.UnaryCall(UNARY)
    assert await call == UnaryReply(body=b"changed " + unary_reply(UNARY).body)
    assert await call.code() is grpc.StatusCode.OK


async def test_changed_request(route: Route) -> None:
    async def change(continuation: Any, details: Details, request: UnaryRequest) -> Any:
        return await continuation(details, UnaryRequest(body=request.body + b"!"))

    stub = await route.open(CoroutineServicer(), client_interceptors=[UnaryUnary(change)])
    assert await stub.UnaryCall(UnaryRequest(body=b"?")) == unary_reply(UnaryRequest(body=b"?!"))


async def test_changed_request_stream(route: Route) -> None:
    async def change(continuation: Any, details: Details, requests: Any) -> Any:
        async def double() -> AsyncIterator[StreamRequest]:
            async for request in requests:
                yield request
                yield request

        return await continuation(details, double())

    stub = await route.open(CoroutineServicer(), client_interceptors=[StreamUnary(change)])
    call = stub.StreamingInputCall()
    await call.write(StreamRequest(body=b"1"))
    await call.done_writing()
    assert await call == input_reply([b"1", b"1"])


@each((UNARY_STREAM, STREAM_STREAM))
async def test_changed_reply_stream(route: Route, kind: Kind) -> None:
    async def change(continuation: Any, details: Details, request: Any) -> Any:
        call = await continuation(details, request)

        async def changed() -> AsyncIterator[StreamReply]:
            async for reply in call:
                yield StreamReply(body=b"changed " + reply.body)

        return changed()

    stub = await route.open(CoroutineServicer(), client_interceptors=[interceptor(kind, change)])
    request = iter([STREAM]) if kind.is_request_stream else STREAM
    call = getattr(stub, kind.method)(request)
    bodies = [reply.body for reply in await collect(call)]
    assert bodies == [b"changed " + reply.body for reply in stream_replies(STREAM)]
    assert await call.code() is grpc.StatusCode.OK


async def test_answer_without_a_call(route: Route) -> None:
    endless = EndlessHandler()

    async def answer(continuation: Any, details: Details, request: UnaryRequest) -> UnaryReply:
        return UnaryReply(body=b"cached")

    stub = await route.open(scripted(UnaryCall=endless.handle), client_interceptors=[UnaryUnary(answer)])
    call = stub.UnaryCall(UNARY)
    assert await call == UnaryReply(body=b"cached")
    assert await call.code() is grpc.StatusCode.OK
    assert call.done()
    assert not endless.has_started.is_set()


async def test_second_attempt_after_a_failure(route: Route) -> None:
    attempts: list[bytes] = []

    async def fail_once(request: UnaryRequest, context: Context) -> UnaryReply:
        attempts.append(request.body)
        if len(attempts) == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE)
        return UnaryReply(body=b"at last")

    async def retry(continuation: Any, details: Details, request: Any) -> Any:
        call = await continuation(details, request)
        if await call.code() is grpc.StatusCode.UNAVAILABLE:
            return await continuation(details, request)
        return call

    stub = await route.open(scripted(UnaryCall=fail_once), client_interceptors=[UnaryUnary(retry)])
    assert await stub.UnaryCall(UnaryRequest(body=b"try")) == UnaryReply(body=b"at last")
    assert attempts == [b"try", b"try"]


async def test_reply_in_place_of_an_error(route: Route) -> None:
    async def fall_back(continuation: Any, details: Details, request: Any) -> UnaryReply:
        try:
            reply: UnaryReply = await (await continuation(details, request))
        except grpc.aio.AioRpcError as error:
            return UnaryReply(body=error.code().name.encode())
        return reply

    stub = await route.open(scripted(), client_interceptors=[UnaryUnary(fall_back)])
    assert await stub.UnaryCall(UNARY) == UnaryReply(body=b"UNIMPLEMENTED")


@each()
async def test_error_of_the_server(route: Route, kind: Kind) -> None:
    async def abort(context: Context) -> None:
        await context.abort(grpc.StatusCode.ABORTED, "stop", (("x-why", "because"),))

    servicer = scripted(**{kind.method: kind.handler(abort)})
    stub = await route.open(servicer, client_interceptors=[interceptor(kind, passing)])
    call = kind.begin(stub)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kind.replies(call)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert await call.details() == "stop"
    assert await call.trailing_metadata() == (("x-why", "because"),)


async def test_error_of_the_interceptor(route: Route) -> None:
    async def fail(continuation: Any, details: Details, request: Any) -> Any:
        raise ValueError("not sent")

    stub = await route.open(CoroutineServicer(), client_interceptors=[UnaryUnary(fail)])
    with pytest.raises(ValueError, match="not sent"):
        await stub.UnaryCall(UNARY)


async def test_deadline_set_by_the_interceptor(route: Route) -> None:
    async def hurry(continuation: Any, details: Details, request: Any) -> Any:
        return await continuation(details._replace(timeout=0.1), request)  # type: ignore[attr-defined]

    stub = await route.open(scripted(UnaryCall=EndlessHandler().handle), client_interceptors=[UnaryUnary(hurry)])
    assert await stub.UnaryCall(UNARY).code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_read_and_write_through_an_interceptor(route: Route) -> None:
    stub = await route.open(CoroutineServicer(), client_interceptors=[StreamStream(passing)])
    call = stub.FullDuplexCall()
    await call.write(STREAM)
    assert [await call.read(), await call.read()] == stream_replies(STREAM)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


@each()
async def test_cancel_through_an_interceptor(route: Route, kind: Kind) -> None:
    endless = EndlessHandler()
    stub = await route.open(scripted(**{kind.method: endless.handle}), client_interceptors=[interceptor(kind, passing)])
    call = kind.begin(stub)
    await endless.has_started.wait()
    assert call.cancel()
    assert call.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await kind.replies(call)
    assert await call.code() is grpc.StatusCode.CANCELLED
    await endless.was_cancelled.wait()


@each()
async def test_cancel_while_the_interceptor_waits(route: Route, kind: Kind) -> None:
    has_started = asyncio.Event()

    async def wait(continuation: Any, details: Details, request: Any) -> Any:
        has_started.set()
        await asyncio.Event().wait()

    stub = await route.open(CoroutineServicer(), client_interceptors=[interceptor(kind, wait)])
    call = kind.begin(stub)
    await has_started.wait()
    assert call.cancel()
    assert await call.code() is grpc.StatusCode.CANCELLED
    with pytest.raises(asyncio.CancelledError):
        await kind.replies(call)


async def test_interceptor_of_a_wrong_type_is_refused(route: Route) -> None:
    await route.serve(registers(CoroutineServicer()))
    with pytest.raises(ValueError, match="must be UnaryUnaryClientInterceptor"):
        await route.connect(interceptors=[object()])  # type: ignore[list-item]
