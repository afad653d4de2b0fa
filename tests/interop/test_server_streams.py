"""The two ways to read and to write a stream in a handler: by iteration, and by `read` and `write`."""

from collections.abc import AsyncIterator, Iterator

import grpc
from interop_pb2 import InputReply, StreamReply, StreamRequest

from .kinds import collect
from .payloads import input_reply
from .routes import Route
from .service import Context
from .servicers import scripted

BODIES = [b"1", b"", b"3"]


def requests_of(bodies: list[bytes]) -> Iterator[StreamRequest]:
    return (StreamRequest(body=body) for body in bodies)


def replies_of(bodies: list[bytes]) -> list[StreamReply]:
    return [StreamReply(body=body) for body in bodies]


async def test_read_until_the_end(route: Route) -> None:
    after_the_end: list[object] = []

    async def count(requests: object, context: Context) -> InputReply:
        bodies = []
        while (request := await context.read()) is not grpc.aio.EOF:
            bodies.append(request.body)
        after_the_end.append(await context.read())
        return input_reply(bodies)

    stub = await route.open(scripted(StreamingInputCall=count))
    assert await stub.StreamingInputCall(requests_of(BODIES)) == input_reply(BODIES)
    assert after_the_end == [grpc.aio.EOF]


async def test_iterate_until_the_end(route: Route) -> None:
    async def count(requests: AsyncIterator[StreamRequest], context: Context) -> InputReply:
        return input_reply([request.body async for request in requests])

    stub = await route.open(scripted(StreamingInputCall=count))
    assert await stub.StreamingInputCall(requests_of(BODIES)) == input_reply(BODIES)


async def test_iteration_goes_on_where_it_was_left(route: Route) -> None:
    async def count(requests: AsyncIterator[StreamRequest], context: Context) -> InputReply:
        bodies = [(await anext(requests)).body]
        async for request in requests:
            bodies.append(request.body)
            break
        bodies.append((await context.read()).body)
        bodies.extend([request.body async for request in requests])
        return input_reply(bodies)

    stub = await route.open(scripted(StreamingInputCall=count))
    bodies = [b"1", b"2", b"3", b"4", b"5"]
    assert await stub.StreamingInputCall(requests_of(bodies)) == input_reply(bodies)


async def test_read_in_a_method_of_one_request_is_at_the_end(route: Route) -> None:
    seen: list[object] = []

    async def read(request: StreamRequest, context: Context) -> None:
        seen.append(await context.read())

    stub = await route.open(scripted(StreamingOutputCall=read))
    assert await collect(stub.StreamingOutputCall(StreamRequest())) == []
    assert seen == [grpc.aio.EOF]


async def test_write_from_a_coroutine(route: Route) -> None:
    async def write(request: StreamRequest, context: Context) -> None:
        for body in BODIES:
            await context.write(StreamReply(body=body))

    stub = await route.open(scripted(StreamingOutputCall=write))
    assert await collect(stub.StreamingOutputCall(StreamRequest())) == replies_of(BODIES)


async def test_write_and_yield_in_one_handler(route: Route) -> None:
    async def mix(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        await context.write(StreamReply(body=b"1"))
        yield StreamReply(body=b"2")
        await context.write(StreamReply(body=b"3"))
        yield StreamReply(body=b"4")

    stub = await route.open(scripted(StreamingOutputCall=mix))
    replies = await collect(stub.StreamingOutputCall(StreamRequest()))
    assert replies == replies_of([b"1", b"2", b"3", b"4"])


async def test_read_and_write_of_full_duplex(route: Route) -> None:
    async def echo(requests: object, context: Context) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(StreamReply(body=request.body))

    stub = await route.open(scripted(FullDuplexCall=echo))
    assert await collect(stub.FullDuplexCall(requests_of(BODIES))) == replies_of(BODIES)


async def test_server_speaks_first(route: Route) -> None:
    async def greet_and_echo(requests: AsyncIterator[StreamRequest], context: Context) -> AsyncIterator[StreamReply]:
        yield StreamReply(body=b"hello")
        async for request in requests:
            yield StreamReply(body=request.body)

    stub = await route.open(scripted(FullDuplexCall=greet_and_echo))
    call = stub.FullDuplexCall()
    assert await call.read() == StreamReply(body=b"hello")
    await call.write(StreamRequest(body=b"1"))
    assert await call.read() == StreamReply(body=b"1")
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_server_goes_on_after_the_half_close(route: Route) -> None:
    async def answer_after_the_end(
        requests: AsyncIterator[StreamRequest], context: Context
    ) -> AsyncIterator[StreamReply]:
        bodies = [request.body async for request in requests]
        for body in reversed(bodies):
            yield StreamReply(body=body)

    stub = await route.open(scripted(FullDuplexCall=answer_after_the_end))
    assert await collect(stub.FullDuplexCall(requests_of(BODIES))) == replies_of(BODIES[::-1])


async def test_many_small_messages_keep_their_order(route: Route) -> None:
    async def echo(requests: AsyncIterator[StreamRequest], context: Context) -> AsyncIterator[StreamReply]:
        async for request in requests:
            yield StreamReply(body=request.body)

    stub = await route.open(scripted(FullDuplexCall=echo))
    bodies = [str(number).encode() for number in range(500)]
    assert await collect(stub.FullDuplexCall(requests_of(bodies))) == replies_of(bodies)


async def test_empty_reply_stream(route: Route) -> None:
    async def nothing(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        for _ in range(0):
            yield StreamReply()

    stub = await route.open(scripted(StreamingOutputCall=nothing))
    call = stub.StreamingOutputCall(StreamRequest())
    assert await collect(call) == []
    assert await call.code() is grpc.StatusCode.OK
