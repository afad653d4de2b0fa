"""What a peer makes of metadata, errors, deadlines and cancellation; beyond the published cases."""

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from interop_pb2 import EchoStatus, StreamRequest, UnaryRequest

from interop.blocking import WAIT_S
from interop.kinds import collect
from interop.payloads import body, stream_replies, unary_reply
from interop.service import InteropStub

EVERY_BYTE = bytes(range(256))


async def told(call: Any, key: str) -> str:
    """What the peer says in its initial metadata."""
    return str(dict(await call.initial_metadata())[key])


@pytest.mark.parametrize("compression", grpc.Compression)
async def test_compression_both_ways(stub: InteropStub, compression: grpc.Compression) -> None:
    unary = UnaryRequest(body=body(100_000), reply_bytes=100_000)
    assert await stub.UnaryCall(unary, compression=compression) == unary_reply(unary)
    stream = StreamRequest(body=body(100_000), reply_bytes=[100_000, 0, 1])
    assert await collect(stub.FullDuplexCall(iter([stream]), compression=compression)) == stream_replies(stream)


async def test_binary_metadata(stub: InteropStub) -> None:
    trailers = (("x-echo-trailing-bin", EVERY_BYTE), ("x-echo-trailing-bin", b""))
    call = stub.UnaryCall(UnaryRequest(), metadata=trailers)
    await call
    assert tuple(await call.trailing_metadata()) == trailers


async def test_rich_error(stub: InteropStub) -> None:
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="a bad ☺ request")
    status.details.add().Pack(error_details_pb2.BadRequest())
    call = stub.UnaryCall(
        UnaryRequest(status=EchoStatus(code=code_pb2.INVALID_ARGUMENT, details=status.message)),
        metadata=(("x-send-status-details-bin", status.SerializeToString()),),
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert rpc_status.from_call(caught.value) == status


async def test_deadline_reaches_the_server(stub: InteropStub) -> None:
    asked = (("x-tell-time-left", "yes"),)
    limited = await told(stub.UnaryCall(UnaryRequest(), metadata=asked, timeout=3_600), "x-time-left-ms")
    assert 3_000_000 < int(limited) < 3_700_000  # gRPC rounds long ones
    assert await told(stub.UnaryCall(UnaryRequest(), metadata=asked), "x-time-left-ms") == "none"


async def test_deadline_ends_the_call(stub: InteropStub) -> None:
    call = stub.UnaryCall(UnaryRequest(), metadata=(("x-hang", "yes"),), timeout=0.05)
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_cancellation_reaches_the_server(stub: InteropStub) -> None:
    async def cancelled() -> int:
        return int(await told(stub.UnaryCall(UnaryRequest(), metadata=(("x-tell-cancelled", "yes"),)), "x-cancelled"))

    before = await cancelled()
    call = stub.StreamingOutputCall(StreamRequest(), metadata=(("x-hang", "yes"),))
    await call.initial_metadata()
    call.cancel()
    async with asyncio.timeout(WAIT_S):
        while await cancelled() == before:
            pass
