"""The blocking client, in a thread of its own, on the same routes."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import interop_pb2_grpc
import pytest
from interop_pb2 import EchoStatus, Empty, StreamRequest, UnaryRequest
from interop_pb2_grpc import InteropServicer

from .payloads import STREAM_REPLY_BYTES, body, input_reply, stream_replies, unary_reply
from .routes import Route
from .service import registers
from .servicers import ECHO_INITIAL, ECHO_TRAILING, CoroutineServicer, EndlessHandler, scripted

T = TypeVar("T")

METADATA = ((ECHO_INITIAL, "initial value"), (ECHO_TRAILING, b"\xab\xab\xab"))
UNARY = UnaryRequest(body=body(1000), reply_bytes=2000)
STREAM = StreamRequest(body=body(1000), reply_bytes=STREAM_REPLY_BYTES)


async def with_blocking_stub(route: Route, servicer: InteropServicer, use: Callable[[Any], T]) -> T:
    """What `use` returns, called in a thread with a blocking stub of `servicer`."""
    await route.serve(registers(servicer))

    def run() -> T:
        return use(interop_pb2_grpc.InteropStub(route.connect_blocking()))  # type: ignore[no-untyped-call]

    return await asyncio.to_thread(run)


async def test_unary(route: Route) -> None:
    reply = await with_blocking_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall(UNARY))
    assert reply == unary_reply(UNARY)


async def test_unary_with_call(route: Route) -> None:
    reply, call = await with_blocking_stub(
        route, CoroutineServicer(), lambda stub: stub.UnaryCall.with_call(UNARY, metadata=METADATA)
    )
    assert reply == unary_reply(UNARY)
    assert call.code() is grpc.StatusCode.OK
    assert tuple(call.initial_metadata()) == METADATA[:1]
    assert tuple(call.trailing_metadata()) == METADATA[1:]


async def test_unary_future(route: Route) -> None:
    reply = await with_blocking_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall.future(UNARY).result())
    assert reply == unary_reply(UNARY)


async def test_reply_stream(route: Route) -> None:
    replies = await with_blocking_stub(route, CoroutineServicer(), lambda stub: list(stub.StreamingOutputCall(STREAM)))
    assert replies == stream_replies(STREAM)


async def test_request_stream(route: Route) -> None:
    reply = await with_blocking_stub(
        route, CoroutineServicer(), lambda stub: stub.StreamingInputCall(iter([STREAM, STREAM]))
    )
    assert reply == input_reply([STREAM.body, STREAM.body])


async def test_both_streams(route: Route) -> None:
    replies = await with_blocking_stub(
        route, CoroutineServicer(), lambda stub: list(stub.FullDuplexCall(iter([STREAM, STREAM])))
    )
    assert replies == 2 * stream_replies(STREAM)


async def test_status(route: Route) -> None:
    request = UnaryRequest(status=EchoStatus(code=9, details="not now, ☺"))
    with pytest.raises(grpc.RpcError) as caught:
        await with_blocking_stub(route, CoroutineServicer(), lambda stub: stub.UnaryCall(request, metadata=METADATA))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "not now, ☺"
    assert tuple(error.trailing_metadata()) == METADATA[1:]


async def test_unimplemented_method(route: Route) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await with_blocking_stub(route, CoroutineServicer(), lambda stub: stub.UnimplementedCall(Empty()))
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_deadline(route: Route) -> None:
    endless = EndlessHandler()
    with pytest.raises(grpc.RpcError) as caught:
        await with_blocking_stub(
            route, scripted(UnaryCall=endless.handle), lambda stub: stub.UnaryCall(UNARY, timeout=0.2)
        )
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await endless.was_cancelled.wait()


async def test_cancel(route: Route) -> None:
    endless = EndlessHandler()
    loop = asyncio.get_running_loop()

    def cancel_once_begun(stub: Any) -> Any:
        call = stub.UnaryCall.future(UNARY)
        asyncio.run_coroutine_threadsafe(endless.has_started.wait(), loop).result(timeout=60)
        assert call.cancel()
        return call

    call = await with_blocking_stub(route, scripted(UnaryCall=endless.handle), cancel_once_begun)
    assert call.cancelled()
    assert call.code() is grpc.StatusCode.CANCELLED
    await endless.was_cancelled.wait()


async def test_cancel_of_a_stream(route: Route) -> None:
    def read_one_and_cancel(stub: Any) -> grpc.StatusCode:
        call = stub.FullDuplexCall(iter([STREAM]))
        assert next(call) == stream_replies(STREAM)[0]
        call.cancel()
        code: grpc.StatusCode = call.code()
        return code

    code = await with_blocking_stub(route, CoroutineServicer(), read_one_and_cancel)
    assert code is grpc.StatusCode.CANCELLED
