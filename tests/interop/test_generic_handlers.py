"""Methods without generated code: handlers and calls of plain bytes, and serialisers of one's own."""

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
from interop_pb2 import UnaryRequest

from .kinds import collect
from .payloads import unary_reply
from .routes import Route
from .service import Context, interop_stub, registers
from .servicers import CoroutineServicer


async def echo(request: bytes, context: Context) -> bytes:
    return request


async def spell(request: bytes, context: Context) -> AsyncIterator[bytes]:
    for letter in request:
        yield bytes([letter])


async def join(requests: AsyncIterator[bytes], context: Context) -> bytes:
    return b"".join([request async for request in requests])


async def echo_each(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def double(request: dict[str, int], context: Context) -> dict[str, int]:
    return {key: 2 * value for key, value in request.items()}


def dump(message: Any) -> bytes:
    return json.dumps(message).encode()


def register(server: grpc.aio.Server) -> None:
    handlers: dict[str, Any] = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Spell": grpc.unary_stream_rpc_method_handler(spell),
        "Join": grpc.stream_unary_rpc_method_handler(join),
        "EchoEach": grpc.stream_stream_rpc_method_handler(echo_each),
        "Double": grpc.unary_unary_rpc_method_handler(double, json.loads, dump),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("plain.Plain", handlers),))


async def open_channel(route: Route) -> Any:
    """A channel to the plain methods; untyped, for calls without serialisers have no type in grpc's stubs."""
    await route.serve(register)
    return await route.connect()


async def test_unary(route: Route) -> None:
    channel = await open_channel(route)
    for message in (b"bytes", b"", b"\x00\xff"):
        assert await channel.unary_unary("/plain.Plain/Echo")(message) == message


async def test_reply_stream(route: Route) -> None:
    channel = await open_channel(route)
    assert await collect(channel.unary_stream("/plain.Plain/Spell")(b"abc")) == [b"a", b"b", b"c"]


async def test_request_stream(route: Route) -> None:
    channel = await open_channel(route)
    assert await channel.stream_unary("/plain.Plain/Join")(iter([b"a", b"", b"c"])) == b"ac"


async def test_both_streams(route: Route) -> None:
    channel = await open_channel(route)
    messages = [b"a", b"", b"c"]
    assert await collect(channel.stream_stream("/plain.Plain/EchoEach")(iter(messages))) == messages


async def test_serialisers_of_ones_own(route: Route) -> None:
    channel = await open_channel(route)
    call = channel.unary_unary("/plain.Plain/Double", request_serializer=dump, response_deserializer=json.loads)
    assert await call({"a": 1, "b": -2}) == {"a": 2, "b": -4}


async def test_two_services_on_one_server(route: Route) -> None:
    def register_both(server: grpc.aio.Server) -> None:
        register(server)
        registers(CoroutineServicer())(server)

    await route.serve(register_both)
    channel: Any = await route.connect()
    assert await channel.unary_unary("/plain.Plain/Echo")(b"bytes") == b"bytes"
    request = UnaryRequest(reply_bytes=3)
    assert await interop_stub(channel).UnaryCall(request) == unary_reply(request)


async def test_registered_methods_alone(route: Route) -> None:
    handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    await route.serve(lambda server: server.add_registered_method_handlers("plain.Plain", handlers))
    channel: Any = await route.connect()
    assert await channel.unary_unary("/plain.Plain/Echo")(b"bytes") == b"bytes"
