"""`map` on a blocking channel: the engine's, with requests and replies in the caller's thread."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from interop.blocking import Loop, blocking_stub
from interop.service import Context
from interop_pb2 import InputReply, StreamRequest, UnaryReply, UnaryRequest

import portcall

from .servicers import Gate, echo, join
from .stage import Stage
from .test_map import bodies, last_first, requests


class PassOn(grpc.UnaryUnaryClientInterceptor, grpc.StreamUnaryClientInterceptor):  # type: ignore[type-arg]
    """Sees each call, and so has a map begin each as a future."""

    def __init__(self) -> None:
        self.count = 0

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        self.count += 1
        return continuation(client_call_details, request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        self.count += 1
        return continuation(client_call_details, request_iterator)


@pytest.fixture(params=["frames", "futures"])
def interceptors(request: pytest.FixtureRequest) -> list[PassOn]:
    return [PassOn()] if request.param == "futures" else []


@pytest.fixture
async def connect(stage: Stage, interceptors: list[PassOn]) -> Callable[[str], Any]:
    return lambda address: blocking_stub(stage.sync_channel(address, interceptors=interceptors))


Connect = Callable[[str], Any]


@pytest.mark.parametrize("iterable", [list, iter])
async def test_replies_come_in_the_order_of_the_requests(
    stage: Stage, connect: Connect, iterable: Callable[[list[UnaryRequest]], Any]
) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=last_first)
    stub = connect(hub.address)
    replies = await asyncio.to_thread(lambda: list(stub.UnaryCall.map(iterable(requests(40)))))
    assert [reply.body for reply in replies] == bodies(40)


async def test_replies_come_as_they_are_ready_if_order_does_not_matter(stage: Stage, connect: Connect) -> None:
    gate = Gate()
    loop = Loop()

    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        return await (gate.handle if request.body == b"0" else echo)(request, context)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=answer)
    stub = connect(hub.address)

    def use() -> None:
        replies = stub.UnaryCall.map(requests(20), ordered=False)
        assert {next(replies).body for _ in range(19)} == set(bodies(20)) - {b"0"}
        loop.do(gate.opened.set)
        assert [reply.body for reply in replies] == [b"0"]

    await asyncio.to_thread(use)


async def test_many_requests(stage: Stage, connect: Connect) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo, slots=2000)
    stub = connect(hub.address)
    replies = await asyncio.to_thread(lambda: list(stub.UnaryCall.map(requests(5000))))
    assert [reply.body for reply in replies] == bodies(5000)


@pytest.mark.parametrize("size", [65_536, 3_000_000])
async def test_large_messages_both_ways(stage: Stage, connect: Connect, size: int) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    stub = connect(hub.address)
    sent = [bytes([index]) * (size if index % 2 else 10) for index in range(8)]
    replies = await asyncio.to_thread(lambda: list(stub.UnaryCall.map(UnaryRequest(body=body) for body in sent)))
    assert [reply.body for reply in replies] == sent


async def test_no_requests_make_no_replies(stage: Stage, connect: Connect) -> None:
    hub = await stage.hub()
    stub = connect(hub.address)
    assert await asyncio.to_thread(lambda: list(stub.UnaryCall.map([]))) == []


@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_no_more_are_taken_than_the_limit(stage: Stage, connect: Connect, limit: int) -> None:
    taken = yielded = most = 0
    threads = set()

    def watched() -> Iterator[UnaryRequest]:
        nonlocal taken, most
        for request in requests(50):
            threads.add(threading.current_thread())
            taken += 1
            most = max(most, taken - yielded)
            yield request

    def use() -> threading.Thread:
        nonlocal yielded
        for _ in stub.UnaryCall.map(watched(), limit=limit):
            yielded += 1
        return threading.current_thread()

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    stub = connect(hub.address)
    caller = await asyncio.to_thread(use)
    assert taken == 50
    assert most <= limit
    assert threads == {caller}


async def test_replies_do_not_wait_until_all_requests_are_taken(stage: Stage, connect: Connect) -> None:
    """Requests that take their time, in a window that has room for all of them."""
    gate = Gate()
    gate.opened.set()
    loop = Loop()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = connect(hub.address)
    taken = 0

    def slow() -> Iterator[UnaryRequest]:
        nonlocal taken
        for request in requests(500):
            yield request
            taken += 1
            loop.wait(gate.when_ended(taken))

    def use() -> int:
        replies = stub.UnaryCall.map(slow(), limit=2_000)
        next(replies)
        taken_by_then = taken
        assert len(list(replies)) == 499
        return taken_by_then

    assert await asyncio.to_thread(use) < 250


async def test_failure_is_raised_and_cancels_the_other_calls(stage: Stage, connect: Connect) -> None:
    gate = Gate()

    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        if request.body == b"0":
            await gate.when_begun(4)
            await context.abort(grpc.StatusCode.DATA_LOSS, "not that one", (("why", "because"),))
        return await gate.handle(request, context)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=answer)
    stub = connect(hub.address)

    def use() -> Any:
        with pytest.raises(grpc.RpcError) as raised:
            next(stub.UnaryCall.map(requests(5)))
        return raised.value

    error = await asyncio.to_thread(use)
    assert isinstance(error, grpc.Call)
    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "not that one")
    assert error.trailing_metadata() == (("why", "because"),)
    await gate.when_cancelled(4)


async def test_failures_are_yielded_in_their_places_if_asked_for(stage: Stage, connect: Connect) -> None:
    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        if int(request.body) % 3 == 0:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, request.body.decode())
        return UnaryReply(body=request.body)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=answer)
    stub = connect(hub.address)
    replies = await asyncio.to_thread(lambda: list(stub.UnaryCall.map(requests(10), return_exceptions=True)))
    assert all(isinstance(reply, grpc.Call) for reply in replies[::3])
    told = [reply.details().encode() if isinstance(reply, grpc.RpcError) else reply.body for reply in replies]
    assert told == bodies(10)


async def test_error_of_the_requests_is_raised(stage: Stage, connect: Connect) -> None:
    gate = Gate()
    loop = Loop()

    def broken() -> Iterator[UnaryRequest]:
        yield from requests(3)
        loop.wait(gate.when_begun(2))
        raise ValueError("no more requests")

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = connect(hub.address)
    with pytest.raises(ValueError, match="no more requests"):
        await asyncio.to_thread(lambda: list(stub.UnaryCall.map(broken(), limit=5)))
    await gate.when_cancelled(2)


@pytest.mark.parametrize("how", ["closed", "dropped"])
async def test_end_of_the_iterator_cancels_the_calls(stage: Stage, connect: Connect, how: str) -> None:
    gate = Gate()
    loop = Loop()

    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        return await (echo if request.body == b"0" else gate.handle)(request, context)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=answer)
    stub = connect(hub.address)

    def use() -> None:
        replies = stub.UnaryCall.map(requests(10))
        assert next(replies).body == b"0"
        loop.wait(gate.when_begun(9))
        if how == "closed":
            replies.close()
        del replies

    await asyncio.to_thread(use)
    await gate.when_cancelled(9)


async def test_calls_under_way_end_with_the_channel(stage: Stage, interceptors: list[PassOn]) -> None:
    gate = Gate()
    loop = Loop()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    channel = stage.sync_channel(hub.address, interceptors=interceptors)

    def close() -> None:
        loop.wait(gate.when_begun(3))
        channel.close()

    def use() -> list[Any]:
        closing = threading.Thread(target=close)
        closing.start()
        replies = list(blocking_stub(channel).UnaryCall.map(requests(3), return_exceptions=True))
        closing.join()
        return replies

    errors = await asyncio.to_thread(use)
    assert [error.code() for error in errors] == [grpc.StatusCode.CANCELLED] * 3
    await gate.when_cancelled(3)


async def test_map_on_a_closed_channel(stage: Stage, connect: Connect, interceptors: list[PassOn]) -> None:
    hub = await stage.hub()
    channel = stage.sync_channel(hub.address, interceptors=interceptors)
    await asyncio.to_thread(channel.close)
    with pytest.raises(ValueError, match="Channel closed!"):
        blocking_stub(channel).UnaryCall.map(requests(3))


async def test_options_go_with_each_call(stage: Stage, connect: Connect) -> None:
    seen: list[tuple[dict[str, object], float | None]] = []

    async def note(request: UnaryRequest, context: Context) -> UnaryReply:
        seen.append((dict(context.invocation_metadata()), context.time_remaining()))
        return UnaryReply()

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=note)
    stub = connect(hub.address)
    options = {"metadata": (("tone", "low"), ("tone-bin", b"\x00\xff")), "timeout": 60.0, "wait_for_ready": True}
    await asyncio.to_thread(lambda: list(stub.UnaryCall.map(requests(3), **options)))
    assert [metadata for metadata, _ in seen] == [{"tone": "low", "tone-bin": b"\x00\xff"}] * 3
    assert all(remaining and 0 < remaining <= 60 for _, remaining in seen)


async def test_every_call_is_intercepted(stage: Stage) -> None:
    passing = PassOn()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo, StreamingInputCall=join)
    stub = blocking_stub(stage.sync_channel(hub.address, interceptors=[passing]))

    def use() -> None:
        assert [reply.body for reply in stub.UnaryCall.map(requests(10))] == bodies(10)
        assert stub.UnaryCall(UnaryRequest(body=b"1")).body == b"1"
        assert len(list(stub.StreamingInputCall.map([iter(())] * 3))) == 3

    await asyncio.to_thread(use)
    assert passing.count == 10 + 1 + 3


async def test_credentials_are_asked_for_each_call(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=tell_token)
    stub = blocking_stub(stage.sync_channel(hub.address))
    credentials = grpc.access_token_call_credentials("secret")
    replies = await asyncio.to_thread(lambda: list(stub.UnaryCall.map(requests(5), credentials=credentials)))
    assert [reply.body for reply in replies] == [b"Bearer secret"] * 5


async def tell_token(request: UnaryRequest, context: Context) -> UnaryReply:
    return UnaryReply(body=str(dict(context.invocation_metadata())["authorization"]).encode())


async def test_streams_of_requests(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, StreamingInputCall=join)
    stub = blocking_stub(stage.sync_channel(hub.address))
    streams = (iter([StreamRequest(body=b"%d" % index) for index in range(count)]) for count in range(100))
    replies = await asyncio.to_thread(lambda: list(stub.StreamingInputCall.map(streams)))
    assert replies == [InputReply(messages=count) for count in range(100)]


async def test_several_maps_share_a_channel(stage: Stage, connect: Connect) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=last_first)
    stub = connect(hub.address)

    def collect() -> list[bytes]:
        return [reply.body for reply in stub.UnaryCall.map(requests(40), limit=7)]

    assert await asyncio.gather(*(asyncio.to_thread(collect) for _ in range(5))) == [bodies(40)] * 5


@pytest.mark.parametrize("limit", [0, -1])
async def test_limit_must_be_positive(stage: Stage, connect: Connect, limit: int) -> None:
    stub = connect("127.0.0.1:1")
    with pytest.raises(portcall.ConfigurationError, match="limit"):
        stub.UnaryCall.map([], limit=limit)


async def test_requests_must_be_iterable(stage: Stage, connect: Connect) -> None:
    with pytest.raises(TypeError, match="iterable"):
        list(connect("127.0.0.1:1").UnaryCall.map(7))


async def test_there_is_no_hub(stage: Stage, connect: Connect) -> None:
    stub = connect("127.0.0.1:1")
    with pytest.raises(grpc.RpcError) as raised:
        await asyncio.to_thread(lambda: list(stub.UnaryCall.map(requests(3))))
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
