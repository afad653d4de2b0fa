"""What a handler learns of its call, and how it learns of the end."""

import asyncio

import grpc
import pytest
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .kinds import Kind, collect, each
from .routes import Route
from .service import Context, when_done
from .servicers import Handler, scripted


async def answer(request: UnaryRequest, context: Context) -> UnaryReply:
    return UnaryReply()


async def abort(request: UnaryRequest, context: Context) -> None:
    await context.abort(grpc.StatusCode.ABORTED)


async def fail(request: UnaryRequest, context: Context) -> None:
    raise ValueError


async def test_peer_is_an_address(route: Route) -> None:
    peers: list[str] = []

    async def note(request: UnaryRequest, context: Context) -> UnaryReply:
        peers.append(context.peer())
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=note))
    await stub.UnaryCall(UnaryRequest())
    assert peers[0].partition(":")[0] in {"ipv4", "ipv6", "unix"}


async def test_peer_of_an_insecure_call_has_no_identity(route: Route) -> None:
    seen: list[tuple[object, ...]] = []

    async def note(request: UnaryRequest, context: Context) -> UnaryReply:
        seen.append((context.peer_identities(), context.peer_identity_key(), context.auth_context()))
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=note))
    await stub.UnaryCall(UnaryRequest())
    identities, identity_key, auth = seen[0]
    assert identities is None
    assert identity_key is None
    assert isinstance(auth, dict)


@pytest.mark.parametrize("ending", [answer, abort, fail])
async def test_done_callbacks_run_once_in_order_with_the_context(route: Route, ending: Handler) -> None:
    told: list[tuple[str, Context, bool]] = []
    contexts: list[Context] = []
    is_done = asyncio.Event()

    async def handle(request: UnaryRequest, context: Context) -> object:
        contexts.append(context)
        when_done(context, lambda context: told.append(("first", context, context.done())))
        when_done(context, lambda context: told.append(("second", context, context.done())))
        when_done(context, lambda _: is_done.set())
        assert not context.done()
        return await ending(request, context)

    stub = await route.open(scripted(UnaryCall=handle))
    await stub.UnaryCall(UnaryRequest()).code()
    await is_done.wait()
    assert told == [("first", contexts[0], True), ("second", contexts[0], True)]


@each()
async def test_context_of_a_running_call_is_neither_done_nor_cancelled(route: Route, kind: Kind) -> None:
    seen: list[tuple[bool, bool]] = []

    async def note(context: Context) -> None:
        seen.append((context.done(), context.cancelled()))

    stub = await route.open(scripted(**{kind.method: kind.handler(note)}))
    await kind.replies(kind.begin(stub))
    assert seen == [(False, False)]


async def test_failing_done_callback_harms_nobody(route: Route) -> None:
    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        def fail(context: Context) -> None:
            raise ValueError("in a callback")

        when_done(context, fail)
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=handle))
    for _ in range(2):
        assert await stub.UnaryCall(UnaryRequest()) == UnaryReply()


async def test_context_of_a_finished_call_is_closed(route: Route) -> None:
    contexts: list[Context] = []
    is_done = asyncio.Event()

    async def handle(request: StreamRequest, context: Context) -> None:
        contexts.append(context)
        when_done(context, lambda _: is_done.set())
        await context.write(StreamReply())

    stub = await route.open(scripted(StreamingOutputCall=handle))
    assert await collect(stub.StreamingOutputCall(StreamRequest())) == [StreamReply()]
    await is_done.wait()
    for late in (contexts[0].read(), contexts[0].write(StreamReply()), contexts[0].send_initial_metadata(())):
        with pytest.raises(grpc.aio.UsageError, match="RPC already finished"):
            await late


async def test_each_call_has_a_context_of_its_own(route: Route) -> None:
    contexts: list[Context] = []
    have_all_started = asyncio.Event()

    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        contexts.append(context)
        if len(contexts) == 3:
            have_all_started.set()
        await have_all_started.wait()
        context.set_trailing_metadata((("x-body-bin", request.body),))
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=handle))
    calls = {body: stub.UnaryCall(UnaryRequest(body=body)) for body in (b"1", b"2", b"3")}
    for body, call in calls.items():
        assert await call.trailing_metadata() == (("x-body-bin", body),)
    assert len({id(context) for context in contexts}) == 3


async def test_handler_may_be_any_coroutine_function(route: Route) -> None:
    class Greeter:
        def __init__(self, greeting: bytes) -> None:
            self._greeting = greeting

        async def greet(self, request: UnaryRequest, context: Context) -> UnaryReply:
            return UnaryReply(body=self._greeting + request.body)

    stub = await route.open(scripted(UnaryCall=Greeter(b"hello ").greet))
    assert await stub.UnaryCall(UnaryRequest(body=b"you")) == UnaryReply(body=b"hello you")
