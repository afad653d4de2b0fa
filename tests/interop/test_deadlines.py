"""Deadlines: they end a call on both sides, and the server knows how much time is left."""

import grpc
import pytest
from interop_pb2 import UnaryReply, UnaryRequest

from .kinds import Kind, each
from .routes import Route
from .service import Context
from .servicers import EndlessHandler, scripted
from .timeouts import timeouts

FAR_S = 3600.0


@each()
async def test_deadline_ends_the_call_and_cancels_the_handler(route: Route, kind: Kind) -> None:
    endless = EndlessHandler()
    stub = await route.open(scripted(**{kind.method: endless.handle}))
    for timeout in timeouts(endless.has_started.is_set):
        call = kind.begin_open(stub, timeout=timeout)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await kind.replies(call)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # With "Stream removed" where both ends notice at once.
        assert "Deadline Exceeded" in (caught.value.details() or "")
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await endless.was_cancelled.wait()
    await endless.is_done.wait()


async def test_timeout_on_sleeping_server(route: Route) -> None:
    stub = await route.open(scripted(FullDuplexCall=EndlessHandler().handle))
    call = stub.FullDuplexCall(timeout=0.001)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_deadline_that_has_passed_already(route: Route) -> None:
    stub = await route.open(scripted(UnaryCall=EndlessHandler().handle))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnaryCall(UnaryRequest(), timeout=-1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@each()
async def test_handler_knows_the_time_that_is_left(route: Route, kind: Kind) -> None:
    remaining: list[float | None] = []

    async def note(context: Context) -> None:
        remaining.append(context.time_remaining())

    stub = await route.open(scripted(**{kind.method: kind.handler(note)}))
    for timeout in (FAR_S, None):
        await kind.replies(kind.begin(stub, timeout=timeout))
    with_deadline, without = remaining
    assert with_deadline is not None
    assert 0.9 * FAR_S < with_deadline < 1.1 * FAR_S
    assert without is None


async def test_time_that_is_left_never_grows(route: Route) -> None:
    remaining: list[float] = []

    async def note_twice(request: UnaryRequest, context: Context) -> UnaryReply:
        remaining.extend([context.time_remaining(), context.time_remaining()])
        return UnaryReply()

    stub = await route.open(scripted(UnaryCall=note_twice))
    await stub.UnaryCall(UnaryRequest(), timeout=FAR_S)
    assert remaining == sorted(remaining, reverse=True)


@each()
async def test_client_knows_the_time_that_is_left(route: Route, kind: Kind) -> None:
    stub = await route.open(scripted(**{kind.method: EndlessHandler().handle}))
    limited, unlimited = kind.begin(stub, timeout=FAR_S), kind.begin(stub)
    assert 0 < limited.time_remaining() <= FAR_S
    assert unlimited.time_remaining() is None
