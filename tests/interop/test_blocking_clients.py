"""What a program that blocks sends and gets: all four kinds of call, metadata, status and deadlines."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from interop_pb2 import EchoStatus, Empty, StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .blocking import Loop, begin, blocking_stub, replies, with_channel, with_stub
from .kinds import STREAM_STREAM, STREAM_UNARY, UNARY_STREAM, UNARY_UNARY, Kind, each
from .payloads import (
    LARGE_REPLY_BYTES,
    LARGE_REQUEST_BYTES,
    STREAM_REPLY_BYTES,
    body,
    input_reply,
    stream_replies,
    unary_reply,
)
from .routes import Route
from .service import Context, registers
from .servicers import ECHO_INITIAL, ECHO_TRAILING, CoroutineServicer, EndlessHandler, scripted
from .timeouts import timeouts

METADATA = ((ECHO_INITIAL, "initial value"), (ECHO_TRAILING, b"\xab\xab\xab"))
UNARY = UnaryRequest(body=body(1000), reply_bytes=2000)
STREAM = StreamRequest(body=body(1000), reply_bytes=STREAM_REPLY_BYTES)
THREADS = 20
CALLS = 20


async def test_unary(route: Route) -> None:
    reply = await with_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall(UNARY))
    assert reply == unary_reply(UNARY)


async def test_large_unary(route: Route) -> None:
    request = UnaryRequest(body=body(LARGE_REQUEST_BYTES), reply_bytes=LARGE_REPLY_BYTES)
    reply = await with_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall(request))
    assert reply == unary_reply(request)


async def test_empty_unary(route: Route) -> None:
    reply = await with_stub(route, CoroutineServicer(), lambda stub: stub.EmptyCall(Empty()))
    assert reply == Empty()


async def test_unary_with_call(route: Route) -> None:
    reply, call = await with_stub(
        route, CoroutineServicer(), lambda stub: stub.UnaryCall.with_call(UNARY, metadata=METADATA)
    )
    assert reply == unary_reply(UNARY)
    assert call.code() is grpc.StatusCode.OK
    assert call.details() == ""
    assert tuple(call.initial_metadata()) == METADATA[:1]
    assert tuple(call.trailing_metadata()) == METADATA[1:]
    assert not call.is_active()


async def test_unary_future(route: Route) -> None:
    reply = await with_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall.future(UNARY).result())
    assert reply == unary_reply(UNARY)


async def test_reply_stream(route: Route) -> None:
    received = await with_stub(route, CoroutineServicer(), lambda stub: list(stub.StreamingOutputCall(STREAM)))
    assert received == stream_replies(STREAM)


async def test_empty_reply_stream(route: Route) -> None:
    received = await with_stub(route, CoroutineServicer(), lambda stub: list(stub.StreamingOutputCall(StreamRequest())))
    assert received == []


async def test_request_stream(route: Route) -> None:
    reply = await with_stub(route, CoroutineServicer(), lambda stub: stub.StreamingInputCall(iter([STREAM, STREAM])))
    assert reply == input_reply([STREAM.body, STREAM.body])


async def test_empty_request_stream(route: Route) -> None:
    reply = await with_stub(route, CoroutineServicer(), lambda stub: stub.StreamingInputCall(iter(())))
    assert reply == input_reply([])


async def test_request_stream_with_call(route: Route) -> None:
    reply, call = await with_stub(
        route, CoroutineServicer(), lambda stub: stub.StreamingInputCall.with_call(iter([STREAM]))
    )
    assert reply == input_reply([STREAM.body])
    assert call.code() is grpc.StatusCode.OK


async def test_request_stream_future(route: Route) -> None:
    requests = [StreamRequest(body=body(1000 + index, start=index)) for index in range(500)]
    reply = await with_stub(
        route, CoroutineServicer(), lambda stub: stub.StreamingInputCall.future(iter(requests)).result()
    )
    assert reply == input_reply([request.body for request in requests])


async def test_both_streams(route: Route) -> None:
    received = await with_stub(
        route, CoroutineServicer(), lambda stub: list(stub.FullDuplexCall(iter([STREAM, STREAM])))
    )
    assert received == 2 * stream_replies(STREAM)


async def test_both_streams_by_turns(route: Route) -> None:
    def ask_after_each_reply(stub: Any) -> list[Any]:
        has_reply = threading.Semaphore()

        def requests() -> Iterator[StreamRequest]:
            for size in (1, 2, 3):
                has_reply.acquire()
                yield StreamRequest(reply_bytes=[size])

        received = []
        for reply in stub.FullDuplexCall(requests()):
            received.append(reply)
            has_reply.release()
        return received

    received = await with_stub(route, CoroutineServicer(), ask_after_each_reply)
    assert [len(reply.body) for reply in received] == [1, 2, 3]


async def test_requests_far_more_than_any_window(route: Route) -> None:
    chunk = StreamRequest(body=body(64 * 1024))
    reply = await with_stub(route, CoroutineServicer(), lambda stub: stub.StreamingInputCall(chunk for _ in range(100)))
    assert reply == input_reply([chunk.body] * 100)


# --- metadata and status ---------------------------------------------------------------------------------------------


@each()
async def test_metadata_of_each_kind(route: Route, kind: Kind) -> None:
    received: list[Any] = []

    async def answer(context: Context) -> None:
        received.extend(context.invocation_metadata() or ())
        await context.send_initial_metadata((("x-first", "1"), ("x-first-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-last", "1"), ("x-last", "2"), ("x-last-bin", b"")))

    def use(stub: Any) -> Any:
        call = begin(kind, stub, metadata=(("x-key", "1"), ("x-key", "2"), ("x-key-bin", b"\x00\xff")))
        assert replies(kind, call) == [kind.reply]
        return call

    call = await with_stub(route, scripted(**{kind.method: kind.handler(answer)}), use)
    assert [entry for entry in received if entry[0].startswith("x-")] == [
        ("x-key", "1"),
        ("x-key", "2"),
        ("x-key-bin", b"\x00\xff"),
    ]
    assert call.initial_metadata() == (("x-first", "1"), ("x-first-bin", b"\x00\xff"))
    assert call.trailing_metadata() == (("x-last", "1"), ("x-last", "2"), ("x-last-bin", b""))
    assert [(entry.key, entry.value) for entry in call.initial_metadata()] == list(call.initial_metadata())
    assert [(entry.key, entry.value) for entry in call.trailing_metadata()] == list(call.trailing_metadata())


@each((UNARY_STREAM, STREAM_UNARY, STREAM_STREAM))
async def test_initial_metadata_comes_before_the_reply(route: Route, kind: Kind) -> None:
    endless = EndlessHandler()

    async def answer(request: Any, context: Context) -> Any:
        await context.send_initial_metadata((("x-first", "1"),))
        return await endless.handle(request, context)

    def use(stub: Any) -> Any:
        call = begin(kind, stub)
        metadata = call.initial_metadata()
        assert call.is_active()
        call.cancel()
        return metadata

    assert await with_stub(route, scripted(**{kind.method: answer}), use) == (("x-first", "1"),)


async def test_text_for_a_binary_key_is_refused(route: Route) -> None:
    with pytest.raises(TypeError, match='Binary metadata key="x-bin" expected bytes'):
        await with_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall(UNARY, metadata=(("x-bin", "text"),)))


@each()
@pytest.mark.parametrize("entry", [("X-Upper", "1"), ("x-key", "☺"), ("x key", "1")])
async def test_illegal_metadata_is_refused(route: Route, kind: Kind, entry: tuple[str, str]) -> None:
    def use(stub: Any) -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            replies(kind, begin(kind, stub, metadata=(entry,)))
        return caught.value

    error = await with_stub(route, CoroutineServicer(), use)
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "Invalid metadata")


async def test_status(route: Route) -> None:
    request = UnaryRequest(status=EchoStatus(code=9, details="not now, ☺"))
    with pytest.raises(grpc.RpcError) as caught:
        await with_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall(request, metadata=METADATA))
    error: Any = caught.value
    assert isinstance(error, grpc.Call)
    assert isinstance(error, grpc.Future)
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "not now, ☺"
    assert tuple(error.initial_metadata()) == METADATA[:1]
    assert tuple(error.trailing_metadata()) == METADATA[1:]
    assert type(error).__name__ == "_InactiveRpcError"
    assert "FAILED_PRECONDITION" in str(error)


@each()
async def test_failure_of_each_kind(route: Route, kind: Kind) -> None:
    async def abort(context: Context) -> None:
        await context.abort(grpc.StatusCode.DATA_LOSS, "gone", (("x-why", "because"),))

    def use(stub: Any) -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            replies(kind, begin(kind, stub))
        return caught.value

    error = await with_stub(route, scripted(**{kind.method: kind.handler(abort)}), use)
    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "gone")
    assert error.trailing_metadata() == (("x-why", "because"),)
    assert isinstance(error, grpc.Call)


async def test_failure_after_replies(route: Route) -> None:
    def use(stub: Any) -> tuple[list[Any], Any]:
        call = stub.StreamingOutputCall(StreamRequest(reply_bytes=[1, 2, 3], status=EchoStatus(code=5, details="none")))
        received = [next(call) for _ in range(3)]
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
        with pytest.raises(grpc.RpcError):  # and again
            next(call)
        return received, caught.value

    received, error = await with_stub(route, CoroutineServicer(), use)
    assert [len(reply.body) for reply in received] == [1, 2, 3]
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_rich_status(route: Route) -> None:
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="because", metadata={"key": "value"}))
    rich = status_pb2.Status(code=code_pb2.ABORTED, message="twice", details=[detail])

    async def abort(request: UnaryRequest, context: Context) -> None:
        await context.abort_with_status(rpc_status.to_status(rich))

    with pytest.raises(grpc.RpcError) as caught:
        await with_stub(route, scripted(UnaryCall=abort), lambda stub: stub.UnaryCall(UNARY))
    assert rpc_status.from_call(caught.value) == rich


async def test_unimplemented_method(route: Route) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await with_stub(route, CoroutineServicer(), lambda stub: stub.UnimplementedCall(Empty()))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_bytes_without_serialisers(route: Route) -> None:
    method = "/interop.Interop/EmptyCall"
    reply = await with_channel(route, CoroutineServicer(), lambda channel: channel.unary_unary(method)(b""))
    assert reply == b""


async def test_request_that_cannot_be_serialised(route: Route) -> None:
    def use(channel: grpc.Channel) -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/interop.Interop/EmptyCall", lambda request: request.missing)(Empty())
        return caught.value

    error = await with_channel(route, CoroutineServicer(), use)
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "Exception serializing request!")


@each((UNARY_UNARY, UNARY_STREAM))
async def test_reply_that_cannot_be_parsed(route: Route, kind: Kind) -> None:
    def use(channel: grpc.Channel) -> Any:
        make = channel.unary_stream if kind.is_reply_stream else channel.unary_unary
        method: Any = make(f"/interop.Interop/{kind.method}", kind.request.__class__.SerializeToString, lambda _: 1 / 0)
        with pytest.raises(grpc.RpcError) as caught:
            list(method(kind.request)) if kind.is_reply_stream else method(kind.request)
        return caught.value

    servicer = scripted(**{kind.method: kind.handler(_nothing)})
    error = await with_channel(route, servicer, use)
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "Exception deserializing response!")


async def _nothing(_: Context) -> None:
    pass


# --- time ------------------------------------------------------------------------------------------------------------


@each()
async def test_deadline(route: Route, kind: Kind) -> None:
    endless = EndlessHandler()

    def use(stub: Any) -> None:
        for timeout in timeouts(endless.has_started.is_set):
            with pytest.raises(grpc.RpcError) as caught:
                replies(kind, begin(kind, stub, timeout=timeout))
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    await with_stub(route, scripted(**{kind.method: endless.handle}), use)
    await endless.was_cancelled.wait()


async def test_deadline_of_a_blocking_call(route: Route) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await with_stub(
            route, scripted(UnaryCall=EndlessHandler().handle), lambda stub: stub.UnaryCall(UNARY, timeout=0.1)
        )
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_deadline_reaches_the_handler(route: Route) -> None:
    remaining: list[float] = []

    async def note(request: UnaryRequest, context: Context) -> UnaryReply:
        remaining.append(context.time_remaining() or 0)
        return UnaryReply()

    def use(stub: Any) -> float:
        stub.UnaryCall(UNARY, timeout=3600)
        call = stub.UnaryCall.future(UNARY, timeout=3600)
        call.result()
        left: float = call.time_remaining()
        return left

    left = await with_stub(route, scripted(UnaryCall=note), use)
    assert all(3000 < seconds < 3700 for seconds in [*remaining, left])


async def test_no_deadline(route: Route) -> None:
    call = await with_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall.with_call(UNARY)[1])
    assert call.time_remaining() is None


async def test_wait_for_ready_waits_for_a_server(route: Route) -> None:
    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=b"at last")

    await route.prepare(registers(scripted(UnaryCall=answer)))
    loop = Loop()

    def use() -> Any:
        stub = blocking_stub(route.connect_blocking())
        with pytest.raises(grpc.RpcError) as caught:
            stub.UnaryCall(UNARY, wait_for_ready=True, timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        patient = stub.UnaryCall.future(UNARY, wait_for_ready=True)
        loop.wait(route.start())
        return patient.result()

    assert await loop.thread(use) == UnaryReply(body=b"at last")


# --- many ------------------------------------------------------------------------------------------------------------


async def test_many_threads_each_with_its_own_replies(route: Route) -> None:
    def use(stub: Any) -> None:
        def call(number: int) -> None:
            for index in range(CALLS):
                unary = UnaryRequest(body=body(100 + number, start=index), reply_bytes=number)
                stream = StreamRequest(body=body(number, start=index), reply_bytes=[number, 2 * number + index])
                match index % 4:
                    case 0:
                        assert stub.UnaryCall(unary) == unary_reply(unary)
                    case 1:
                        assert list(stub.StreamingOutputCall(stream)) == stream_replies(stream)
                    case 2:
                        assert stub.StreamingInputCall(iter([stream, stream])) == input_reply([stream.body] * 2)
                    case _:
                        assert list(stub.FullDuplexCall(iter([stream]))) == stream_replies(stream)

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(call, range(THREADS)))

    await with_stub(route, CoroutineServicer(), use)


async def test_unread_stream_holds_up_no_other_call(route: Route) -> None:
    chunk = StreamReply(body=body(64 * 1024))

    async def flood(request: StreamRequest, context: Context) -> Any:
        for _ in range(64):
            yield chunk

    def use(stub: Any) -> None:
        slow = stub.StreamingOutputCall(StreamRequest())
        assert next(slow) == chunk
        for number in range(10):
            request = UnaryRequest(reply_bytes=number)
            assert stub.UnaryCall(request) == unary_reply(request)
        assert list(slow) == [chunk] * 63

    await with_stub(route, scripted(StreamingOutputCall=flood, UnaryCall=CoroutineServicer().UnaryCall), use)


async def test_request_iterator_that_blocks_holds_up_no_other_call(route: Route) -> None:
    def use(stub: Any) -> Any:
        may_go_on = threading.Event()

        def requests() -> Iterator[StreamRequest]:
            may_go_on.wait()
            yield STREAM

        slow = stub.StreamingInputCall.future(requests())
        assert stub.UnaryCall(UNARY) == unary_reply(UNARY)
        may_go_on.set()
        return slow.result()

    assert await with_stub(route, CoroutineServicer(), use) == input_reply([STREAM.body])
