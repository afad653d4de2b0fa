"""Handlers that are plain functions: they run in threads, beside the event loop, with a context of blocking calls.

The published cases run with such a servicer too; here is what is special to it.
"""

import asyncio
import threading
from collections.abc import Iterator

import grpc
import pytest
from interop_pb2 import InputReply, StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .kinds import Kind, collect, each
from .routes import Route
from .servicers import Handler, scripted
from .timeouts import timeouts

TRAILERS = (("x-why", "because"), ("x-why-bin", b"\x00\xff"))


def aborting(kind: Kind) -> Handler:
    """A handler that aborts at once; a generator where it answers with a stream."""

    def abort(request: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.ABORTED, "stop", TRAILERS)  # type: ignore[call-arg]

    def abort_from_generator(request: object, context: grpc.ServicerContext) -> Iterator[StreamReply]:
        abort(request, context)
        yield StreamReply()

    return abort_from_generator if kind.is_reply_stream else abort


@each()
async def test_abort(route: Route, kind: Kind) -> None:
    stub = await route.open(scripted(**{kind.method: aborting(kind)}))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kind.replies(kind.begin_open(stub))
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert caught.value.details() == "stop"
    assert caught.value.trailing_metadata() == TRAILERS


async def test_exception(route: Route) -> None:
    def fail(request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        raise ValueError("boom")

    stub = await route.open(scripted(UnaryCall=fail))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnaryCall(UnaryRequest())
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == "Unexpected <class 'ValueError'>: boom"


async def test_exception_after_messages(route: Route) -> None:
    def fail(request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamReply]:
        yield StreamReply(body=b"1")
        raise ValueError("boom")

    stub = await route.open(scripted(StreamingOutputCall=fail))
    call = stub.StreamingOutputCall(StreamRequest())
    assert await call.read() == StreamReply(body=b"1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == "Unexpected <class 'ValueError'>: boom"


async def test_code_set_without_abort(route: Route) -> None:
    def set_code(request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("none")
        context.set_trailing_metadata(TRAILERS)
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=set_code))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnaryCall(UnaryRequest())
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert (caught.value.details(), caught.value.trailing_metadata()) == ("none", TRAILERS)


async def test_context(route: Route) -> None:
    seen: dict[str, object] = {}

    def note(request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        seen["metadata"] = [entry for entry in context.invocation_metadata() if entry[0].startswith("x-")]
        seen["peer"] = context.peer().partition(":")[0]
        seen["identity"] = (context.peer_identities(), context.peer_identity_key())
        seen["has deadline"] = context.time_remaining() is not None
        context.set_compression(grpc.Compression.Gzip)
        context.send_initial_metadata((("x-initial", "1"),))
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=note))
    call = stub.UnaryCall(UnaryRequest(), metadata=(("x-key", "1"), ("x-key", "2")), timeout=60)
    await call
    assert seen.pop("peer") in {"ipv4", "ipv6", "unix"}
    assert seen == {"metadata": [("x-key", "1"), ("x-key", "2")], "identity": (None, None), "has deadline": True}
    assert await call.initial_metadata() == (("x-initial", "1"),)


async def test_callback_of_a_unary_call(route: Route) -> None:
    told: list[str] = []

    def answer(request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        context.add_callback(lambda: told.append("called back"))
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=answer))
    await stub.UnaryCall(UnaryRequest())
    assert told == ["called back"]


async def test_handlers_run_beside_the_event_loop_and_each_other(route: Route) -> None:
    both_run = threading.Barrier(2, timeout=60)

    def meet(request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        assert threading.current_thread() is not threading.main_thread()
        both_run.wait()
        return UnaryReply(body=request.body)

    stub = await route.open(scripted(UnaryCall=meet))
    replies = await asyncio.gather(*(stub.UnaryCall(UnaryRequest(body=body)) for body in (b"1", b"2")))
    assert replies == [UnaryReply(body=b"1"), UnaryReply(body=b"2")]


async def test_generator_runs_as_its_replies_are_taken(route: Route) -> None:
    was_read = threading.Event()

    def wait_between(request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamReply]:
        yield StreamReply(body=b"1")
        assert was_read.wait(timeout=60)
        yield StreamReply(body=b"2")

    stub = await route.open(scripted(StreamingOutputCall=wait_between))
    call = stub.StreamingOutputCall(StreamRequest())
    assert await call.read() == StreamReply(body=b"1")
    was_read.set()
    assert await call.read() == StreamReply(body=b"2")
    assert await call.read() is grpc.aio.EOF


async def test_functions_and_coroutines_in_one_servicer(route: Route) -> None:
    def count(requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> InputReply:
        return InputReply(messages=sum(1 for _ in requests))

    async def answer(request: UnaryRequest, context: object) -> UnaryReply:
        return UnaryReply(body=b"from a coroutine")

    stub = await route.open(scripted(StreamingInputCall=count, UnaryCall=answer))
    assert await stub.UnaryCall(UnaryRequest()) == UnaryReply(body=b"from a coroutine")
    assert await stub.StreamingInputCall(iter([StreamRequest(), StreamRequest()])) == InputReply(messages=2)


async def test_requests_that_a_function_leaves_unread(route: Route) -> None:
    def take_one(requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamReply]:
        yield StreamReply(body=next(requests).body)

    stub = await route.open(scripted(FullDuplexCall=take_one))
    call = stub.FullDuplexCall()
    await call.write(StreamRequest(body=b"1"))
    assert await collect(call) == [StreamReply(body=b"1")]
    assert await call.code() is grpc.StatusCode.OK


async def test_deadline_of_a_function_that_is_busy(route: Route) -> None:
    has_started, may_end = threading.Event(), threading.Event()

    def block(request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        has_started.set()
        may_end.wait(timeout=60)
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=block))
    for timeout in timeouts(has_started.is_set):
        call = stub.UnaryCall(UnaryRequest(), timeout=timeout)
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    may_end.set()


async def test_cancel_of_a_function_that_is_busy(route: Route) -> None:
    has_started, may_end = threading.Event(), threading.Event()

    def block(request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        has_started.set()
        may_end.wait(timeout=60)
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=block))
    call = stub.UnaryCall(UnaryRequest())
    await asyncio.to_thread(has_started.wait)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    may_end.set()
