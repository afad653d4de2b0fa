"""The call object that a client holds: when it tells what, and what it refuses."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from interop_pb2 import StreamRequest, UnaryReply, UnaryRequest

from .kinds import UNARY_STREAM, UNARY_UNARY, Kind, collect, each
from .payloads import input_reply, stream_replies, unary_reply
from .routes import Route
from .service import Context, interop_stub, registers
from .servicers import CoroutineServicer, EndlessHandler, scripted

UNARY = UnaryRequest(body=b"?", reply_bytes=3)
THREE_REPLIES = StreamRequest(reply_bytes=[1, 2, 3])
MIXED_STYLES = "The iterator and read/write APIs may not be mixed on a single RPC."


@each()
async def test_finished_call(route: Route, kind: Kind) -> None:
    stub = await route.open(CoroutineServicer())
    call = kind.begin(stub)
    await kind.replies(call)
    assert await call.code() is grpc.StatusCode.OK
    assert await call.details() == ""
    assert call.done()
    assert not call.cancelled()


@each()
async def test_call_in_flight_is_not_done(route: Route, kind: Kind) -> None:
    stub = await route.open(scripted(**{kind.method: EndlessHandler().handle}))
    call = kind.begin(stub)
    assert not call.done()
    assert not call.cancelled()


@each()
async def test_done_callback(route: Route, kind: Kind) -> None:
    stub = await route.open(CoroutineServicer())
    call = kind.begin(stub)
    told: list[tuple[object, bool]] = []
    call.add_done_callback(lambda call: told.append((call, call.done())))
    await kind.replies(call)
    await call.code()
    assert told == [(call, True)]
    call.add_done_callback(lambda call: told.append((call, call.done())))
    assert told == [(call, True), (call, True)]


async def test_unary_reply_may_be_awaited_again(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.UnaryCall(UNARY)
    assert await call == unary_reply(UNARY)
    assert await call == unary_reply(UNARY)


async def test_unary_call_runs_without_being_awaited(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.UnaryCall(UNARY)
    assert await call.code() is grpc.StatusCode.OK
    assert await call == unary_reply(UNARY)


@each()
async def test_wait_for_connection(route: Route, kind: Kind) -> None:
    stub = await route.open(CoroutineServicer())
    call = kind.begin(stub)
    await call.wait_for_connection()
    await kind.replies(call)
    assert await call.code() is grpc.StatusCode.OK


@each((UNARY_UNARY, UNARY_STREAM))
async def test_wait_for_connection_raises_what_ended_the_call(route: Route, kind: Kind) -> None:
    stub = await route.open(scripted())
    call = kind.begin(stub)
    assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(grpc.aio.AioRpcError):
        await call.wait_for_connection()


async def test_read_until_the_end(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.StreamingOutputCall(THREE_REPLIES)
    assert [await call.read() for _ in range(3)] == stream_replies(THREE_REPLIES)
    assert await call.read() is grpc.aio.EOF
    assert await call.read() is grpc.aio.EOF
    assert call.done()


async def test_end_of_stream_is_false(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.StreamingOutputCall(StreamRequest())
    assert not await call.read()


async def test_iteration_goes_on_where_it_was_left(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.StreamingOutputCall(THREE_REPLIES)
    received = []
    async for reply in call:
        received.append(reply)
        break
    received.extend(await collect(call))
    assert received == stream_replies(THREE_REPLIES)
    assert await collect(call) == []


async def test_read_and_iteration_do_not_mix(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    reading, iterating = stub.StreamingOutputCall(THREE_REPLIES), stub.StreamingOutputCall(THREE_REPLIES)
    await reading.read()
    with pytest.raises(grpc.aio.UsageError, match=MIXED_STYLES):
        await collect(reading)
    await anext(aiter(iterating))
    with pytest.raises(grpc.aio.UsageError, match=MIXED_STYLES):
        await iterating.read()


async def test_write_does_not_mix_with_a_request_iterator(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.StreamingInputCall(iter([StreamRequest()]))
    with pytest.raises(grpc.aio.UsageError, match=MIXED_STYLES):
        await call.write(StreamRequest())
    with pytest.raises(grpc.aio.UsageError, match=MIXED_STYLES):
        await call.done_writing()
    assert await call == input_reply([b""])


async def test_write_goes_with_iteration_of_the_replies(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.FullDuplexCall()
    await call.write(THREE_REPLIES)
    await call.done_writing()
    assert await collect(call) == stream_replies(THREE_REPLIES)


async def test_write_after_done_writing_is_refused(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.StreamingInputCall()
    await call.write(StreamRequest(body=b"1"))
    await call.done_writing()
    await call.done_writing()  # idempotent
    with pytest.raises(asyncio.InvalidStateError):
        await call.write(StreamRequest(body=b"2"))
    assert await call == input_reply([b"1"])


async def test_write_after_the_end_is_refused(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    call = stub.StreamingInputCall()
    await call.done_writing()
    await call
    with pytest.raises(asyncio.InvalidStateError, match="RPC already finished"):
        await call.write(StreamRequest())
    await call.done_writing()


def plainly(requests: list[StreamRequest]) -> Iterator[StreamRequest]:
    yield from requests


async def asynchronously(requests: list[StreamRequest]) -> AsyncIterator[StreamRequest]:
    for request in requests:
        yield request


@pytest.mark.parametrize("iterable", [list, tuple, plainly, asynchronously])
async def test_requests_from_any_iterable(route: Route, iterable: type[list[StreamRequest]]) -> None:
    stub = await route.open(CoroutineServicer())
    bodies = [b"1", b"2", b"3"]
    requests = iterable([StreamRequest(body=body) for body in bodies])
    assert await stub.StreamingInputCall(requests) == input_reply(bodies)  # type: ignore[arg-type]


async def test_request_iterator_that_fails_cancels_the_call(route: Route) -> None:
    async def fail() -> AsyncIterator[StreamRequest]:
        yield StreamRequest()
        raise ValueError("no more requests")

    stub = await route.open(CoroutineServicer())
    call = stub.StreamingInputCall(fail())
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelled()
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_requests_are_taken_as_they_are_made(route: Route) -> None:
    stub = await route.open(CoroutineServicer())
    replies: list[object] = []
    has_reply = asyncio.Event()

    async def ask_after_each_reply() -> AsyncIterator[StreamRequest]:
        for _ in range(3):
            has_reply.clear()
            yield StreamRequest(reply_bytes=[1])
            await has_reply.wait()

    async for reply in stub.FullDuplexCall(ask_after_each_reply()):
        replies.append(reply)
        has_reply.set()
    assert len(replies) == 3


async def test_wait_for_ready_waits_for_a_server(route: Route) -> None:
    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=b"at last")

    await route.prepare(registers(scripted(UnaryCall=answer)))
    stub = interop_stub(await route.connect())
    impatient = stub.UnaryCall(UnaryRequest(), wait_for_ready=True, timeout=0.1)
    assert await impatient.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    patient = stub.UnaryCall(UnaryRequest(), wait_for_ready=True)
    await route.start()
    assert await patient == UnaryReply(body=b"at last")


async def test_life_of_a_channel(route: Route) -> None:
    await route.serve(registers(CoroutineServicer()))
    channel = await route.connect()
    await channel.channel_ready()
    assert channel.get_state() is grpc.ChannelConnectivity.READY
    stub = interop_stub(channel)
    await stub.UnaryCall(UNARY)
    await channel.close()
    await channel.close()  # idempotent
    assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    with pytest.raises(grpc.aio.UsageError, match="Channel is closed"):
        stub.UnaryCall(UNARY)


async def test_channels_are_independent(route: Route) -> None:
    await route.serve(registers(CoroutineServicer()))
    first, second = await route.connect(), await route.connect()
    await interop_stub(first).UnaryCall(UNARY)
    await first.close()
    assert await interop_stub(second).UnaryCall(UNARY) == unary_reply(UNARY)
