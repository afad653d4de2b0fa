"""A slow reader slows its writer, never the hub and never another call."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from interop.service import Context, InteropStub
from interop_pb2 import InputReply, StreamRequest, UnaryReply, UnaryRequest

from portcall.hub import HubConfig
from portcall.wire.limits import WINDOW_BYTES

from .servicers import Source, echo, number
from .stage import Stage, until

MESSAGE_BYTES = 65_536
MESSAGES = 2_000
# A window at each end and HTTP/2's on the way, with all that grpcio reads ahead: far less than the whole stream.
READ_AHEAD_MAX = MESSAGES // 4

UPLOADS = 20
UPLOAD_AHEAD_MAX = HubConfig().window_bytes + 4 * WINDOW_BYTES
"""The windows of the client's connection and of the worker's link, and what the sides have in their hands."""


@pytest.fixture(params=["native", "channel"])
def way(request: pytest.FixtureRequest) -> str:
    """By which channel a client calls."""
    return str(request.param)


def stub_by(way: str, stage: Stage, address: str) -> InteropStub:
    return stage.native_stub(address) if way == "native" else stage.stub(address)


async def test_slow_reader_holds_up_its_handler_alone(stage: Stage, way: str) -> None:
    source = Source(body_bytes=MESSAGE_BYTES)
    hub = await stage.hub()
    await stage.worker(hub.address, StreamingOutputCall=source.handle, UnaryCall=echo)
    stub = stub_by(way, stage, hub.address)
    slow = stub.StreamingOutputCall(StreamRequest(body=b"%d" % MESSAGES))
    assert number(await slow.read()) == 0
    for _ in range(100):
        await stub.UnaryCall(UnaryRequest(body=bytes(1_000)))
    quick = stub.StreamingOutputCall(StreamRequest(body=b"50"))
    assert [number(reply) async for reply in quick] == list(range(50))
    assert source.sent - 50 < READ_AHEAD_MAX
    slow.cancel()
    await source.is_done.wait()


async def test_slow_handler_holds_up_its_client_alone(stage: Stage, way: str) -> None:
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
        body = bytes(MESSAGE_BYTES)
        for _ in range(MESSAGES // 4):
            sent += 1
            yield StreamRequest(body=body)

    hub = await stage.hub()
    await stage.worker(hub.address, StreamingInputCall=take_slowly, UnaryCall=echo)
    stub = stub_by(way, stage, hub.address)
    slow = stub.StreamingInputCall(requests())
    await until(lambda: taken == 1)
    for _ in range(100):
        await stub.UnaryCall(UnaryRequest(body=bytes(1_000)))
    assert sent < READ_AHEAD_MAX
    go_on.set()
    assert await slow == InputReply(messages=MESSAGES // 4)


async def test_what_many_clients_send_ahead_of_a_slow_handler_is_bounded(stage: Stage, way: str) -> None:
    sent = 0
    # Some of these go without a grant, which a call gets only when its handler has begun to read.
    body = bytes(MESSAGE_BYTES // 4)
    are_over = asyncio.Event()

    async def never_read(requests: AsyncIterator[StreamRequest], context: Context) -> InputReply:
        await are_over.wait()
        return InputReply()

    async def requests() -> AsyncIterator[StreamRequest]:
        nonlocal sent
        while True:
            yield StreamRequest(body=body)
            sent += 1

    hub = await stage.hub()
    await stage.worker(hub.address, StreamingInputCall=never_read, UnaryCall=echo)
    stub = stub_by(way, stage, hub.address)
    calls = [stub.StreamingInputCall(requests()) for _ in range(UPLOADS)]
    before = -1
    while sent != before or sent < UPLOADS:
        before = sent
        for _ in range(50):
            await stub.UnaryCall(UnaryRequest(body=bytes(1_000)))
        assert sent * len(body) < UPLOADS * UPLOAD_AHEAD_MAX
    are_over.set()
    for call in calls:
        assert await call == InputReply()


async def test_client_that_reads_nothing_can_still_cancel(stage: Stage, way: str) -> None:
    source = Source(body_bytes=MESSAGE_BYTES)
    hub = await stage.hub()
    await stage.worker(hub.address, StreamingOutputCall=source.handle)
    call = stub_by(way, stage, hub.address).StreamingOutputCall(StreamRequest(body=b"%d" % MESSAGES))
    await until(lambda: source.sent > 0)
    call.cancel()
    await source.is_done.wait()
    assert source.sent < READ_AHEAD_MAX


async def test_calls_of_a_native_connection_beyond_its_streams_wait_at_their_client(stage: Stage) -> None:
    """They are neither refused nor dropped, and no other connection waits with them."""
    go_on, begun = asyncio.Event(), 0
    is_full = asyncio.Event()

    async def wait_for_it(request: UnaryRequest, context: Context) -> UnaryReply:
        nonlocal begun
        begun += 1
        if begun == 5:
            is_full.set()
        if request.body != b"other":
            await go_on.wait()
        return UnaryReply(body=request.body)

    hub = await stage.hub(streams_max=5)
    await stage.worker(hub.address, UnaryCall=wait_for_it)
    stub = stage.native_stub(hub.address)
    await stub.UnaryCall(UnaryRequest(body=b"other"))  # the client learns the bound when it connects
    begun = 0
    calls = [asyncio.ensure_future(stub.UnaryCall(UnaryRequest(body=b"%d" % index))) for index in range(20)]
    await is_full.wait()
    reply = await stage.stub(hub.address).UnaryCall(UnaryRequest(body=b"other"))
    assert reply.body == b"other"
    assert begun == 6
    go_on.set()
    assert [reply.body for reply in await asyncio.gather(*calls)] == [b"%d" % index for index in range(20)]
