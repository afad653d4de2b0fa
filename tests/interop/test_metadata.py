"""Metadata: all that is sent arrives, as it was sent and in its order, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .kinds import STREAM_STREAM, STREAM_UNARY, UNARY_STREAM, Kind, collect, each
from .routes import Route
from .service import Context
from .servicers import scripted

EVERY_BYTE = bytes(range(256))
MANY = (
    ("x-text", "printable ASCII: ~!@ 09 AZ"),
    ("x-empty", ""),
    ("x-every-byte-bin", EVERY_BYTE),
    ("x-empty-bin", b""),
    ("x-long", "v" * 4096),
)
REPEATED = (("x-key", "1"), ("x-key", "2"), ("x-key", "1"), ("x-key-bin", b"\x02"), ("x-key-bin", b"\x01"))


class MetadataLog:
    """A handler that keeps each call's request metadata."""

    def __init__(self) -> None:
        self.received: list[tuple[tuple[str, str | bytes], ...]] = []

    async def handle(self, request: UnaryRequest, context: Context) -> UnaryReply:
        self.received.append(tuple(context.invocation_metadata() or ()))
        return UnaryReply()


@pytest.mark.parametrize("metadata", [MANY, REPEATED], ids=["values", "repeated-keys"])
async def test_request_metadata(route: Route, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
    log = MetadataLog()
    stub = await route.open(scripted(UnaryCall=log.handle))
    await stub.UnaryCall(UnaryRequest(), metadata=metadata)
    assert tuple(entry for entry in log.received[0] if entry[0].startswith("x-")) == metadata


async def test_request_metadata_in_each_form_that_a_client_may_give_it(route: Route) -> None:
    log = MetadataLog()
    stub = await route.open(scripted(UnaryCall=log.handle))
    forms: list[Any] = [REPEATED, list(REPEATED), grpc.aio.Metadata(*REPEATED)]
    for metadata in forms:
        await stub.UnaryCall(UnaryRequest(), metadata=metadata)
    for received in log.received:
        assert tuple(entry for entry in received if entry[0].startswith("x-")) == REPEATED


async def test_request_metadata_has_nothing_of_the_transport(route: Route) -> None:
    log = MetadataLog()
    stub = await route.open(scripted(UnaryCall=log.handle))
    await stub.UnaryCall(UnaryRequest(), timeout=3600, compression=grpc.Compression.Gzip)
    assert {key for key, _ in log.received[0]} <= {"user-agent"}


async def test_entries_of_request_metadata_have_names(route: Route) -> None:
    found: list[tuple[str, str]] = []

    async def find(request: UnaryRequest, context: Context) -> UnaryReply:
        entries = context.invocation_metadata() or ()
        found.extend((entry.key, entry.value) for entry in entries)  # type: ignore[attr-defined]
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=find))
    await stub.UnaryCall(UnaryRequest(), metadata=(("x-key", "value"),))
    assert ("x-key", "value") in found


async def test_text_for_a_binary_key_is_refused(route: Route) -> None:
    stub = await route.open(scripted(UnaryCall=MetadataLog().handle))
    with pytest.raises(TypeError, match='Binary metadata key="x-bin" expected bytes'):
        await stub.UnaryCall(UnaryRequest(), metadata=(("x-bin", "text"),))


@pytest.mark.parametrize("metadata", [MANY, REPEATED], ids=["values", "repeated-keys"])
@each()
async def test_reply_metadata(route: Route, kind: Kind, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
    async def send(context: Context) -> None:
        await context.send_initial_metadata(metadata)
        context.set_trailing_metadata(tuple(reversed(metadata)))

    stub = await route.open(scripted(**{kind.method: kind.handler(send)}))
    call = kind.begin(stub)
    assert await kind.replies(call) == [kind.reply]
    assert await call.initial_metadata() == grpc.aio.Metadata(*metadata)
    assert await call.trailing_metadata() == grpc.aio.Metadata(*reversed(metadata))


@each()
async def test_no_reply_metadata_where_the_handler_gives_none(route: Route, kind: Kind) -> None:
    async def send_nothing(context: Context) -> None:
        pass

    stub = await route.open(scripted(**{kind.method: kind.handler(send_nothing)}))
    call = kind.begin(stub)
    await kind.replies(call)
    assert tuple(await call.initial_metadata()) == ()
    assert tuple(await call.trailing_metadata()) == ()


@each((UNARY_STREAM, STREAM_UNARY, STREAM_STREAM))
async def test_initial_metadata_arrives_before_anything_else_is_sent(route: Route, kind: Kind) -> None:
    has_arrived = asyncio.Event()

    async def send_and_wait(context: Context) -> None:
        await context.send_initial_metadata((("x-early", "yes"),))
        await has_arrived.wait()

    stub = await route.open(scripted(**{kind.method: kind.handler(send_and_wait)}))
    call = kind.begin(stub)
    assert await call.initial_metadata() == (("x-early", "yes"),)
    has_arrived.set()
    assert await kind.replies(call) == [kind.reply]


async def test_initial_metadata_arrives_while_the_client_still_writes(route: Route) -> None:
    async def greet_and_count(requests: AsyncIterator[StreamRequest], context: Context) -> None:
        await context.send_initial_metadata((("x-early", "yes"),))
        async for _ in requests:
            await context.write(StreamReply())

    stub = await route.open(scripted(FullDuplexCall=greet_and_count))
    call = stub.FullDuplexCall()
    assert await call.initial_metadata() == (("x-early", "yes"),)
    await call.write(StreamRequest())
    await call.done_writing()
    assert await collect(call) == [StreamReply()]


async def test_initial_metadata_is_sent_once(route: Route) -> None:
    errors: list[Exception] = []

    async def send_twice(requests: AsyncIterator[StreamRequest], context: Context) -> None:
        for attempt in ("first", "second"):
            try:
                await context.send_initial_metadata((("x-attempt", attempt),))
            except grpc.aio.BaseError as error:
                errors.append(error)
        async for _ in requests:
            pass  # until the caller has seen the metadata: grpcio may lose it where the call ends at once

    stub = await route.open(scripted(FullDuplexCall=send_twice))
    call = stub.FullDuplexCall()
    assert await call.initial_metadata() == (("x-attempt", "first"),)
    await call.done_writing()
    assert await collect(call) == []
    assert [type(error) for error in errors] == [grpc.aio.UsageError]


async def test_initial_metadata_goes_with_the_first_message(route: Route) -> None:
    errors: list[Exception] = []

    async def send_late(request: StreamRequest, context: Context) -> None:
        await context.write(StreamReply())
        try:
            await context.send_initial_metadata((("x-late", "yes"),))
        except grpc.aio.UsageError as error:
            errors.append(error)

    stub = await route.open(scripted(StreamingOutputCall=send_late))
    call = stub.StreamingOutputCall(StreamRequest())
    assert await collect(call) == [StreamReply()]
    assert tuple(await call.initial_metadata()) == ()
    assert len(errors) == 1


async def test_trailing_metadata_set_last_counts(route: Route) -> None:
    seen: list[object] = []

    async def set_twice(request: UnaryRequest, context: Context) -> UnaryReply:
        context.set_trailing_metadata((("x-first", "1"),))
        context.set_trailing_metadata([("x-second", "2")])  # any iterable of pairs
        seen.append(context.trailing_metadata())
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=set_twice))
    call = stub.UnaryCall(UnaryRequest())
    await call
    assert await call.trailing_metadata() == (("x-second", "2"),)
    assert seen == [(("x-second", "2"),)]


@pytest.mark.parametrize("wrong", [{"x-key": "value"}, (("x-key", 1),), (("x-key",),), "text"])
async def test_trailing_metadata_of_a_wrong_type_is_refused(route: Route, wrong: object) -> None:
    errors: list[Exception] = []

    async def set_wrong(request: UnaryRequest, context: Context) -> UnaryReply:
        try:
            context.set_trailing_metadata(wrong)  # type: ignore[arg-type]
        except TypeError as error:
            errors.append(error)
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=set_wrong))
    assert await stub.UnaryCall(UnaryRequest()) == UnaryReply()
    assert len(errors) == 1
