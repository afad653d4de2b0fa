"""What a sidecar makes of single calls, beyond the cases that run on every route: nothing is added, lost or held up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from interop.kinds import collect
from interop.service import Context
from interop_pb2 import Empty, InputReply, StreamReply, StreamRequest, UnaryRequest

from .servicers import Source, number
from .stage import Stage, status_of, until
from .upstreams import UpstreamStage

LIMIT_BYTES = 65_536
MESSAGES = 2_000
WINDOWS = 24
"""Messages in the windows of two links and of the sidecar's connection, and in the server's own buffers."""

READ_AHEAD_MAX = 400
"""Messages that a grpcio client and server read ahead besides: still less than the whole stream."""


@pytest.fixture
def upstreams(stage: Stage, tmp_path: Path) -> UpstreamStage:
    return UpstreamStage(stage, tmp_path)


async def address_of(upstreams: UpstreamStage, **methods: Any) -> str:
    """A hub to which a server with these methods has come by a sidecar."""
    hub = await upstreams.stage.hub()
    await upstreams.joined(await upstreams.serving(**methods), hub.address)
    return hub.address


class Unary:
    """A unary method whose server's side is plain: it sends what and when a test says."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.metadata: tuple[tuple[str, str | bytes], ...] = ()
        self.replies: tuple[bytes, ...] = (b"reply",)

    async def handle(self, requests: object, context: Context) -> None:
        await context.send_initial_metadata(self.metadata)
        await self.may_go_on.wait()
        for reply in self.replies:
            await context.write(reply)

    async def call(self, upstreams: UpstreamStage) -> Any:
        """Call it by way of hub and sidecar, on which it is unary, in the form in which a client sees most of it."""
        file = FileDescriptorProto(name="odd.proto", package="odd", syntax="proto3")
        file.message_type.add(name="M")
        file.service.add(name="Odd").method.add(name="Do", input_type=".odd.M", output_type=".odd.M")
        pool = DescriptorPool()
        pool.Add(file)
        handlers = {"Do": grpc.stream_stream_rpc_method_handler(self.handle)}
        address = await address_of(
            upstreams,
            handlers=[grpc.method_handlers_generic_handler("odd.Odd", handlers)],
            services=("odd.Odd",),
            pool=pool,
        )
        return upstreams.stage.native_channel(address).unary_stream("/odd.Odd/Do")(b"request")


@pytest.mark.parametrize("metadata", [(("x-early", "yes"), ("x-early-bin", b"\x00\xff")), ()], ids=["some", "empty"])
async def test_initial_metadata_of_a_unary_call_comes_when_it_is_given(
    upstreams: UpstreamStage, metadata: tuple[tuple[str, str | bytes], ...]
) -> None:
    unary = Unary()
    unary.metadata = metadata
    call = await unary.call(upstreams)
    assert tuple(await call.initial_metadata()) == metadata
    unary.may_go_on.set()
    assert await call.read() == b"reply"
    assert await call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("replies", "words"),
    [((), "ended a unary call without a reply"), ((b"1", b"2"), "sent several replies where there can be one")],
)
async def test_unary_call_that_is_not_answered_once(
    upstreams: UpstreamStage, replies: tuple[bytes, ...], words: str
) -> None:
    unary = Unary()
    unary.replies = replies
    unary.may_go_on.set()
    call = await unary.call(upstreams)
    with pytest.raises(grpc.aio.AioRpcError):
        await collect(call)
    code, details = await status_of(call)
    assert code is grpc.StatusCode.INTERNAL
    assert details.startswith("The upstream unix:")
    assert details.endswith(words)


async def test_status_of_a_call_that_is_ended_while_its_requests_come(upstreams: UpstreamStage) -> None:
    async def refuse_after_one(requests: object, context: Context) -> None:
        await context.read()
        await context.write(StreamReply(body=b"first"))
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "enough", (("x-why", "because"),))

    async def endless() -> AsyncIterator[StreamRequest]:
        while True:
            yield StreamRequest(body=bytes(1_000))
            await asyncio.sleep(0)  # a turn for the others

    # By a `portcall.Channel`, since grpc.aio itself now and then loses the status at this.
    stub = upstreams.stage.stub(await address_of(upstreams, FullDuplexCall=refuse_after_one))
    for _ in range(100):
        call = stub.FullDuplexCall(endless())
        assert await call.read() == StreamReply(body=b"first")
        assert await status_of(call) == (grpc.StatusCode.FAILED_PRECONDITION, "enough")
        assert tuple(await call.trailing_metadata()) == (("x-why", "because"),)


async def test_metadata_as_large_as_a_hub_passes_on(upstreams: UpstreamStage) -> None:
    large = (("x-large-bin", bytes(50_000)),)

    async def send(request: UnaryRequest, context: Context) -> None:
        await context.send_initial_metadata(large)
        await context.abort(grpc.StatusCode.ABORTED, "so", large)

    call = upstreams.stage.stub(await address_of(upstreams, UnaryCall=send)).UnaryCall(UnaryRequest())
    assert await status_of(call) == (grpc.StatusCode.ABORTED, "so")
    assert tuple(await call.initial_metadata()) == large
    assert tuple(await call.trailing_metadata()) == large


async def test_slow_reader_holds_up_the_server(upstreams: UpstreamStage) -> None:
    source = Source(body_bytes=LIMIT_BYTES)
    # By a `portcall.Channel`, which reads no further ahead than a link does.
    stub = upstreams.stage.stub(await address_of(upstreams, StreamingOutputCall=source.handle))
    slow = stub.StreamingOutputCall(StreamRequest(body=b"%d" % MESSAGES))
    assert number(await slow.read()) == 0
    quick = stub.StreamingOutputCall(StreamRequest(body=b"50"))
    assert [number(reply) async for reply in quick] == list(range(50))
    assert source.sent - 50 < WINDOWS
    slow.cancel()
    await source.is_done.wait()


async def test_slow_server_holds_up_its_client(upstreams: UpstreamStage) -> None:
    taken = sent = 0
    go_on = asyncio.Event()

    async def take_slowly(requests: AsyncIterator[StreamRequest], context: Context) -> InputReply:
        nonlocal taken
        async for _ in requests:
            taken += 1
            if taken == 1:
                await go_on.wait()
        return InputReply(messages=taken)

    async def requests() -> AsyncIterator[StreamRequest]:
        nonlocal sent
        body = bytes(LIMIT_BYTES)
        for _ in range(MESSAGES // 4):
            sent += 1
            yield StreamRequest(body=body)

    stub = upstreams.stage.native_stub(await address_of(upstreams, StreamingInputCall=take_slowly))
    slow = stub.StreamingInputCall(requests())
    await until(lambda: taken == 1)
    for _ in range(50):
        await status_of(stub.EmptyCall(Empty()))  # other calls pass meanwhile
    assert sent < READ_AHEAD_MAX
    go_on.set()
    assert await slow == InputReply(messages=MESSAGES // 4)
