"""What a program that blocks holds of a call: futures, streams, cancellation, callbacks; and its channel's life."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from interop_pb2 import EchoStatus, StreamReply, StreamRequest, UnaryRequest

from .blocking import WAIT_S, Loop, begin, blocking_stub, replies, with_channel, with_stub
from .kinds import STREAM_STREAM, STREAM_UNARY, Kind, each
from .payloads import body, stream_replies, unary_reply
from .routes import Route
from .service import Context, registers
from .servicers import CoroutineServicer, EndlessHandler, scripted

UNARY = UnaryRequest(body=b"?", reply_bytes=3)
THREE_REPLIES = StreamRequest(reply_bytes=[1, 2, 3])
FAILURE = UnaryRequest(status=EchoStatus(code=9, details="not now"))


# --- futures ---------------------------------------------------------------------------------------------------------


@each()
async def test_finished_call(route: Route, kind: Kind) -> None:
    def use(stub: Any) -> None:
        call = begin(kind, stub, timeout=3600)
        replies(kind, call)
        assert call.code() is grpc.StatusCode.OK
        assert call.details() == ""
        assert call.done()
        assert not call.running()
        assert not call.is_active()
        assert not call.cancelled()
        assert not call.cancel()
        assert call.exception() is None
        assert call.traceback() is None
        assert not call.add_callback(lambda: None)
        assert 3000 < call.time_remaining() <= 3600
        assert "StatusCode.OK" in repr(call)

    await with_stub(route, CoroutineServicer(), use)


@each()
async def test_call_in_flight(route: Route, kind: Kind) -> None:
    def use(stub: Any) -> None:
        call = begin(kind, stub)
        assert not call.done()
        assert call.running()
        assert call.is_active()
        assert not call.cancelled()
        assert call.time_remaining() is None
        with pytest.raises(grpc.FutureTimeoutError):
            call.result(timeout=0.01)
        with pytest.raises(grpc.FutureTimeoutError):
            call.exception(timeout=0.01)
        with pytest.raises(grpc.FutureTimeoutError):
            call.traceback(timeout=0.01)
        assert isinstance(call, grpc.Call)
        assert isinstance(call, grpc.Future)
        assert isinstance(call, grpc.RpcContext)

    await with_stub(route, scripted(**{kind.method: EndlessHandler().handle}), use)


async def test_failed_future(route: Route) -> None:
    def use(stub: Any) -> None:
        call = stub.UnaryCall.future(FAILURE)
        with pytest.raises(grpc.RpcError) as caught:
            call.result()
        assert caught.value is call
        assert call.exception() is call
        assert call.traceback() is not None
        assert (call.code(), call.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not now")
        assert not call.cancelled()

    await with_stub(route, CoroutineServicer(), use)


async def test_many_futures_at_once(route: Route) -> None:
    def use(stub: Any) -> None:
        requests = [UnaryRequest(body=body(number), reply_bytes=number) for number in range(200)]
        calls = [stub.UnaryCall.future(request) for request in requests]
        assert [call.result() for call in calls] == [unary_reply(request) for request in requests]

    await with_stub(route, CoroutineServicer(), use)


@each()
async def test_callbacks_of_a_call(route: Route, kind: Kind) -> None:
    def use(stub: Any) -> None:
        told: SimpleQueue[Any] = SimpleQueue()
        call = begin(kind, stub)
        call.add_done_callback(told.put)
        replies(kind, call)
        assert told.get(timeout=WAIT_S) is call
        call.add_done_callback(told.put)  # told at once
        assert told.get_nowait() is call

    await with_stub(route, CoroutineServicer(), use)


async def test_callback_may_call_and_block(route: Route) -> None:
    def use(stub: Any) -> Any:
        told: SimpleQueue[Any] = SimpleQueue()
        stub.UnaryCall.future(UNARY).add_done_callback(lambda _: told.put(stub.UnaryCall(UNARY)))
        return told.get(timeout=WAIT_S)

    assert await with_stub(route, CoroutineServicer(), use) == unary_reply(UNARY)


async def test_callback_that_fails_takes_nothing_with_it(route: Route) -> None:
    def use(stub: Any) -> None:
        told: SimpleQueue[Any] = SimpleQueue()
        call = stub.UnaryCall.future(UNARY)
        with suppress(ZeroDivisionError):  # of a call that has ended already it is called here
            call.add_done_callback(lambda _: 1 / 0)
        call.add_done_callback(told.put)
        assert told.get(timeout=WAIT_S) is call
        assert stub.UnaryCall.future(UNARY).result() == unary_reply(UNARY)

    await with_stub(route, CoroutineServicer(), use)


# --- cancellation ----------------------------------------------------------------------------------------------------


@each()
async def test_cancel(route: Route, kind: Kind) -> None:
    endless = EndlessHandler()
    loop = Loop()

    def use(stub: Any) -> None:
        call = begin(kind, stub)
        loop.wait(endless.has_started.wait())
        told: SimpleQueue[Any] = SimpleQueue()
        call.add_done_callback(told.put)
        assert call.cancel()
        assert not call.cancel()
        assert call.cancelled()
        assert call.done()
        assert not call.is_active()
        assert call.code() is grpc.StatusCode.CANCELLED
        assert call.details() == "Locally cancelled by application!"
        with pytest.raises(grpc.FutureCancelledError):
            call.result()
        with pytest.raises(grpc.FutureCancelledError):
            call.exception()
        assert told.get(timeout=WAIT_S) is call
        assert call.trailing_metadata() == ()

    await with_stub(route, scripted(**{kind.method: endless.handle}), use)
    await endless.was_cancelled.wait()


@each()
async def test_cancel_at_once(route: Route, kind: Kind) -> None:
    def use(stub: Any) -> Any:
        call = begin(kind, stub)
        call.cancel()
        return call.code()

    servicer = scripted(**{kind.method: EndlessHandler().handle})
    assert await with_stub(route, servicer, use) is grpc.StatusCode.CANCELLED


async def test_cancel_wakes_the_reader(route: Route) -> None:
    def use(stub: Any) -> Any:
        call = stub.FullDuplexCall(iter([THREE_REPLIES]))
        for _ in range(3):
            next(call)
        canceller = threading.Timer(0.05, call.cancel)
        canceller.start()
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
        canceller.join()
        return caught.value

    async def answer_and_wait(requests: Any, context: Context) -> Any:
        async for request in requests:
            for reply in stream_replies(request):
                yield reply
        await EndlessHandler().handle(None, context)

    error = await with_stub(route, scripted(FullDuplexCall=answer_and_wait), use)
    assert error.code() is grpc.StatusCode.CANCELLED


async def test_cancel_of_a_stream(route: Route) -> None:
    def read_one_and_cancel(stub: Any) -> grpc.StatusCode:
        call = stub.FullDuplexCall(iter([THREE_REPLIES]))
        assert next(call) == stream_replies(THREE_REPLIES)[0]
        call.cancel()
        with pytest.raises(grpc.RpcError):
            next(call)
        code: grpc.StatusCode = call.code()
        return code

    assert await with_stub(route, CoroutineServicer(), read_one_and_cancel) is grpc.StatusCode.CANCELLED


async def test_call_that_nobody_holds_is_cancelled(route: Route) -> None:
    endless = EndlessHandler()
    loop = Loop()

    def use(stub: Any) -> None:
        call = stub.UnaryCall.future(UNARY)
        loop.wait(endless.has_started.wait())
        del call
        loop.wait(endless.was_cancelled.wait())

    await with_stub(route, scripted(UnaryCall=endless.handle), use)


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_iteration_goes_on_where_it_was_left(route: Route) -> None:
    def use(stub: Any) -> None:
        call = stub.StreamingOutputCall(THREE_REPLIES)
        received = []
        for reply in call:
            received.append(reply)
            break
        received.extend(call)
        assert received == stream_replies(THREE_REPLIES)
        assert list(call) == []

    await with_stub(route, CoroutineServicer(), use)


async def test_status_of_a_stream_waits_until_it_is_read(route: Route) -> None:
    def use(stub: Any) -> None:
        call = stub.StreamingOutputCall(THREE_REPLIES)
        assert next(call) == stream_replies(THREE_REPLIES)[0]
        reader: SimpleQueue[Any] = SimpleQueue()
        thread = threading.Thread(target=lambda: reader.put(call.code()))
        thread.start()
        assert len(list(call)) == 2
        assert reader.get(timeout=WAIT_S) is grpc.StatusCode.OK
        thread.join()

    await with_stub(route, CoroutineServicer(), use)


@each((STREAM_UNARY, STREAM_STREAM))
async def test_request_iterator_that_fails(route: Route, kind: Kind) -> None:
    endless = EndlessHandler()
    loop = Loop()

    def requests() -> Iterator[StreamRequest]:
        loop.wait(endless.has_started.wait())
        yield StreamRequest()
        raise ValueError("no more requests")

    def use(stub: Any) -> Any:
        method = getattr(stub, kind.method)
        call = method(requests()) if kind.is_reply_stream else method.future(requests())
        with pytest.raises(grpc.RpcError) as caught:
            replies(kind, call)
        return caught.value

    error = await with_stub(route, scripted(**{kind.method: endless.handle}), use)
    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, "Exception iterating requests!")
    await endless.was_cancelled.wait()


@each((STREAM_UNARY, STREAM_STREAM))
async def test_request_stream_that_the_server_ends_early(route: Route, kind: Kind) -> None:
    async def refuse(request: Any, context: Context) -> None:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "enough")

    def use(stub: Any) -> Any:
        method = getattr(stub, kind.method)
        requests = itertools.repeat(StreamRequest(body=bytes(1000)))
        with pytest.raises(grpc.RpcError) as caught:
            list(method(requests)) if kind.is_reply_stream else method(requests)
        return caught.value

    error = await with_stub(route, scripted(**{kind.method: refuse}), use)
    assert (error.code(), error.details()) == (grpc.StatusCode.OUT_OF_RANGE, "enough")


async def test_slow_reader_holds_up_the_handler(route: Route) -> None:
    sent = 0
    count = 2_000

    async def flood(request: StreamRequest, context: Context) -> Any:
        nonlocal sent
        for _ in range(count):
            yield StreamReply(body=bytes(64 * 1024))
            sent += 1

    def use(stub: Any) -> int:
        slow = stub.StreamingOutputCall(StreamRequest())
        next(slow)
        for _ in range(50):
            stub.UnaryCall(UNARY)
        unread = sent
        slow.cancel()
        return unread

    servicer = scripted(StreamingOutputCall=flood, UnaryCall=CoroutineServicer().UnaryCall)
    assert await with_stub(route, servicer, use) < count // 4


async def test_slow_handler_holds_up_the_requests(route: Route) -> None:
    endless = EndlessHandler()
    loop = Loop()
    taken = 0
    count = 2_000

    def use(stub: Any) -> int:
        def requests() -> Iterator[StreamRequest]:
            nonlocal taken
            for _ in range(count):
                taken += 1
                yield StreamRequest(body=bytes(64 * 1024))

        slow = stub.StreamingInputCall.future(requests())
        loop.wait(endless.has_started.wait())
        for _ in range(50):
            stub.UnaryCall(UNARY)
        slow.cancel()
        return taken

    servicer = scripted(StreamingInputCall=endless.handle, UnaryCall=CoroutineServicer().UnaryCall)
    assert await with_stub(route, servicer, use) < count // 4


# --- the channel -----------------------------------------------------------------------------------------------------


@each()
async def test_closing_the_channel_cancels_its_calls(route: Route, kind: Kind) -> None:
    endless = EndlessHandler()
    loop = Loop()

    def use(channel: grpc.Channel) -> Any:
        call = begin(kind, blocking_stub(channel))
        loop.wait(endless.has_started.wait())
        channel.close()
        with pytest.raises(grpc.RpcError) as caught:
            replies(kind, call)
        return caught.value

    error = await with_channel(route, scripted(**{kind.method: endless.handle}), use)
    assert (error.code(), error.details()) == (grpc.StatusCode.CANCELLED, "Channel closed!")
    await endless.was_cancelled.wait()


@each()
async def test_closed_channel_takes_no_calls(route: Route, kind: Kind) -> None:
    def use(channel: grpc.Channel) -> None:
        stub = blocking_stub(channel)
        replies(kind, begin(kind, stub))
        channel.close()
        channel.close()  # idempotent
        with pytest.raises(ValueError, match="Cannot invoke RPC"):
            begin(kind, stub)

    await with_channel(route, CoroutineServicer(), use)


async def test_channel_that_was_never_used_closes(route: Route) -> None:
    await with_channel(route, CoroutineServicer(), lambda channel: channel.close())


async def test_channel_is_a_context_manager(route: Route) -> None:
    def use(channel: grpc.Channel) -> None:
        with channel as entered:
            stub = blocking_stub(entered)
            assert stub.UnaryCall(UNARY) == unary_reply(UNARY)
        with pytest.raises(ValueError, match="Cannot invoke RPC"):
            stub.UnaryCall(UNARY)

    await with_channel(route, CoroutineServicer(), use)


async def test_connectivity(route: Route) -> None:
    def use(channel: grpc.Channel) -> None:
        states: SimpleQueue[grpc.ChannelConnectivity] = SimpleQueue()
        channel.subscribe(states.put)
        assert states.get(timeout=WAIT_S) is grpc.ChannelConnectivity.IDLE
        later: SimpleQueue[grpc.ChannelConnectivity] = SimpleQueue()
        channel.subscribe(later.put, try_to_connect=True)
        for queue in (states, later):
            while queue.get(timeout=WAIT_S) is not grpc.ChannelConnectivity.READY:
                pass
        channel.unsubscribe(states.put)
        channel.unsubscribe(later.put)

    await with_channel(route, CoroutineServicer(), use)


async def test_channel_ready_future(route: Route) -> None:
    def use(channel: grpc.Channel) -> None:
        grpc.channel_ready_future(channel).result(WAIT_S)
        assert blocking_stub(channel).UnaryCall(UNARY) == unary_reply(UNARY)

    await with_channel(route, CoroutineServicer(), use)


async def test_stub_keeps_the_channel(route: Route) -> None:
    await route.serve(registers(CoroutineServicer()))
    loop = Loop()

    def use() -> Any:
        stub = blocking_stub(route.connect_blocking())
        return stub.UnaryCall(UNARY)

    assert await loop.thread(use) == unary_reply(UNARY)


async def test_compression_is_accepted(route: Route) -> None:
    reply = await with_stub(
        route, CoroutineServicer(), lambda stub: stub.UnaryCall(UNARY, compression=grpc.Compression.Gzip)
    )
    assert reply == unary_reply(UNARY)
