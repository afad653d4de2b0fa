"""The cases that gRPC publishes for interoperability, by the names they have there, for programs that block.

`test_published_cases.py` has them for programs that do not.
"""

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import interop_pb2_grpc
import pytest
from interop_pb2 import EchoStatus, Empty, StreamRequest, UnaryRequest

from .blocking import WAIT_S, Use, blocking_stub
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
from .test_published_cases import METADATA, SPECIAL, UNKNOWN

CONCURRENT = 20


class Requests:
    """A stream of requests that the case feeds one by one."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[StreamRequest | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[StreamRequest]:
        return iter(self._queue.get, None)

    def send(self, request: StreamRequest) -> None:
        self._queue.put(request)

    def end(self) -> None:
        self._queue.put(None)


def own(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """The entries of the case, without those that an HTTP server adds by itself."""
    return tuple((key, value) for key, value in metadata if key.startswith("x-"))


async def test_empty_unary(blocking: Use) -> None:
    assert await blocking(lambda channel: blocking_stub(channel).EmptyCall(Empty())) == Empty()


@pytest.mark.parametrize(
    ("request_bytes", "reply_bytes"), [(LARGE_REQUEST_BYTES, LARGE_REPLY_BYTES), (3 << 20, 3 << 20)]
)
async def test_large_unary(blocking: Use, request_bytes: int, reply_bytes: int) -> None:
    request = UnaryRequest(body=body(request_bytes), reply_bytes=reply_bytes)
    assert await blocking(lambda channel: blocking_stub(channel).UnaryCall(request)) == unary_reply(request)


async def test_client_streaming(blocking: Use) -> None:
    bodies = [body(size, start=size) for size in STREAM_REQUEST_BYTES]
    requests = [StreamRequest(body=each) for each in bodies]
    reply = await blocking(lambda channel: blocking_stub(channel).StreamingInputCall(iter(requests)))
    assert reply == input_reply(bodies)


async def test_server_streaming(blocking: Use) -> None:
    request = StreamRequest(reply_bytes=STREAM_REPLY_BYTES)
    replies = await blocking(lambda channel: list(blocking_stub(channel).StreamingOutputCall(request)))
    assert replies == stream_replies(request)


async def test_ping_pong(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> None:
        requests = Requests()
        call = blocking_stub(channel).FullDuplexCall(iter(requests))
        for request_bytes, reply_bytes in zip(STREAM_REQUEST_BYTES, STREAM_REPLY_BYTES, strict=True):
            request = StreamRequest(body=body(request_bytes), reply_bytes=[reply_bytes])
            requests.send(request)
            assert [next(call)] == stream_replies(request)
        requests.end()
        assert list(call) == []
        assert call.code() is grpc.StatusCode.OK

    await blocking(use)


async def test_empty_stream(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> None:
        call = blocking_stub(channel).FullDuplexCall(iter(()))
        assert list(call) == []
        assert call.code() is grpc.StatusCode.OK

    await blocking(use)


async def test_half_duplex(blocking: Use) -> None:
    requests = [StreamRequest(reply_bytes=[size, 1]) for size in STREAM_REPLY_BYTES]
    replies = await blocking(lambda channel: list(blocking_stub(channel).HalfDuplexCall(iter(requests))))
    assert replies == [reply for request in requests for reply in stream_replies(request)]


async def test_custom_metadata_of_a_unary_call(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> None:
        _, call = blocking_stub(channel).UnaryCall.with_call(UnaryRequest(), metadata=METADATA)
        assert own(call.initial_metadata()) == METADATA[:1]
        assert own(call.trailing_metadata()) == METADATA[1:]

    await blocking(use)


async def test_custom_metadata_of_full_duplex(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> None:
        # With a reply, as the case is published: of a stream without one, grpcio's asyncio client loses the initial
        # metadata where the status overtakes them, and the sidecar is such a client.
        request = StreamRequest(body=body(LARGE_REQUEST_BYTES), reply_bytes=[LARGE_REPLY_BYTES])
        call = blocking_stub(channel).FullDuplexCall(iter([request]), metadata=METADATA)
        assert list(call) == stream_replies(request)
        assert own(call.initial_metadata()) == METADATA[:1]
        assert own(call.trailing_metadata()) == METADATA[1:]

    await blocking(use)


@pytest.mark.parametrize("status", [UNKNOWN, SPECIAL], ids=["status_code_and_message", "special_status_message"])
async def test_status_of_a_unary_call(blocking: Use, status: EchoStatus) -> None:
    def use(channel: grpc.Channel) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            blocking_stub(channel).UnaryCall(UnaryRequest(status=status))
        assert_unknown(caught.value, status)

    await blocking(use)


@pytest.mark.parametrize("status", [UNKNOWN, SPECIAL], ids=["status_code_and_message", "special_status_message"])
async def test_status_of_full_duplex(blocking: Use, status: EchoStatus) -> None:
    def use(channel: grpc.Channel) -> None:
        call = blocking_stub(channel).FullDuplexCall(iter([StreamRequest(status=status)]))
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
        assert_unknown(caught.value, status)

    await blocking(use)


def assert_unknown(error: Any, status: EchoStatus) -> None:
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == status.details


async def test_unimplemented_method(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            blocking_stub(channel).UnimplementedCall(Empty())
        return caught.value

    assert (await blocking(use)).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_unimplemented_service(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            interop_pb2_grpc.UnregisteredStub(channel).UnimplementedCall(Empty())  # type: ignore[no-untyped-call]
        return caught.value

    assert (await blocking(use)).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_cancel_after_begin(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> None:
        requests = Requests()
        call = blocking_stub(channel).StreamingInputCall.future(iter(requests))
        assert call.cancel()
        requests.end()
        with pytest.raises(grpc.FutureCancelledError):
            call.result(WAIT_S)
        assert call.code() is grpc.StatusCode.CANCELLED

    await blocking(use)


async def test_cancel_after_first_response(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> None:
        requests = Requests()
        call = blocking_stub(channel).FullDuplexCall(iter(requests))
        request = StreamRequest(body=body(STREAM_REQUEST_BYTES[0]), reply_bytes=STREAM_REPLY_BYTES[:1])
        requests.send(request)
        assert [next(call)] == stream_replies(request)
        assert call.cancel()
        requests.end()
        with pytest.raises(grpc.RpcError):
            next(call)
        assert call.code() is grpc.StatusCode.CANCELLED

    await blocking(use)


async def test_concurrent_large_unary(blocking: Use) -> None:
    request = UnaryRequest(body=body(LARGE_REQUEST_BYTES), reply_bytes=LARGE_REPLY_BYTES)

    def use(channel: grpc.Channel) -> None:
        stub = blocking_stub(channel)
        with ThreadPoolExecutor(CONCURRENT) as threads:
            for reply in threads.map(stub.UnaryCall, [request] * CONCURRENT):
                assert reply == unary_reply(request)

    await blocking(use)
