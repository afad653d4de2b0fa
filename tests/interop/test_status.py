"""How a call ends, other than well: every way a handler has to say so reaches the client whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .kinds import UNARY_UNARY, Kind, each
from .routes import Route
from .service import SERVICE, Context, registers, when_done
from .servicers import CoroutineServicer, scripted

TRAILERS = (("x-why", "because"), ("x-why-bin", b"\x00\xff"))
NON_OK = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


async def failure(kind: Kind, call: object) -> grpc.aio.AioRpcError:
    """What the call raises to a client that reads it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kind.replies(call)
    return caught.value


@each()
async def test_abort(route: Route, kind: Kind) -> None:
    async def abort(context: Context) -> None:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now, ☺", TRAILERS)

    stub = await route.open(scripted(**{kind.method: kind.handler(abort)}))
    call = kind.begin(stub)
    error = await failure(kind, call)
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "not now, ☺"
    assert error.trailing_metadata() == TRAILERS
    assert tuple(error.initial_metadata()) == ()
    assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await call.details() == "not now, ☺"
    assert await call.trailing_metadata() == TRAILERS
    assert call.done()


@pytest.mark.parametrize("code", NON_OK, ids=lambda code: code.name)
async def test_every_status_code(route: Route, code: grpc.StatusCode) -> None:
    async def abort(request: UnaryRequest, context: Context) -> None:
        await context.abort(code, code.name)

    stub = await route.open(scripted(UnaryCall=abort))
    error = await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))
    assert (error.code(), error.details()) == (code, code.name)


async def test_cancelled_by_the_server_is_an_error_and_not_a_cancellation(route: Route) -> None:
    seen: list[bool] = []
    is_done = asyncio.Event()

    async def abort(request: UnaryRequest, context: Context) -> None:
        when_done(context, lambda _: is_done.set())
        try:
            await context.abort(grpc.StatusCode.CANCELLED, "changed my mind")
        finally:
            seen.append(context.cancelled())

    stub = await route.open(scripted(UnaryCall=abort))
    call = stub.UnaryCall(UnaryRequest())
    assert (await failure(UNARY_UNARY, call)).code() is grpc.StatusCode.CANCELLED
    assert call.cancelled()
    await is_done.wait()
    assert seen == [True]


async def test_abort_after_messages(route: Route) -> None:
    async def reply_then_abort(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        await context.send_initial_metadata((("x-early", "yes"),))
        yield StreamReply(body=b"1")
        yield StreamReply(body=b"2")
        await context.abort(grpc.StatusCode.DATA_LOSS, "no third", TRAILERS)

    stub = await route.open(scripted(StreamingOutputCall=reply_then_abort))
    call = stub.StreamingOutputCall(StreamRequest())
    assert [await call.read(), await call.read()] == [StreamReply(body=b"1"), StreamReply(body=b"2")]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert caught.value.initial_metadata() == (("x-early", "yes"),)
    assert caught.value.trailing_metadata() == TRAILERS


async def test_abort_takes_what_was_set_before_where_it_is_given_nothing(route: Route) -> None:
    async def abort(request: UnaryRequest, context: Context) -> None:
        context.set_details("set before")
        context.set_trailing_metadata(TRAILERS)
        await context.abort(grpc.StatusCode.ABORTED)

    stub = await route.open(scripted(UnaryCall=abort))
    error = await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))
    assert (error.details(), error.trailing_metadata()) == ("set before", TRAILERS)


async def test_abort_supersedes_what_was_set_before(route: Route) -> None:
    async def abort(request: UnaryRequest, context: Context) -> None:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("set before")
        context.set_trailing_metadata((("x-before", "yes"),))
        await context.abort(grpc.StatusCode.ABORTED, "aborted", TRAILERS)

    stub = await route.open(scripted(UnaryCall=abort))
    error = await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))
    assert error.code() is grpc.StatusCode.ABORTED
    assert (error.details(), error.trailing_metadata()) == ("aborted", TRAILERS)


async def test_abort_without_details(route: Route) -> None:
    async def abort(request: UnaryRequest, context: Context) -> None:
        await context.abort(grpc.StatusCode.ABORTED)

    stub = await route.open(scripted(UnaryCall=abort))
    assert (await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))).details() == ""


async def test_abort_raises_in_the_handler(route: Route) -> None:
    errors: list[BaseException] = []
    is_done = asyncio.Event()

    async def abort(request: UnaryRequest, context: Context) -> None:
        when_done(context, lambda _: is_done.set())
        try:
            await context.abort(grpc.StatusCode.ABORTED, "stop")
        except BaseException as error:
            errors.append(error)
            raise

    stub = await route.open(scripted(UnaryCall=abort))
    await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))
    await is_done.wait()
    assert [type(error) for error in errors] == [grpc.aio.AbortError]


async def test_abort_that_the_handler_suppresses_still_counts(route: Route) -> None:
    errors: list[Exception] = []
    is_done = asyncio.Event()

    async def abort_twice(request: UnaryRequest, context: Context) -> UnaryReply:
        when_done(context, lambda _: is_done.set())
        for attempt in ("first", "second"):
            try:
                await context.abort(grpc.StatusCode.ABORTED, attempt)
            except grpc.aio.BaseError as error:
                errors.append(error)
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=abort_twice))
    assert (await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))).details() == "first"
    await is_done.wait()
    assert [type(error) for error in errors] == [grpc.aio.AbortError, grpc.aio.UsageError]
    assert str(errors[1]) == "Abort already called!"


@each()
async def test_rich_error_details(route: Route, kind: Kind) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="name", description="must not be ☺")
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="a bad ☺ request", details=[detail])

    async def abort(context: Context) -> None:
        await context.abort_with_status(rpc_status.to_status(status))

    stub = await route.open(scripted(**{kind.method: kind.handler(abort)}))
    error = await failure(kind, kind.begin(stub))
    assert rpc_status.from_call(error) == status
    unpacked = error_details_pb2.BadRequest()
    assert rpc_status.from_call(error).details[0].Unpack(unpacked)
    assert unpacked.field_violations[0] == violation


@each()
async def test_exception_in_the_handler(route: Route, kind: Kind) -> None:
    async def fail(context: Context) -> None:
        context.set_trailing_metadata(TRAILERS)
        raise ValueError("boom ☺")

    stub = await route.open(scripted(**{kind.method: kind.handler(fail)}))
    error = await failure(kind, kind.begin(stub))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == "Unexpected <class 'ValueError'>: boom ☺"
    assert error.trailing_metadata() == TRAILERS


async def test_exception_after_messages(route: Route) -> None:
    async def fail(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        yield StreamReply(body=b"1")
        raise KeyError("gone")

    stub = await route.open(scripted(StreamingOutputCall=fail))
    call = stub.StreamingOutputCall(StreamRequest())
    assert await call.read() == StreamReply(body=b"1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == "Unexpected <class 'KeyError'>: 'gone'"


async def test_exception_keeps_the_code_that_was_set(route: Route) -> None:
    async def fail(request: UnaryRequest, context: Context) -> None:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("superseded")
        raise LookupError("no such name")

    stub = await route.open(scripted(UnaryCall=fail))
    error = await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "Unexpected <class 'LookupError'>: no such name"


@each()
async def test_code_set_without_abort(route: Route, kind: Kind) -> None:
    async def set_code(context: Context) -> None:
        context.set_code(grpc.StatusCode.OUT_OF_RANGE)
        context.set_details("too far")
        context.set_trailing_metadata(TRAILERS)

    stub = await route.open(scripted(**{kind.method: kind.handler(set_code)}))
    error = await failure(kind, kind.begin(stub))
    assert error.code() is grpc.StatusCode.OUT_OF_RANGE
    assert (error.details(), error.trailing_metadata()) == ("too far", TRAILERS)


async def test_code_set_after_messages(route: Route) -> None:
    async def reply_then_set_code(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        yield StreamReply(body=b"1")
        context.set_code(grpc.StatusCode.OUT_OF_RANGE)

    stub = await route.open(scripted(StreamingOutputCall=reply_then_set_code))
    call = stub.StreamingOutputCall(StreamRequest())
    assert await call.read() == StreamReply(body=b"1")
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert await call.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_context_tells_what_was_set(route: Route) -> None:
    seen: list[tuple[object, ...]] = []

    async def set_all(request: UnaryRequest, context: Context) -> UnaryReply:
        seen.append((context.code(), context.details(), context.trailing_metadata()))
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("none")
        context.set_trailing_metadata(TRAILERS)
        seen.append((context.code(), context.details(), context.trailing_metadata()))
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=set_all))
    await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))
    assert seen == [(None, "", ()), (grpc.StatusCode.NOT_FOUND, "none", TRAILERS)]


@each()
async def test_method_of_the_contract_without_code(route: Route, kind: Kind) -> None:
    stub = await route.open(scripted())
    error = await failure(kind, kind.begin_open(stub))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "Method not implemented!" in (error.details() or "")


async def test_method_that_no_server_has(route: Route) -> None:
    await route.serve(registers(CoroutineServicer()))
    channel: Any = await route.connect()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(f"/{SERVICE}/NoSuchCall")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_reply_that_cannot_be_serialised(route: Route) -> None:
    async def answer_nothing(request: UnaryRequest, context: Context) -> None:
        return None

    stub = await route.open(scripted(UnaryCall=answer_nothing))
    error = await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest()))
    assert error.code() is grpc.StatusCode.UNKNOWN


async def test_request_that_cannot_be_parsed(route: Route) -> None:
    await route.serve(registers(CoroutineServicer()))
    channel: Any = await route.connect()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(f"/{SERVICE}/UnaryCall")(b"\xff\xff not a message")
    assert caught.value.code() is grpc.StatusCode.UNKNOWN


async def test_failed_call_raises_each_time_it_is_read(route: Route) -> None:
    stub = await route.open(scripted())
    call = stub.UnaryCall(UnaryRequest())
    for _ in range(2):
        assert (await failure(UNARY_UNARY, call)).code() is grpc.StatusCode.UNIMPLEMENTED
    stream = stub.StreamingOutputCall(StreamRequest())
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await stream.read()


async def test_failed_call_tells_how_it_ended_without_being_awaited(route: Route) -> None:
    async def abort(request: object, context: Context) -> None:
        await context.abort(grpc.StatusCode.ABORTED, "stop", TRAILERS)

    stub = await route.open(scripted(UnaryCall=abort))
    call = stub.UnaryCall(UnaryRequest())
    assert await call.code() is grpc.StatusCode.ABORTED
    assert await call.details() == "stop"
    assert await call.trailing_metadata() == TRAILERS
    assert call.done()
    assert not call.cancelled()


async def test_next_call_is_untouched_by_a_failed_one(route: Route) -> None:
    async def fail_if_asked(request: UnaryRequest, context: Context) -> UnaryReply:
        if request.body:
            raise ValueError
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=fail_if_asked))
    await failure(UNARY_UNARY, stub.UnaryCall(UnaryRequest(body=b"fail")))
    assert await stub.UnaryCall(UnaryRequest()) == UnaryReply()
