"""Many calls at once: none takes another's messages, and none waits for another's reader."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from interop_pb2 import InputReply, StreamReply, StreamRequest, UnaryRequest

from .kinds import collect
from .payloads import LARGE_REPLY_BYTES, LARGE_REQUEST_BYTES, body, input_reply, stream_replies, unary_reply
from .routes import Route
from .service import Context, InteropStub, interop_stub, registers
from .servicers import CoroutineServicer, scripted

MIXED_CALLS = 300
CHUNK = body(64 * 1024)
CHUNKS = 64  # far more than any flow control lets through unread


async def mixed_call(stub: InteropStub, number: int) -> None:
    """A call of one of the four kinds, whose messages no other call has."""
    unary = UnaryRequest(body=body(100 + number, start=number), reply_bytes=1000 + number)
    stream = [StreamRequest(body=body(number + i, start=i), reply_bytes=[number, 2 * number + i]) for i in range(3)]
    replies = [reply for request in stream for reply in stream_replies(request)]
    match number % 4:
        case 0:
            assert await stub.UnaryCall(unary) == unary_reply(unary)
        case 1:
            assert await collect(stub.StreamingOutputCall(stream[0])) == stream_replies(stream[0])
        case 2:
            assert await stub.StreamingInputCall(iter(stream)) == input_reply([request.body for request in stream])
        case _:
            assert await collect(stub.FullDuplexCall(iter(stream))) == replies


async def test_many_mixed_calls_at_once(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    await asyncio.gather(*(mixed_call(stub, number) for number in range(MIXED_CALLS)))


async def test_many_mixed_calls_from_several_channels(route: Route) -> None:
    await route.serve(registers(CoroutineServicer()))
    stubs = [interop_stub(await route.connect()) for _ in range(4)]
    await asyncio.gather(*(mixed_call(stubs[number // 4 % 4], number) for number in range(100)))


async def test_concurrent_large_unary(stub: InteropStub) -> None:
    requests = [
        UnaryRequest(body=body(LARGE_REQUEST_BYTES, start=number), reply_bytes=LARGE_REPLY_BYTES + number)
        for number in range(16)
    ]
    replies = await asyncio.gather(*(stub.UnaryCall(request) for request in requests))
    assert replies == [unary_reply(request) for request in requests]


async def test_calls_end_in_any_order(route: Route) -> None:
    may_end = {number: asyncio.Event() for number in range(20)}

    async def answer_when_allowed(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        await may_end[request.reply_bytes[0]].wait()
        yield StreamReply(body=bytes(request.reply_bytes[0]))

    stub = await route.open(scripted(StreamingOutputCall=answer_when_allowed))
    calls = {number: stub.StreamingOutputCall(StreamRequest(reply_bytes=[number])) for number in may_end}
    for number in reversed(range(20)):
        may_end[number].set()
        assert await collect(calls[number]) == [StreamReply(body=bytes(number))]


async def test_unread_stream_holds_up_no_other_call(route: Route) -> None:
    async def flood(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        for _ in range(CHUNKS):
            yield StreamReply(body=CHUNK)

    stub = await route.open(scripted(StreamingOutputCall=flood, UnaryCall=CoroutineServicer().UnaryCall))
    slow = stub.StreamingOutputCall(StreamRequest())
    assert await slow.read() == StreamReply(body=CHUNK)
    for number in range(10):
        request = UnaryRequest(reply_bytes=number)
        assert await stub.UnaryCall(request) == unary_reply(request)
    for _ in range(CHUNKS - 1):
        assert await slow.read() == StreamReply(body=CHUNK)
    assert await slow.read() is grpc.aio.EOF


async def test_unread_requests_hold_up_no_other_call(route: Route) -> None:
    may_read = asyncio.Event()

    async def read_later(requests: AsyncIterator[StreamRequest], context: Context) -> InputReply:
        await may_read.wait()
        return InputReply(messages=len([request async for request in requests]))

    stub = await route.open(scripted(StreamingInputCall=read_later, UnaryCall=CoroutineServicer().UnaryCall))
    slow = stub.StreamingInputCall(StreamRequest(body=CHUNK) for _ in range(CHUNKS))
    for number in range(10):
        request = UnaryRequest(reply_bytes=number)
        assert await stub.UnaryCall(request) == unary_reply(request)
    may_read.set()
    assert await slow == InputReply(messages=CHUNKS)


async def test_cancelled_calls_leave_the_others_alone(route: Route) -> None:
    may_end = asyncio.Event()

    async def answer_later(requests: AsyncIterator[StreamRequest], context: Context) -> AsyncIterator[StreamReply]:
        async for request in requests:
            yield StreamReply(body=request.body)
        await may_end.wait()

    stub = await route.open(scripted(FullDuplexCall=answer_later))
    calls = [stub.FullDuplexCall(iter([StreamRequest(body=bytes([number]))])) for number in range(40)]
    for number, call in enumerate(calls):
        assert await call.read() == StreamReply(body=bytes([number]))
    for call in calls[::2]:
        call.cancel()
    may_end.set()
    for call in calls[1::2]:
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
