"""A server that ends a call before its client has sent all: the client gets the answer, and no error for its writes."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from interop_pb2 import InputReply, StreamReply, StreamRequest

from .kinds import STREAM_STREAM, STREAM_UNARY, Kind, collect, each
from .routes import Route
from .service import Context
from .servicers import scripted


async def endless_requests() -> AsyncIterator[StreamRequest]:
    while True:
        yield StreamRequest(body=bytes(1024))
        await asyncio.sleep(0)  # a turn for the others


async def one_request_then_none() -> AsyncIterator[StreamRequest]:
    yield StreamRequest(body=b"1")
    await asyncio.Event().wait()


async def take_one(requests: object, context: Context) -> InputReply:
    await context.read()
    return InputReply(messages=1)


async def answer_one(requests: object, context: Context) -> None:
    await context.read()
    await context.write(StreamReply(body=b"enough"))


async def abort_after_one(requests: object, context: Context) -> None:
    await context.read()
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")


async def test_reply_before_the_half_close(route: Route) -> None:
    stub = await route.open(scripted(StreamingInputCall=take_one))
    call = stub.StreamingInputCall()
    await call.write(StreamRequest(body=b"1"))
    assert await call == InputReply(messages=1)
    assert await call.code() is grpc.StatusCode.OK
    with pytest.raises(asyncio.InvalidStateError, match="RPC already finished"):
        await call.write(StreamRequest(body=b"2"))
    await call.done_writing()


async def test_reply_before_the_first_request(route: Route) -> None:
    async def answer_unasked(requests: object, context: Context) -> InputReply:
        return InputReply(messages=0)

    stub = await route.open(scripted(StreamingInputCall=answer_unasked))
    assert await stub.StreamingInputCall() == InputReply(messages=0)


@pytest.mark.parametrize("requests", [endless_requests, one_request_then_none])
async def test_reply_to_an_iterator_that_has_not_ended(route: Route, requests: object) -> None:
    stub = await route.open(scripted(StreamingInputCall=take_one))
    assert await stub.StreamingInputCall(requests()) == InputReply(messages=1)  # type: ignore[operator]


async def test_end_of_full_duplex_while_the_client_writes(route: Route) -> None:
    stub = await route.open(scripted(FullDuplexCall=answer_one))
    call = stub.FullDuplexCall()
    await call.write(StreamRequest(body=b"1"))
    assert await call.read() == StreamReply(body=b"enough")
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK
    with pytest.raises(asyncio.InvalidStateError, match="RPC already finished"):
        await call.write(StreamRequest(body=b"2"))
    await call.done_writing()


async def test_end_of_full_duplex_while_the_iterator_has_not_ended(route: Route) -> None:
    # Not with endless requests, for the reason that is in `Kind.begin_open`.
    stub = await route.open(scripted(FullDuplexCall=answer_one))
    assert await collect(stub.FullDuplexCall(one_request_then_none())) == [StreamReply(body=b"enough")]


@each((STREAM_UNARY, STREAM_STREAM))
async def test_abort_while_the_client_writes(route: Route, kind: Kind) -> None:
    stub = await route.open(scripted(**{kind.method: abort_after_one}))
    call = getattr(stub, kind.method)(one_request_then_none())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kind.replies(call)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "enough"


@each((STREAM_UNARY, STREAM_STREAM))
async def test_abort_before_the_first_request(route: Route, kind: Kind) -> None:
    async def abort(requests: object, context: Context) -> None:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    stub = await route.open(scripted(**{kind.method: abort}))
    call = getattr(stub, kind.method)()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kind.replies(call)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_requests_that_the_server_leaves_unread(route: Route) -> None:
    async def answer_unasked(requests: object, context: Context) -> InputReply:
        return InputReply(messages=0)

    stub = await route.open(scripted(StreamingInputCall=answer_unasked))
    requests = [StreamRequest(body=bytes(1024)) for _ in range(100)]
    assert await stub.StreamingInputCall(requests) == InputReply(messages=0)  # type: ignore[arg-type]
