"""Handlers that forward their calls to an upstream: bytes in, bytes out, and nothing of a call is lost on the way.

Each call of the fleet is one call of the upstream. The upstream's side is always called as a stream, also for a method
that answers once: only so does grpc.aio tell the initial metadata when it comes, and not with the reply. One message
is under way in each direction; the next one is read when that has gone, so the credit of the link and the windows of
HTTP/2 hold up whoever sends too fast.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import grpc

from portcall.contract.contract import MethodKind
from portcall.protos.portcall.v1 import link_pb2
from portcall.worker.context import CallContext
from portcall.worker.handlers import RpcHandler
from portcall.worker.upstream import Upstream

OK = grpc.StatusCode.OK
INTERNAL = grpc.StatusCode.INTERNAL

EMPTY_METADATA_S = 0.005
"""Initial metadata without entries goes with the reply of a unary call, unless that takes longer than this to come."""

UpstreamCall: TypeAlias = Any
"""`grpc.aio.UnaryStreamCall` or `grpc.aio.StreamStreamCall`, of bytes."""

MultiCallable: TypeAlias = Callable[..., UpstreamCall]


def forwarding_handlers(upstream: Upstream, contract: link_pb2.Contract) -> dict[str, dict[str, RpcHandler]]:
    """Return what forwards each method of a contract, by service and name, as a server registers it."""
    return {
        service.name: {
            method.name: _handler(
                upstream,
                f"/{service.name}/{method.name}",
                MethodKind(client_streaming=method.client_streaming, server_streaming=method.server_streaming),
            )
            for method in service.methods
        }
        for service in contract.services
    }


def _handler(upstream: Upstream, path: str, kind: MethodKind) -> RpcHandler:
    if kind.client_streaming:
        begin: MultiCallable = upstream.channel.stream_stream(path)
    else:
        begin = upstream.channel.unary_stream(path)

    async def forward_unary(request: object, context: CallContext) -> bytes:
        call = begin(request, metadata=context.invocation_metadata(), timeout=context.time_remaining())
        try:
            return await _pass_reply(upstream, call, context)
        finally:
            call.cancel()

    async def forward_unary_stream(request: object, context: CallContext) -> None:
        call = begin(request, metadata=context.invocation_metadata(), timeout=context.time_remaining())
        try:
            await _pass_replies(upstream, call, context)
        finally:
            call.cancel()

    async def forward_stream_unary(_: object, context: CallContext) -> bytes:
        async with _uploading(begin, context) as call:
            return await _pass_reply(upstream, call, context)

    async def forward_stream(_: object, context: CallContext) -> None:
        async with _uploading(begin, context) as call:
            await _pass_replies(upstream, call, context)

    if kind.client_streaming:
        if kind.server_streaming:
            return grpc.stream_stream_rpc_method_handler(forward_stream)
        return grpc.stream_unary_rpc_method_handler(forward_stream_unary)
    if kind.server_streaming:
        return grpc.unary_stream_rpc_method_handler(forward_unary_stream)
    return grpc.unary_unary_rpc_method_handler(forward_unary)


@contextlib.asynccontextmanager
async def _uploading(begin: MultiCallable, context: CallContext) -> AsyncIterator[UpstreamCall]:
    """Begin a call with a stream of requests, which are passed on until the call is over."""
    call = begin(metadata=context.invocation_metadata(), timeout=context.time_remaining())
    upload = asyncio.get_running_loop().create_task(_upload(call, context))
    try:
        yield call
    finally:
        upload.cancel()
        call.cancel()
        await asyncio.wait([upload])


async def _upload(call: UpstreamCall, context: CallContext) -> None:
    """Pass on what the caller sends, and that it has sent the last; no faster than the upstream takes it."""
    try:
        await call.wait_for_connection()
        while isinstance(message := await context.read(), bytes):
            # Not `call.write`: where the upstream has ended the call unread, that puts a status of its own in the
            # place of the upstream's. What it rests on is watched by `tests/tidy/test_seam.py`.
            await call._cython_call.send_serialized_message(message)  # noqa: SLF001
        if not context.done():
            await call.done_writing()
    except (grpc.aio.AioRpcError, grpc.aio.BaseError):
        pass  # the call is over; its status is for whoever reads
    except Exception:
        call.cancel()
        raise


async def _pass_reply(upstream: Upstream, call: UpstreamCall, context: CallContext) -> bytes:
    """Pass on what a call with one reply answers; return the reply."""
    initial = await call.initial_metadata()
    timer: asyncio.TimerHandle | None = None
    if initial:
        await context.send_initial_metadata(initial)
    else:
        timer = asyncio.get_running_loop().call_later(EMPTY_METADATA_S, context.begin_reply)
    try:
        reply = await _read(upstream, call)
        another = await _read(upstream, call) if reply is not None else None
    finally:
        if timer is not None:
            timer.cancel()
    if another is not None:
        context.set_code(INTERNAL)
        context.set_details(f"The upstream {upstream.target} sent several replies where there can be one")
        return b""
    code = await _pass_status(upstream, call, context)
    if reply is None and code is OK:
        context.set_code(INTERNAL)
        context.set_details(f"The upstream {upstream.target} ended a unary call without a reply")
    return reply or b""


async def _pass_replies(upstream: Upstream, call: UpstreamCall, context: CallContext) -> None:
    """Pass on what a call with a stream of replies answers."""
    initial = await call.initial_metadata()
    if initial or not call.done():
        await context.send_initial_metadata(initial)
    while (message := await _read(upstream, call)) is not None:
        await context.write(message)
    await _pass_status(upstream, call, context)


async def _read(upstream: Upstream, call: UpstreamCall) -> bytes | None:
    """Return the next reply, or None if there is none. How the call has ended is then to be asked of itself."""
    try:
        message = await call.read()
    except grpc.aio.AioRpcError:
        return None
    if not isinstance(message, bytes):
        return None
    upstream.note_reply()
    return message


async def _pass_status(upstream: Upstream, call: UpstreamCall, context: CallContext) -> grpc.StatusCode:
    """Make the status that the upstream ended a call with the status of the caller's; return its code."""
    code: grpc.StatusCode = await call.code()
    details = await call.details() or ""
    trailers = tuple(await call.trailing_metadata())
    if trailers:
        context.set_trailing_metadata(trailers)
    if code is not OK:
        context.set_code(code)
        details = upstream.explain(code, details, trailers)
    if details:
        context.set_details(details)
    return code
