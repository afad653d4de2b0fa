"""The blocking channel's own promises: many threads, one link, and nothing left when it goes."""

import asyncio
import contextlib
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from interop.blocking import WAIT_S, Loop, blocking_stub
from interop.service import Context
from interop.timeouts import timeouts
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

import portcall

from .servicers import Gate, Source, echo, number
from .stage import Stage

THREADS = 50
CALLS = 200
"""Of each thread: ten thousand together."""


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("portcall")]


async def test_ten_thousand_calls_from_fifty_threads(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    stub = blocking_stub(stage.sync_channel(hub.address))

    def call(thread: int) -> int:
        bodies = [b"%d/%d" % (thread, index) for index in range(CALLS)]
        return sum(stub.UnaryCall(UnaryRequest(body=body)).body == body for body in bodies)

    def use() -> int:
        with ThreadPoolExecutor(THREADS) as threads:
            return sum(threads.map(call, range(THREADS)))

    assert await asyncio.to_thread(use) == THREADS * CALLS


async def test_all_calls_share_one_link(stage: Stage) -> None:
    hub = await stage.hub()
    proxy = await stage.proxy(hub.address)
    gate = Gate()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = blocking_stub(stage.sync_channel(proxy.address))
    calls = await asyncio.to_thread(lambda: [stub.UnaryCall.future(UnaryRequest()) for _ in range(20)])
    await gate.when_begun(20)
    assert len(proxy.ports_towards_target()) == 1
    gate.opened.set()
    await asyncio.to_thread(lambda: [call.result() for call in calls])


async def test_calls_outlive_a_link_that_drops(stage: Stage) -> None:
    hub = await stage.hub()
    proxy = await stage.proxy(hub.address)
    gate = Gate()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = blocking_stub(stage.sync_channel(proxy.address))
    calls = await asyncio.to_thread(lambda: [stub.UnaryCall.future(UnaryRequest(body=b"1")) for _ in range(5)])
    await gate.when_begun(5)
    proxy.cut()
    gate.opened.set()
    await gate.when_ended(5)
    proxy.restore()
    assert await asyncio.to_thread(lambda: [call.result(WAIT_S).body for call in calls]) == [b"1"] * 5
    assert len(gate.begun) == 5


async def test_replies_that_were_not_read_are_bounded(stage: Stage) -> None:
    source = Source()
    hub = await stage.hub()
    await stage.worker(hub.address, StreamingOutputCall=source.handle, UnaryCall=echo)
    stub = blocking_stub(stage.sync_channel(hub.address))
    count = 200_000

    def use() -> int:
        replies = stub.StreamingOutputCall(StreamRequest(body=b"%d" % count))
        assert number(next(replies)) == 0
        for _ in range(100):
            stub.UnaryCall(UnaryRequest())
        unread = source.sent
        replies.cancel()
        return unread

    assert await asyncio.to_thread(use) < count // 4
    await source.is_done.wait()


async def test_deadline_cuts_off_replies_that_were_not_read(stage: Stage) -> None:
    source = Source()
    hub = await stage.hub()
    await stage.worker(hub.address, StreamingOutputCall=source.handle)
    stub = blocking_stub(stage.sync_channel(hub.address))

    def use() -> Any:
        first: list[int] = []
        for timeout in timeouts(lambda: bool(first)):
            replies = stub.StreamingOutputCall(StreamRequest(body=b"1000000"), timeout=timeout)
            with contextlib.suppress(grpc.RpcError):
                first.append(number(next(replies)))
        assert replies.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(grpc.RpcError) as raised:
            next(replies)
        return raised.value

    assert (await asyncio.to_thread(use)).code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_stream_that_has_ended_is_read_on_after_the_channel_was_closed(stage: Stage) -> None:
    source = Source()
    loop = Loop()
    hub = await stage.hub()
    await stage.worker(hub.address, StreamingOutputCall=source.handle, UnaryCall=echo)
    channel = stage.sync_channel(hub.address)
    stub = blocking_stub(channel)

    def use() -> None:
        replies = stub.StreamingOutputCall(StreamRequest(body=b"3"))
        told: SimpleQueue[Any] = SimpleQueue()
        replies.add_done_callback(told.put)
        loop.wait(source.is_done.wait())
        stub.UnaryCall(UnaryRequest())  # comes after what was sent before it
        assert number(next(replies)) == 0  # and takes along what has come
        channel.close()
        assert [number(reply) for reply in replies] == [1, 2]
        assert replies.code() is grpc.StatusCode.OK
        assert told.get(timeout=WAIT_S) is replies

    await asyncio.to_thread(use)


async def test_stream_that_has_ended_and_is_not_read_on_holds_nothing(stage: Stage) -> None:
    source = Source()
    loop = Loop()
    hub = await stage.hub()
    await stage.worker(hub.address, StreamingOutputCall=source.handle, UnaryCall=echo)

    def use() -> None:
        channel = portcall.sync.Channel(hub.address)
        stub = blocking_stub(channel)
        replies = stub.StreamingOutputCall(StreamRequest(body=b"3"))
        loop.wait(source.is_done.wait())
        stub.UnaryCall(UnaryRequest())
        assert number(next(replies)) == 0
        engine_thread = next(thread for thread in threading.enumerate() if thread.name == "portcall-sync")
        del replies, stub, channel
        gc.collect()
        engine_thread.join(WAIT_S)
        assert not engine_thread.is_alive()

    await asyncio.to_thread(use)


# --- its life --------------------------------------------------------------------------------------------------------


async def test_nothing_runs_before_the_first_call(stage: Stage) -> None:
    channel = stage.sync_channel("127.0.0.1:1")
    blocking_stub(channel)
    assert own_threads() == []


async def test_nothing_is_left_after_close(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    channel = stage.sync_channel(hub.address)

    def use() -> None:
        blocking_stub(channel).UnaryCall.future(UnaryRequest()).result()
        assert own_threads() != []
        channel.close()
        for thread in threading.enumerate():
            if thread.name.startswith("portcall"):  # it has still to tell that the call has ended
                thread.join(WAIT_S)
        assert own_threads() == []

    await asyncio.to_thread(use)


async def test_channel_that_nobody_holds_closes(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)

    def use() -> None:
        channel = portcall.sync.Channel(hub.address)
        engine_thread = None
        blocking_stub(channel).UnaryCall(UnaryRequest())
        engine_thread = next(thread for thread in threading.enumerate() if thread.name == "portcall-sync")
        gone = weakref.ref(channel)
        del channel
        gc.collect()
        assert gone() is None
        engine_thread.join(WAIT_S)
        assert not engine_thread.is_alive()

    await asyncio.to_thread(use)


async def test_call_keeps_its_channel(stage: Stage) -> None:
    gate = Gate()
    loop = Loop()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle, StreamingOutputCall=Source().handle)

    def use() -> None:
        held = blocking_stub(portcall.sync.Channel(hub.address)).UnaryCall.future(UnaryRequest(body=b"1"))
        loop.wait(gate.when_begun())
        gc.collect()
        loop.do(gate.opened.set)
        assert held.result(WAIT_S).body == b"1"
        stream = blocking_stub(portcall.sync.Channel(hub.address)).StreamingOutputCall(StreamRequest(body=b"10000"))
        gc.collect()
        assert [number(reply) for reply in stream] == list(range(10_000))

    await asyncio.to_thread(use)


async def test_callback_may_close_the_channel(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    channel = stage.sync_channel(hub.address)
    closed: SimpleQueue[bool] = SimpleQueue()

    def close(_: Any) -> None:
        channel.close()
        closed.put(True)

    def use() -> None:
        blocking_stub(channel).UnaryCall.future(UnaryRequest()).add_done_callback(close)
        assert closed.get(timeout=WAIT_S)

    await asyncio.to_thread(use)


async def test_calls_that_race_with_close_end(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)

    def use() -> None:
        for _ in range(10):
            channel = portcall.sync.Channel(hub.address)
            stub = blocking_stub(channel)
            stub.UnaryCall(UnaryRequest())
            has_begun = threading.Barrier(9)

            def call(stub: Any = stub, has_begun: threading.Barrier = has_begun) -> None:
                has_begun.wait()
                with contextlib.suppress(ValueError):
                    while not stub.UnaryCall.future(UnaryRequest()).exception(WAIT_S):
                        pass

            with ThreadPoolExecutor(8) as threads:
                calls = [threads.submit(call) for _ in range(8)]
                has_begun.wait()
                channel.close()
                for ended in calls:
                    ended.result(WAIT_S)

    await asyncio.to_thread(use)


async def test_hub_that_does_not_answer(stage: Stage) -> None:
    stub = blocking_stub(stage.sync_channel("127.0.0.1:1"))
    with pytest.raises(grpc.RpcError) as raised:
        await asyncio.to_thread(lambda: stub.UnaryCall(UnaryRequest()))
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "No hub answers at 127.0.0.1:1" in error.details()


async def test_hub_restarts(stage: Stage) -> None:
    hub = await stage.hub()
    address = hub.address
    await stage.worker(address, UnaryCall=echo)
    stub = blocking_stub(stage.sync_channel(address))
    await asyncio.to_thread(lambda: stub.UnaryCall(UnaryRequest()))
    await hub.stop()
    await stage.hub(listen=address, settle_s=30.0)
    request = UnaryRequest(body=b"2")
    reply = await asyncio.to_thread(lambda: stub.UnaryCall(request, wait_for_ready=True))
    assert reply == UnaryReply(body=b"2")


def test_address_must_be_one() -> None:
    with pytest.raises(portcall.ConfigurationError, match="HOST:PORT"):
        portcall.sync.Channel("nowhere")


def test_interceptors_must_be_of_the_blocking_api() -> None:
    with pytest.raises(TypeError, match="interceptor must be"):
        portcall.sync.Channel("127.0.0.1:1", interceptors=[object()])  # type: ignore[list-item]


async def test_hub_is_named_by_the_environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    monkeypatch.setenv("PORTCALL_HUB", hub.address)
    stub = blocking_stub(stage.sync_channel(None))
    assert await asyncio.to_thread(lambda: stub.UnaryCall(UnaryRequest(body=b"1"))) == UnaryReply(body=b"1")


async def test_call_credentials_may_block(stage: Stage) -> None:
    async def tell(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=str(dict(context.invocation_metadata()).get("x-token", "")).encode())

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=tell)
    stub = blocking_stub(stage.sync_channel(hub.address))

    class Asking(grpc.AuthMetadataPlugin):
        """Fetches its token by a call of the same channel."""

        def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
            token = stub.UnaryCall(UnaryRequest(), metadata=(("x-token", "fetched"),)).body.decode()
            callback((("x-token", token),), None)

    credentials = grpc.metadata_call_credentials(Asking())
    reply = await asyncio.to_thread(lambda: stub.UnaryCall(UnaryRequest(), credentials=credentials))
    assert reply.body == b"fetched"


async def test_messages_of_a_stream_are_whole_and_in_order(stage: Stage) -> None:
    async def double(requests: Any, context: Context) -> Any:
        async for request in requests:
            yield StreamReply(body=request.body + request.body)

    hub = await stage.hub()
    await stage.worker(hub.address, FullDuplexCall=double)
    stub = blocking_stub(stage.sync_channel(hub.address))

    def use() -> None:
        sent = [b"%d" % index * (index % 50 + 1) for index in range(3_000)]
        replies = stub.FullDuplexCall(StreamRequest(body=body) for body in sent)
        assert [reply.body for reply in replies] == [body + body for body in sent]

    await asyncio.to_thread(use)
