"""The cases that gRPC publishes for interoperability, by the names they have there.

Each runs with the reference servicer as coroutines and as functions in threads. `timeout_on_sleeping_server` is in
`test_deadlines.py`, `concurrent_large_unary` in `test_concurrency.py`.
"""

import asyncio

import grpc
import pytest
from interop_pb2 import EchoStatus, Empty, StreamRequest, UnaryRequest

from .kinds import collect
from .payloads import (
    LARGE_REPLY_BYTES,
    LARGE_REQUEST_BYTES,
    STREAM_REPLY_BYTES,
    STREAM_REQUEST_BYTES,
    body,
    input_reply,
    stream_replies,
    unary_reply,
)
from .routes import Route
from .service import InteropStub, registers, unregistered_stub
from .servicers import ECHO_INITIAL, ECHO_TRAILING, CoroutineServicer

METADATA = ((ECHO_INITIAL, "initial value"), (ECHO_TRAILING, b"\xab\xab\xab"))
UNKNOWN = EchoStatus(code=2, details="test status message")
SPECIAL = EchoStatus(code=2, details="\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n")


async def test_empty_unary(stub: InteropStub) -> None:
    assert await stub.EmptyCall(Empty()) == Empty()


@pytest.mark.parametrize(
    ("request_bytes", "reply_bytes"), [(LARGE_REQUEST_BYTES, LARGE_REPLY_BYTES), (5 << 20, 5 << 20)]
)
async def test_large_unary(stub: InteropStub, request_bytes: int, reply_bytes: int) -> None:
    request = UnaryRequest(body=body(request_bytes), reply_bytes=reply_bytes)
    assert await stub.UnaryCall(request) == unary_reply(request)


async def test_client_streaming(stub: InteropStub) -> None:
    bodies = [body(size, start=size) for size in STREAM_REQUEST_BYTES]
    reply = await stub.StreamingInputCall(StreamRequest(body=each) for each in bodies)
    assert reply.body_bytes == 74_922
    assert reply == input_reply(bodies)


async def test_server_streaming(stub: InteropStub) -> None:
    request = StreamRequest(reply_bytes=STREAM_REPLY_BYTES)
    assert await collect(stub.StreamingOutputCall(request)) == stream_replies(request)


async def test_ping_pong(stub: InteropStub) -> None:
    call = stub.FullDuplexCall()
    for request_bytes, reply_bytes in zip(STREAM_REQUEST_BYTES, STREAM_REPLY_BYTES, strict=True):
        request = StreamRequest(body=body(request_bytes), reply_bytes=[reply_bytes])
        await call.write(request)
        assert [await call.read()] == stream_replies(request)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_empty_stream(stub: InteropStub) -> None:
    call = stub.FullDuplexCall()
    await call.done_writing()
    assert await collect(call) == []
    assert await call.code() is grpc.StatusCode.OK


async def test_half_duplex(stub: InteropStub) -> None:
    requests = [StreamRequest(reply_bytes=[size, 1]) for size in STREAM_REPLY_BYTES]
    replies = await collect(stub.HalfDuplexCall(iter(requests)))
    assert replies == [reply for request in requests for reply in stream_replies(request)]


async def test_custom_metadata_of_a_unary_call(stub: InteropStub) -> None:
    request = UnaryRequest(body=body(LARGE_REQUEST_BYTES), reply_bytes=LARGE_REPLY_BYTES)
    call = stub.UnaryCall(request, metadata=METADATA)
    assert await call == unary_reply(request)
    assert await call.initial_metadata() == METADATA[:1]
    assert await call.trailing_metadata() == METADATA[1:]


async def test_custom_metadata_of_full_duplex(stub: InteropStub) -> None:
    request = StreamRequest(body=body(LARGE_REQUEST_BYTES), reply_bytes=[LARGE_REPLY_BYTES])
    call = stub.FullDuplexCall(iter([request]), metadata=METADATA)
    assert await collect(call) == stream_replies(request)
    assert await call.initial_metadata() == METADATA[:1]
    assert await call.trailing_metadata() == METADATA[1:]


@pytest.mark.parametrize("status", [UNKNOWN, SPECIAL], ids=["status_code_and_message", "special_status_message"])
async def test_status_of_a_unary_call(stub: InteropStub, status: EchoStatus) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnaryCall(UnaryRequest(status=status))
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == status.details


@pytest.mark.parametrize("status", [UNKNOWN, SPECIAL], ids=["status_code_and_message", "special_status_message"])
async def test_status_of_full_duplex(stub: InteropStub, status: EchoStatus) -> None:
    call = stub.FullDuplexCall()
    await call.write(StreamRequest(status=status))
    await call.done_writing()
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert await call.code() is grpc.StatusCode.UNKNOWN
    assert await call.details() == status.details


async def test_unimplemented_method(stub: InteropStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnimplementedCall(Empty())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_unimplemented_service(route: Route) -> None:
    await route.serve(registers(CoroutineServicer()))
    stub = unregistered_stub(await route.connect())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnimplementedCall(Empty())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_cancel_after_begin(stub: InteropStub) -> None:
    call = stub.StreamingInputCall()
    await call.wait_for_connection()
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_cancel_after_first_response(stub: InteropStub) -> None:
    call = stub.FullDuplexCall()
    request = StreamRequest(body=body(STREAM_REQUEST_BYTES[0]), reply_bytes=STREAM_REPLY_BYTES[:1])
    await call.write(request)
    assert [await call.read()] == stream_replies(request)
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.read()
    assert await call.code() is grpc.StatusCode.CANCELLED
