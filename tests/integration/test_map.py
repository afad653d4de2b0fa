"""`map`: many requests through one method, bounded, in order or as they come, over the whole fleet."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import pytest
from interop.service import Context, InteropStub, interop_stub
from interop.timeouts import timeouts
from interop_pb2 import InputReply, StreamRequest, UnaryReply, UnaryRequest

import portcall

from .servicers import Gate, Named, echo, join
from .stage import Stage

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class PassOn(grpc.aio.UnaryUnaryClientInterceptor):
    """Sees each call, and so has `map` make call objects."""

    def __init__(self) -> None:
        self.count = 0

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.count += 1
        return await continuation(details, request)


@pytest.fixture(params=["frames", "calls"])
def interceptors(request: pytest.FixtureRequest) -> list[PassOn]:
    """With an interceptor, a map makes call objects; without one, it writes frames."""
    return [PassOn()] if request.param == "calls" else []


@pytest.fixture
async def connect(stage: Stage, interceptors: list[PassOn]) -> Callable[[str], InteropStub]:
    return lambda address: interop_stub(stage.channel(address, interceptors=interceptors))


Connect = Callable[[str], InteropStub]


def requests(count: int) -> list[UnaryRequest]:
    return [UnaryRequest(body=b"%d" % index) for index in range(count)]


def bodies(count: int) -> list[bytes]:
    return [b"%d" % index for index in range(count)]


async def asynchronously(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def last_first(request: UnaryRequest, context: Context) -> UnaryReply:
    """Answers early requests late."""
    for _ in range(40 - int(request.body)):
        await asyncio.sleep(0)
    return UnaryReply(body=request.body)


@pytest.mark.parametrize("iterable", [list, iter, asynchronously])
async def test_replies_come_in_the_order_of_the_requests(
    stage: Stage, connect: Connect, iterable: Callable[[list[UnaryRequest]], Any]
) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=last_first)
    replies = connect(hub.address).UnaryCall.map(iterable(requests(40)))
    assert [reply.body async for reply in replies] == bodies(40)


async def test_replies_come_as_they_are_ready_if_order_does_not_matter(stage: Stage, connect: Connect) -> None:
    gate = Gate()

    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        return await (gate.handle if request.body == b"0" else echo)(request, context)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=answer)
    replies = connect(hub.address).UnaryCall.map(requests(20), ordered=False)
    received = {(await anext(replies)).body for _ in range(19)}
    assert received == set(bodies(20)) - {b"0"}
    gate.opened.set()
    assert [reply.body async for reply in replies] == [b"0"]


@pytest.mark.parametrize("iterable", [iter, asynchronously])
async def test_no_requests_make_no_replies(stage: Stage, connect: Connect, iterable: Callable[..., Any]) -> None:
    hub = await stage.hub()
    replies = connect(hub.address).UnaryCall.map(iterable([]))
    assert [reply async for reply in replies] == []


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_no_more_are_taken_than_the_limit(stage: Stage, connect: Connect, limit: int, *, is_async: bool) -> None:
    taken = yielded = most = 0

    def watched() -> Iterator[UnaryRequest]:
        nonlocal taken, most
        for request in requests(50):
            taken += 1
            most = max(most, taken - yielded)
            yield request

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    source = asynchronously_from(watched()) if is_async else watched()
    async for _ in connect(hub.address).UnaryCall.map(source, limit=limit):
        yielded += 1
    assert taken == 50
    # The reply in the consumer's hand has been yielded, though the consumer has not counted it yet.
    assert most <= limit + 1 + is_async


async def asynchronously_from(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def test_failure_is_raised_and_cancels_the_other_calls(stage: Stage, connect: Connect) -> None:
    gate = Gate()

    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        if request.body == b"0":
            await gate.when_begun(4)
            await context.abort(grpc.StatusCode.DATA_LOSS, "not that one", (("why", "because"),))
        return await gate.handle(request, context)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=answer)
    replies = connect(hub.address).UnaryCall.map(requests(5))
    with pytest.raises(grpc.aio.AioRpcError, match="not that one") as raised:
        await anext(replies)
    assert raised.value.code() is grpc.StatusCode.DATA_LOSS
    assert tuple(raised.value.trailing_metadata()) == (("why", "because"),)
    await gate.when_cancelled(4)


async def test_failures_are_yielded_in_their_places_if_asked_for(stage: Stage, connect: Connect) -> None:
    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        if int(request.body) % 3 == 0:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, request.body.decode())
        return UnaryReply(body=request.body)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=answer)
    replies = connect(hub.address).UnaryCall.map(requests(10), return_exceptions=True)
    told = [
        reply.details().encode() if isinstance(reply, grpc.aio.AioRpcError) else reply.body async for reply in replies
    ]
    assert told == bodies(10)


@pytest.mark.parametrize("is_async", [False, True])
async def test_error_of_the_requests_is_raised_and_cancels_the_calls(
    stage: Stage, connect: Connect, *, is_async: bool
) -> None:
    gate = Gate()

    def broken() -> Iterator[UnaryRequest]:
        yield from requests(3)
        raise LookupError("no more requests")

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    source = asynchronously_from(broken()) if is_async else broken()
    with pytest.raises(LookupError, match="no more requests"):
        async for _ in connect(hub.address).UnaryCall.map(source, return_exceptions=True):
            pass
    await stage.fleet(hub.address).when(lambda workers: workers[0].running == 0)
    assert len(gate.cancelled) == len(gate.begun)


async def test_consumer_that_stops_early_cancels_the_calls(stage: Stage, connect: Connect) -> None:
    gate = Gate()

    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        return await (echo if request.body == b"0" else gate.handle)(request, context)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=answer)
    replies = connect(hub.address).UnaryCall.map(requests(10))
    assert (await anext(replies)).body == b"0"
    await gate.when_begun(9)
    await replies.aclose()
    await gate.when_cancelled(9)


@pytest.mark.parametrize("size", [4_096, 65_530, 65_536, 300_000, 3_000_000])
async def test_large_messages_both_ways(stage: Stage, connect: Connect, size: int) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    sent = [bytes([index]) * (size if index % 2 else 10) for index in range(8)]
    replies = connect(hub.address).UnaryCall.map([UnaryRequest(body=body) for body in sent])
    assert [reply.body async for reply in replies] == sent


async def test_message_that_is_too_large_fails_alone(stage: Stage, connect: Connect) -> None:
    hub = await stage.hub(message_bytes_max=100_000)
    await stage.worker(hub.address, UnaryCall=echo)
    stub = connect(hub.address)
    await stub.UnaryCall(UnaryRequest())
    sent = [UnaryRequest(body=bytes(size)) for size in (10, 200_000, 20)]
    replies = [reply async for reply in stub.UnaryCall.map(sent, return_exceptions=True)]
    assert [reply.body for reply in replies[::2]] == [bytes(10), bytes(20)]
    assert replies[1].code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_all_workers_take_part(stage: Stage, connect: Connect) -> None:
    hub = await stage.hub()
    workers = [Named(name) for name in (b"a", b"b")]
    for worker in workers:
        await stage.worker(hub.address, slots=5, UnaryCall=worker.handle)
    replies = [reply.body async for reply in connect(hub.address).UnaryCall.map(requests(100))]
    assert len(replies) == 100
    assert min(worker.count for worker in workers) >= 20


async def test_loss_of_the_hub_fails_what_is_under_way(stage: Stage, connect: Connect) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    replies = connect(hub.address).UnaryCall.map(requests(5), return_exceptions=True)
    first = asyncio.create_task(anext(replies))
    await gate.when_begun(5)
    await hub.stop()
    errors = [await first, *[reply async for reply in replies]]
    assert [error.code() for error in errors] == [UNAVAILABLE] * 5
    await gate.when_cancelled(5)


async def test_loss_of_the_hub_is_raised(stage: Stage, connect: Connect) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    first = asyncio.create_task(anext(connect(hub.address).UnaryCall.map(requests(5))))
    await gate.when_begun(5)
    await hub.stop()
    with pytest.raises(grpc.aio.AioRpcError, match="hub is shutting down"):
        await first


async def test_options_go_with_each_call(stage: Stage, connect: Connect) -> None:
    seen: list[tuple[dict[str, object], float | None]] = []

    async def note(request: UnaryRequest, context: Context) -> UnaryReply:
        seen.append((dict(context.invocation_metadata()), context.time_remaining()))
        return UnaryReply()

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=note)
    options = {"metadata": (("tone", "low"), ("tone-bin", b"\x00\xff")), "timeout": 60.0}
    async for _ in connect(hub.address).UnaryCall.map(requests(3), **options):
        pass
    assert [metadata for metadata, _ in seen] == [{"tone": "low", "tone-bin": b"\x00\xff"}] * 3
    assert all(remaining and 0 < remaining <= 60 for _, remaining in seen)


async def test_metadata_that_grpc_would_not_send_is_refused(stage: Stage, connect: Connect) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    options = {"metadata": (("Tone", "low"),), "return_exceptions": True}
    stub = connect(hub.address)
    refusals = [refusal async for refusal in stub.UnaryCall.map(requests(2), **options)]
    with pytest.raises(grpc.aio.AioRpcError) as alone:
        await stub.UnaryCall(UnaryRequest(), metadata=options["metadata"])
    expected = (grpc.StatusCode.INTERNAL, alone.value.details())
    assert [(refusal.code(), refusal.details()) for refusal in refusals] == [expected] * 2


async def test_deadline_of_each_call(stage: Stage, connect: Connect) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = connect(hub.address)
    for timeout in timeouts(lambda: len(gate.begun) >= 3):
        replies = stub.UnaryCall.map(requests(3), timeout=timeout, return_exceptions=True)
        codes = [reply.code() async for reply in replies]
        assert codes == [grpc.StatusCode.DEADLINE_EXCEEDED] * 3
    await gate.when_cancelled(len(gate.begun))


async def test_map_waits_for_a_hub_if_asked_to(stage: Stage, connect: Connect) -> None:
    hub = await stage.hub()
    address = hub.address
    await hub.stop()
    replies = connect(address).UnaryCall.map(requests(3), wait_for_ready=True)
    first = asyncio.create_task(anext(replies))
    hub = await stage.hub(listen=address, settle_s=30.0)
    await stage.worker(hub.address, UnaryCall=echo)
    assert [(await first).body, *[reply.body async for reply in replies]] == bodies(3)


async def test_every_call_is_intercepted(stage: Stage) -> None:
    passing = PassOn()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    stub = interop_stub(stage.channel(hub.address, interceptors=[passing]))
    assert [reply.body async for reply in stub.UnaryCall.map(requests(10))] == bodies(10)
    assert passing.count == 10


async def test_streams_of_requests(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, StreamingInputCall=join)
    streams = ([StreamRequest(body=b"%d" % index) for index in range(count)] for count in range(10))
    replies = stage.stub(hub.address).StreamingInputCall.map(streams)
    assert [reply async for reply in replies] == [InputReply(messages=count) for count in range(10)]


async def test_several_maps_share_a_channel(stage: Stage, connect: Connect) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=last_first)
    stub = connect(hub.address)

    async def collect() -> list[bytes]:
        return [reply.body async for reply in stub.UnaryCall.map(requests(40), limit=7)]

    assert await asyncio.gather(*(collect() for _ in range(5))) == [bodies(40)] * 5


@pytest.mark.parametrize("limit", [0, -1])
async def test_limit_must_be_positive(stage: Stage, connect: Connect, limit: int) -> None:
    stub = connect("127.0.0.1:1")
    with pytest.raises(portcall.ConfigurationError, match="limit"):
        stub.UnaryCall.map([], limit=limit)


async def test_requests_must_be_iterable(stage: Stage, connect: Connect) -> None:
    with pytest.raises(TypeError, match="iterable"):
        await anext(connect("127.0.0.1:1").UnaryCall.map(7))


async def test_calls_under_way_end_with_the_channel(stage: Stage, interceptors: list[PassOn]) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    channel = stage.channel(hub.address, interceptors=interceptors)
    replies = interop_stub(channel).UnaryCall.map(requests(3), return_exceptions=True)
    first = asyncio.create_task(anext(replies))
    await gate.when_begun(3)
    await channel.close()
    errors = [await first, *[reply async for reply in replies]]
    assert [error.code() for error in errors] == [grpc.StatusCode.CANCELLED] * 3
    await gate.when_cancelled(3)


async def test_a_client_may_have_more_to_send_than_its_hub_keeps_for_a_link(stage: Stage) -> None:
    async def swallow(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply()

    hub = await stage.hub(link_bytes_max=500_000)
    await stage.worker(hub.address, UnaryCall=swallow)
    stub = interop_stub(stage.channel(hub.address))
    large = [UnaryRequest(body=bytes([number]) * 60_000) for number in range(40)]
    assert len([reply async for reply in stub.UnaryCall.map(large)]) == 40
