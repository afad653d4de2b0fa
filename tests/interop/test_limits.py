"""The limit of a message's size: past it a call ends, by name of the reason, and only that call."""

import asyncio
from typing import Any

import grpc
import pytest

from .kinds import collect
from .payloads import body
from .routes import Route
from .service import Context

MESSAGE_BYTES_MAX = 1 << 20
TOO_LARGE = body(MESSAGE_BYTES_MAX + 1)
ASKS_TOO_MUCH = b"reply %d" % (MESSAGE_BYTES_MAX + 1)
METHODS = "limits.Limits"


async def answer(request: bytes, context: Context) -> bytes:
    """As many bytes as the request has, or as it says."""
    return body(int(request.removeprefix(b"reply "))) if request.startswith(b"reply ") else body(len(request))


async def answer_each(requests: object, context: Context) -> None:
    while (request := await context.read()) is not grpc.aio.EOF:
        await context.write(await answer(request, context))


async def limited(route: Route) -> Any:
    """A channel to methods of plain bytes, for which grpc's stubs have no type."""
    handlers: dict[str, Any] = {
        "Unary": grpc.unary_unary_rpc_method_handler(answer),
        "Stream": grpc.stream_stream_rpc_method_handler(answer_each),
    }
    generic = grpc.method_handlers_generic_handler(METHODS, handlers)
    await route.serve(lambda server: server.add_generic_rpc_handlers((generic,)), message_bytes_max=MESSAGE_BYTES_MAX)
    return await route.connect()


async def test_message_at_the_limit(route: Route) -> None:
    channel = await limited(route)
    request = body(MESSAGE_BYTES_MAX)
    assert await channel.unary_unary(f"/{METHODS}/Unary")(request) == request
    assert await collect(channel.stream_stream(f"/{METHODS}/Stream")(iter([request, request]))) == [request] * 2


@pytest.mark.parametrize("message", [TOO_LARGE, ASKS_TOO_MUCH], ids=["request", "reply"])
async def test_message_above_the_limit(route: Route, message: bytes) -> None:
    channel = await limited(route)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(f"/{METHODS}/Unary")(message)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await channel.unary_unary(f"/{METHODS}/Unary")(b"small") == body(5)


async def test_request_of_a_stream_above_the_limit(route: Route) -> None:
    channel = await limited(route)

    def write_too_much() -> None:  # with the blocking client, for the reason that is in `Kind.begin_open`
        blocking: Any = route.connect_blocking()
        list(blocking.stream_stream(f"/{METHODS}/Stream")(iter([b"small", TOO_LARGE])))

    with pytest.raises(grpc.RpcError) as caught:
        await asyncio.to_thread(write_too_much)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await channel.unary_unary(f"/{METHODS}/Unary")(b"small") == body(5)


async def test_reply_of_a_stream_above_the_limit(route: Route) -> None:
    channel = await limited(route)
    call = channel.stream_stream(f"/{METHODS}/Stream")()
    await call.write(b"small")
    assert await call.read() == body(5)
    await call.write(ASKS_TOO_MUCH)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await channel.unary_unary(f"/{METHODS}/Unary")(b"small") == body(5)
