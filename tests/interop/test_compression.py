"""Compression: whoever asks for it, the messages are the same."""

import grpc
import pytest
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest
from interop_pb2_grpc import InteropServicer

from .kinds import Kind, collect, each
from .payloads import body, input_reply, stream_replies, unary_reply
from .routes import Route
from .service import Context, InteropStub
from .servicers import scripted

ALGORITHMS = [grpc.Compression.Gzip, grpc.Compression.Deflate, grpc.Compression.NoCompression]
UNARY = UnaryRequest(body=body(100_000), reply_bytes=100_000)
STREAM = StreamRequest(body=body(100_000), reply_bytes=[100_000, 0, 1])


@pytest.fixture(params=ALGORITHMS, ids=lambda algorithm: algorithm.name)
def algorithm(request: pytest.FixtureRequest) -> grpc.Compression:
    chosen: grpc.Compression = request.param
    return chosen


async def test_client_compresses_a_call(stub: InteropStub, algorithm: grpc.Compression) -> None:
    assert await stub.UnaryCall(UNARY, compression=algorithm) == unary_reply(UNARY)
    assert await collect(stub.StreamingOutputCall(STREAM, compression=algorithm)) == stream_replies(STREAM)
    assert await stub.StreamingInputCall(iter([STREAM]), compression=algorithm) == input_reply([STREAM.body])
    assert await collect(stub.FullDuplexCall(iter([STREAM]), compression=algorithm)) == stream_replies(STREAM)


async def test_client_compresses_all_of_a_channel(
    route: Route, servicer: InteropServicer, algorithm: grpc.Compression
) -> None:
    stub = await route.open(servicer, compression=algorithm)
    assert await stub.UnaryCall(UNARY) == unary_reply(UNARY)
    assert await collect(stub.FullDuplexCall(iter([STREAM]))) == stream_replies(STREAM)


@each()
async def test_server_compresses(route: Route, kind: Kind, algorithm: grpc.Compression) -> None:
    async def compress(context: Context) -> None:
        context.set_compression(algorithm)

    stub = await route.open(scripted(**{kind.method: kind.handler(compress)}))
    call = kind.begin(stub)
    assert await kind.replies(call) == [kind.reply]
    assert tuple(await call.initial_metadata()) == ()


async def test_server_compresses_after_metadata_of_its_own(route: Route) -> None:
    async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
        context.set_compression(grpc.Compression.Gzip)
        await context.send_initial_metadata((("x-key", "value"),))
        return unary_reply(request)

    stub = await route.open(scripted(UnaryCall=answer))
    call = stub.UnaryCall(UNARY)
    assert await call == unary_reply(UNARY)
    assert await call.initial_metadata() == (("x-key", "value"),)


async def test_server_leaves_one_message_uncompressed(route: Route) -> None:
    async def answer(request: StreamRequest, context: Context) -> None:
        context.set_compression(grpc.Compression.Gzip)
        for reply in stream_replies(request):
            context.disable_next_message_compression()
            await context.write(reply)
            await context.write(reply)

    stub = await route.open(scripted(StreamingOutputCall=answer))
    replies = await collect(stub.StreamingOutputCall(STREAM))
    assert replies == [reply for reply in stream_replies(STREAM) for _ in range(2)]


async def test_server_cannot_compress_once_metadata_is_sent(route: Route) -> None:
    errors: list[Exception] = []

    async def compress_late(request: UnaryRequest, context: Context) -> UnaryReply:
        await context.send_initial_metadata(())
        try:
            context.set_compression(grpc.Compression.Gzip)
        except RuntimeError as error:
            errors.append(error)
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=compress_late))
    assert await stub.UnaryCall(UNARY) == UnaryReply()
    assert [str(error) for error in errors] == ["Compression setting must be specified before sending initial metadata"]


async def test_compressed_reply_to_a_compressed_request(route: Route) -> None:
    async def answer(request: StreamRequest, context: Context) -> None:
        context.set_compression(grpc.Compression.Deflate)
        await context.write(StreamReply(body=request.body))

    stub = await route.open(scripted(StreamingOutputCall=answer), compression=grpc.Compression.Gzip)
    assert await collect(stub.StreamingOutputCall(STREAM)) == [StreamReply(body=STREAM.body)]
