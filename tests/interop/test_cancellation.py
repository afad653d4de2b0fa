"""Cancellation: a client that gives a call up ends it on both sides, however it gives it up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .kinds import UNARY_STREAM, UNARY_UNARY, Kind, each
from .routes import Route
from .service import Context, interop_stub, registers, when_done
from .servicers import EndlessHandler, scripted


async def begun(route: Route, kind: Kind) -> tuple[EndlessHandler, grpc.aio.Call]:
    """A call whose handler runs, and would for ever."""
    endless = EndlessHandler()
    stub = await route.open(scripted(**{kind.method: endless.handle}))
    call: grpc.aio.Call = kind.begin(stub)
    await endless.has_started.wait()
    return endless, call


@each()
async def test_cancel(route: Route, kind: Kind) -> None:
    endless, call = await begun(route, kind)
    assert not call.done()
    assert call.cancel()
    assert call.done()
    assert call.cancelled()
    assert not call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await kind.replies(call)
    await endless.was_cancelled.wait()


@each()
async def test_status_of_a_cancelled_call(route: Route, kind: Kind) -> None:
    _, call = await begun(route, kind)
    call.cancel()
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert await call.details() == "Locally cancelled by application!"
    assert tuple(await call.initial_metadata()) == ()
    assert tuple(await call.trailing_metadata()) == ()


@each()
async def test_cancel_runs_the_done_callbacks_of_both_sides(route: Route, kind: Kind) -> None:
    endless, call = await begun(route, kind)
    told: list[object] = []
    call.add_done_callback(told.append)
    call.cancel()
    assert told == [call]
    await endless.is_done.wait()
    assert len(endless.contexts_done) == 1


@each()
async def test_cancel_at_once(route: Route, kind: Kind) -> None:
    stub = await route.open(scripted(**{kind.method: EndlessHandler().handle}))
    call = kind.begin(stub)
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await kind.replies(call)
    assert await call.code() is grpc.StatusCode.CANCELLED


@each()
async def test_cancel_wakes_the_reader(route: Route, kind: Kind) -> None:
    _, call = await begun(route, kind)
    reader = asyncio.ensure_future(kind.replies(call))
    await asyncio.sleep(0)  # lets the reader begin
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


@each()
async def test_cancelled_reader_cancels_the_call(route: Route, kind: Kind) -> None:
    endless, call = await begun(route, kind)
    reader = asyncio.ensure_future(kind.replies(call))
    await asyncio.sleep(0)  # lets the reader begin
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await endless.was_cancelled.wait()
    assert call.cancelled()
    assert await call.code() is grpc.StatusCode.CANCELLED


@each((UNARY_UNARY, UNARY_STREAM))
async def test_wait_for_that_times_out_cancels_the_call(route: Route, kind: Kind) -> None:
    endless, call = await begun(route, kind)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(kind.replies(call), timeout=0.01)
    await endless.was_cancelled.wait()
    assert call.cancelled()


async def test_cancel_between_messages(route: Route) -> None:
    was_cancelled = asyncio.Event()

    async def count(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        try:
            yield StreamReply(body=b"1")
            yield StreamReply(body=b"2")
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    stub = await route.open(scripted(StreamingOutputCall=count))
    call = stub.StreamingOutputCall(StreamRequest())
    assert await call.read() == StreamReply(body=b"1")
    assert await call.read() == StreamReply(body=b"2")
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.read()
    await was_cancelled.wait()


async def test_cancel_closes_the_writer(route: Route) -> None:
    endless = EndlessHandler()
    stub = await route.open(scripted(FullDuplexCall=endless.handle))
    call = stub.FullDuplexCall()
    await endless.has_started.wait()
    call.cancel()
    with pytest.raises(asyncio.InvalidStateError, match="RPC already finished"):
        await call.write(StreamRequest())
    await call.done_writing()


async def test_cancel_of_a_finished_call_changes_nothing(route: Route) -> None:
    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=b"done")

    stub = await route.open(scripted(UnaryCall=answer))
    call = stub.UnaryCall(UnaryRequest())
    await call
    assert not call.cancel()
    assert not call.cancelled()
    assert await call == UnaryReply(body=b"done")
    assert await call.code() is grpc.StatusCode.OK


async def test_handler_may_end_well_after_it_was_cancelled(route: Route) -> None:
    has_started, is_done = asyncio.Event(), asyncio.Event()
    done: list[bool] = []

    def note_end(context: Context) -> None:
        done.append(context.done())
        is_done.set()

    async def ignore_cancellation(request: UnaryRequest, context: Context) -> UnaryReply:
        when_done(context, note_end)
        has_started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=ignore_cancellation))
    call = stub.UnaryCall(UnaryRequest())
    await has_started.wait()
    call.cancel()
    await is_done.wait()
    assert done == [True]
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_cancelled_handler_reads_the_end_and_cannot_write(route: Route) -> None:
    has_started, is_over = asyncio.Event(), asyncio.Event()
    after: list[object] = []

    async def go_on(requests: object, context: Context) -> None:
        has_started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            after.append(await context.read())
            try:
                await context.write(StreamReply())
            except grpc.aio.BaseError as error:
                after.append(error)
            is_over.set()
            raise

    stub = await route.open(scripted(FullDuplexCall=go_on))
    call = stub.FullDuplexCall()
    await has_started.wait()
    call.cancel()
    await is_over.wait()
    assert after[0] is grpc.aio.EOF
    assert isinstance(after[1], grpc.aio.BaseError)


async def test_handler_that_waits_for_requests_ends(route: Route) -> None:
    has_ended = asyncio.Event()

    async def consume(requests: AsyncIterator[StreamRequest], context: Context) -> None:
        try:
            async for _ in requests:
                await context.write(StreamReply())
        finally:  # by the end of the requests, or by cancellation: gRPC does not say which comes first
            has_ended.set()

    stub = await route.open(scripted(FullDuplexCall=consume))
    call = stub.FullDuplexCall()
    await call.write(StreamRequest())
    assert await call.read() == StreamReply()
    call.cancel()
    await has_ended.wait()


@each()
async def test_closing_the_channel_cancels_its_calls(route: Route, kind: Kind) -> None:
    endless = EndlessHandler()
    await route.serve(registers(scripted(**{kind.method: endless.handle})))
    channel = await route.connect()
    call = kind.begin(interop_stub(channel))
    await endless.has_started.wait()
    await channel.close()
    with pytest.raises(asyncio.CancelledError):
        await kind.replies(call)
    assert call.cancelled()
    await endless.was_cancelled.wait()


async def test_closing_the_channel_with_grace_lets_calls_end(route: Route) -> None:
    has_started, may_end = asyncio.Event(), asyncio.Event()

    async def answer_later(request: UnaryRequest, context: Context) -> UnaryReply:
        has_started.set()
        await may_end.wait()
        return UnaryReply(body=b"late")

    await route.serve(registers(scripted(UnaryCall=answer_later)))
    channel = await route.connect()
    call = interop_stub(channel).UnaryCall(UnaryRequest())
    await has_started.wait()
    closing = asyncio.ensure_future(channel.close(grace=60))
    may_end.set()
    await closing
    assert await call == UnaryReply(body=b"late")
