"""What a hub tells of each call to somebody who watches."""

from collections.abc import AsyncIterator

import grpc
import pytest
from interop.service import Context, InteropStub, unregistered_stub
from interop_pb2 import Empty, StreamReply, StreamRequest, UnaryReply, UnaryRequest

from portcall.contract.contract import MethodKind
from portcall.hub.watching import EndedCall

from .servicers import Gate, echo, echo_each, join
from .stage import Stage, until

LARGE = b"x" * 200_000


class Watch:
    """The calls that have ended, as the hub told."""

    def __init__(self) -> None:
        self.calls: list[EndedCall] = []

    async def next(self) -> EndedCall:
        await until(lambda: bool(self.calls))
        return self.calls.pop(0)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture(params=["native", "link"])
async def stub(request: pytest.FixtureRequest, stage: Stage, watch: Watch) -> InteropStub:
    async def repeat(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        for _ in range(3):
            yield StreamReply(body=request.body)

    hub = await stage.hub(on_call=watch.calls.append)
    handlers = {"UnaryCall": echo, "StreamingInputCall": join, "StreamingOutputCall": repeat}
    await stage.worker(hub.address, **handlers, FullDuplexCall=echo_each)
    return stage.native_stub(hub.address) if request.param == "native" else stage.stub(hub.address)


def kind(client: bool, server: bool) -> MethodKind:
    return MethodKind(client_streaming=client, server_streaming=server)


async def test_unary_call(stub: InteropStub, watch: Watch) -> None:
    await stub.UnaryCall(UnaryRequest(body=b"12345"))
    call = await watch.next()
    assert (call.method, call.kind, call.status) == ("/interop.Interop/UnaryCall", kind(False, False), 0)
    assert (call.requests.message_count, call.replies.message_count) == (1, 1)
    size = UnaryReply(body=b"12345").ByteSize()
    assert (call.requests.message_bytes, call.replies.message_bytes) == (size, size)
    assert call.caller.startswith("ipv4:127.0.0.1:")
    assert call.duration_s >= 0


async def test_messages_are_counted_whole(stub: InteropStub, watch: Watch) -> None:
    await stub.UnaryCall(UnaryRequest(body=LARGE))
    call = await watch.next()
    assert (call.requests.message_count, call.replies.message_count) == (1, 1)
    assert call.requests.message_bytes == call.replies.message_bytes == UnaryReply(body=LARGE).ByteSize()


async def test_streams(stub: InteropStub, watch: Watch) -> None:
    requests = [StreamRequest(body=b"%d" % number) for number in range(5)]
    await stub.StreamingInputCall(iter(requests))
    call = await watch.next()
    assert (call.kind, call.requests.message_count, call.replies.message_count) == (kind(True, False), 5, 1)
    assert [len(reply.body) async for reply in stub.StreamingOutputCall(StreamRequest(body=b"12"))] == [2] * 3
    call = await watch.next()
    assert (call.kind, call.requests.message_count, call.replies.message_count) == (kind(False, True), 1, 3)
    assert [reply.body async for reply in stub.FullDuplexCall(iter(requests))] == [each.body for each in requests]
    call = await watch.next()
    assert (call.kind, call.requests.message_count, call.replies.message_count) == (kind(True, True), 5, 5)


async def test_status_and_details(stage: Stage, watch: Watch) -> None:
    async def refuse(request: UnaryRequest, context: Context) -> UnaryReply:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such book")

    hub = await stage.hub(on_call=watch.calls.append)
    await stage.worker(hub.address, UnaryCall=refuse)
    with pytest.raises(grpc.aio.AioRpcError):
        await stage.stub(hub.address).UnaryCall(UnaryRequest())
    call = await watch.next()
    assert (call.status, call.details, call.replies.message_count) == (5, "no such book", 0)


async def test_call_that_no_worker_sees(stage: Stage, watch: Watch) -> None:
    hub = await stage.hub(on_call=watch.calls.append)
    with pytest.raises(grpc.aio.AioRpcError):
        await unregistered_stub(stage.channel(hub.address)).UnimplementedCall(Empty())
    call = await watch.next()
    assert (call.method, call.kind, call.status) == ("/interop.Unregistered/UnimplementedCall", None, 12)
    assert "knows no worker" in call.details


@pytest.mark.parametrize("route", ["native", "link"])
async def test_call_that_its_caller_gives_up(stage: Stage, watch: Watch, route: str) -> None:
    gate = Gate()
    hub = await stage.hub(on_call=watch.calls.append)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = stage.native_stub(hub.address) if route == "native" else stage.stub(hub.address)
    call = stub.UnaryCall(UnaryRequest())
    await gate.when_begun()
    call.cancel()
    assert (await watch.next()).status == 1
    await gate.when_cancelled()
    assert not watch.calls


async def test_call_whose_caller_is_gone(stage: Stage, watch: Watch) -> None:
    gate = Gate()
    hub = await stage.hub(on_call=watch.calls.append, grace_s=0)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    proxy = await stage.proxy(hub.address)
    call = stage.stub(proxy.address).UnaryCall(UnaryRequest())
    await gate.when_begun()
    proxy.cut()
    ended = await watch.next()
    assert (ended.status, ended.details) == (1, "the caller is gone")
    call.cancel()


async def test_call_whose_worker_is_gone(stage: Stage, watch: Watch) -> None:
    gate = Gate()
    hub = await stage.hub(on_call=watch.calls.append)
    worker = await stage.worker(hub.address, UnaryCall=gate.handle)
    call = stage.stub(hub.address).UnaryCall(UnaryRequest())
    await gate.when_begun()
    await worker.stop()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert (await watch.next()).status == raised.value.code().value[0]


async def test_call_goes_on_though_its_watcher_fails(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def fail(call: EndedCall) -> None:
        raise BrokenPipeError

    hub = await stage.hub(on_call=fail)
    await stage.worker(hub.address, UnaryCall=echo)
    assert (await stage.stub(hub.address).UnaryCall(UnaryRequest(body=b"x"))).body == b"x"
    assert "Whoever watches the calls failed" in caplog.text


async def test_calls_of_a_map_are_told_one_by_one(stage: Stage, watch: Watch) -> None:
    hub = await stage.hub(on_call=watch.calls.append)
    await stage.worker(hub.address, UnaryCall=echo)
    stub = stage.stub(hub.address)
    requests = [UnaryRequest(body=b"%d" % number) for number in range(20)]
    assert len([reply async for reply in stub.UnaryCall.map(requests)]) == 20
    calls = [await watch.next() for _ in requests]
    assert {call.status for call in calls} == {0}
    assert sorted(call.requests.message_bytes for call in calls) == sorted(request.ByteSize() for request in requests)
    assert {call.replies.message_count for call in calls} == {1}
