"""The native ingress: any gRPC client's calls, as calls of the switchboard.

Each connected client is a port of the switchboard, so that native clients and links are served by the same rules. A
call's messages pass as bytes; the hub never parses them.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NoReturn, TypeAlias

import grpc

from portcall.contract.contract import MethodKind
from portcall.contract.registry import ContractRegistry
from portcall.core.calls import ClientPort
from portcall.hub.board import Board
from portcall.protos.link_rules import singly
from portcall.protos.portcall.v1.link_pb2 import End, Frame, Metadatum
from portcall.wire.caller import INTERNAL, RESOURCE_EXHAUSTED, CallerEnd, open_frame
from portcall.wire.metadata import from_frame, to_frame
from portcall.wire.status import COMPRESSION_OUT, status_code

IDLE_PORTS_MAX = 1_024
"""Ports of clients without calls that are kept for when they call again."""

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"

_BIDI = MethodKind(client_streaming=True, server_streaming=True)


class _IngressSink:
    """Where the switchboard sends what is for native calls, and where these send what is for the switchboard."""

    __slots__ = ("board", "calls", "port")

    def __init__(self, board: Board) -> None:
        self.board = board
        self.port: ClientPort
        self.calls: dict[int, CallerEnd] = {}

    @property
    def bytes_held(self) -> int:
        """Each call holds its own, within its credit; nothing waits here."""
        return 0

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Take a frame of the switchboard."""
        for single in singly((frame,)):
            call = self.calls.get(single.call_id)
            if call is not None:
                call.on_frame(single)

    def send_ahead(self, frame: Frame, /) -> None:
        """Take a frame of the switchboard."""
        self.send(frame)

    def drop_chunks(self, call_id: int, /) -> None:
        """Nothing waits here."""


class _ToBoard:
    """The way of a native call's frames to the switchboard."""

    __slots__ = ("_board", "_port")

    def __init__(self, board: Board, port: ClientPort) -> None:
        self._board = board
        self._port = port

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Give a frame to the switchboard."""
        self._board.from_client(self._port, (frame,))

    def send_ahead(self, frame: Frame, /) -> None:
        """Give a frame to the switchboard; one for a call that has just ended is late, and goes no further."""
        if frame.call_id in self._port.calls:
            self._board.from_client(self._port, (frame,))

    def drop_chunks(self, call_id: int, /) -> None:
        """Nothing waits here."""


class Ingress(grpc.GenericRpcHandler):
    """Answers every method that no other service of the hub has."""

    def __init__(
        self,
        board: Board,
        registry: ContractRegistry,
        message_bytes_max: int,
        to_frame: Callable[[Iterable[tuple[str, str | bytes]]], list[Metadatum]] = to_frame,
    ) -> None:
        """Pass metadata on as `to_frame` says."""
        self._to_frame = to_frame
        self._board = board
        self._registry = registry
        self._message_bytes_max = message_bytes_max
        self._ids = itertools.count(1)
        self._sinks: OrderedDict[str, _IngressSink] = OrderedDict()
        self._handlers: dict[str, Handler] = {}

    def close(self) -> None:
        """End the calls that still run, because the hub stops."""
        end = End(status=grpc.StatusCode.UNAVAILABLE.value[0], details="The hub is shutting down")
        for sink in self._sinks.values():
            for call in sink.calls.values():
                call.finish(end, is_cancel=True)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """Return the handler of a method; also of an unknown one, whose calls the switchboard refuses."""
        method = handler_call_details.method
        kind = self._registry.kind(method)
        if kind is None:
            return self._make_handler(method, _BIDI)
        handler = self._handlers.get(method)
        if handler is None or (handler.request_streaming, handler.response_streaming) != (
            kind.client_streaming,
            kind.server_streaming,
        ):
            if len(self._handlers) > self._registry.methods_count:
                self._handlers.clear()
            handler = self._handlers[method] = self._make_handler(method, kind)
        return handler

    def _make_handler(self, method: str, kind: MethodKind) -> Handler:
        if not kind.client_streaming:

            async def serve_unary(request: bytes, context: Context) -> bytes:
                return await self._serve(method, kind, request, context)

            behavior: Callable[[Any, Context], Awaitable[bytes]] = serve_unary
        else:

            async def serve_stream(_: object, context: Context) -> bytes:
                return await self._serve(method, kind, None, context)

            behavior = serve_stream
        if kind.client_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler if kind.server_streaming else grpc.stream_unary_rpc_method_handler
            )
        else:
            make = (
                grpc.unary_stream_rpc_method_handler if kind.server_streaming else grpc.unary_unary_rpc_method_handler
            )
        return make(behavior)

    async def _serve(self, method: str, kind: MethodKind, request: bytes | None, context: Context) -> bytes:
        """Serve one call; return the reply of a unary one."""
        if request is not None and len(request) > self._message_bytes_max:
            await _abort(context, self._too_large(len(request)))
        sink = self._sink(context.peer())
        call_id = next(self._ids)
        call = sink.calls[call_id] = CallerEnd(call_id, _ToBoard(self._board, sink.port), self._message_bytes_max)
        upload: asyncio.Task[None] | None = None
        try:
            metadata = self._to_frame(context.invocation_metadata() or ())
            call.open(open_frame(call_id, method, metadata, timeout_s=context.time_remaining()), request)
            if request is None:
                upload = asyncio.get_running_loop().create_task(self._upload(call, context))
            return await _download(call, context, is_streaming=kind.server_streaming)
        finally:
            if upload is not None:
                upload.cancel()
            call.finish(End(status=grpc.StatusCode.CANCELLED.value[0]), is_cancel=True)
            del sink.calls[call_id]
            self._tidy(context.peer(), sink)

    async def _upload(self, call: CallerEnd, context: Context) -> None:
        """Pass on what a streaming client sends, no faster than the worker takes it."""
        while True:
            message = await context.read()
            if not isinstance(message, bytes):
                break
            if len(message) > self._message_bytes_max:
                call.finish(self._too_large(len(message)), is_cancel=True)
                return
            if not await call.write(message):
                return
        if call.end is None:
            call.sender.finish()

    def _too_large(self, size: int) -> End:
        return End(
            status=RESOURCE_EXHAUSTED,
            details=f"Received message larger than max ({size} vs. {self._message_bytes_max})",
        )

    def _sink(self, peer: str) -> _IngressSink:
        sink = self._sinks.get(peer)
        if sink is None:
            sink = self._sinks[peer] = _IngressSink(self._board)
            sink.port = ClientPort(peer, sink)
        return sink

    def _tidy(self, peer: str, sink: _IngressSink) -> None:
        """Keep the clients that called last, and let the others go once they have no calls."""
        if len(self._sinks) <= IDLE_PORTS_MAX:
            return
        if not sink.calls and self._sinks.get(peer) is sink:
            del self._sinks[peer]


async def _download(call: CallerEnd, context: Context, *, is_streaming: bool) -> bytes:
    """Pass on what comes back; return the reply of a unary call."""
    are_headers_sent = False
    while True:
        if call.headers is not None and not are_headers_sent:
            are_headers_sent = True
            compression = COMPRESSION_OUT.get(call.headers.compression)
            if compression is not None:
                context.set_compression(compression)
            await context.send_initial_metadata(from_frame(call.headers.metadata))
        elif is_streaming and len(call.receiver):
            message = await call.read()
            assert message is not None
            await context.write(message)
        elif call.end is not None:
            break
        else:
            await call.changed()
    end = call.end
    if end.status == 0 and not is_streaming and not len(call.receiver):
        end = End(status=INTERNAL, details="The worker ended a unary call without a reply")
    if end.status and not is_streaming:
        await _abort(context, end)
    _set_status(context, end)
    return call.receiver.read() if not is_streaming else b""


async def _abort(context: Context, end: End) -> NoReturn:
    """End a unary call that failed.

    What its handler returns would be sent, were it nothing at all, before the status: only what a handler raises goes
    without a message, and the headers with it in one frame.
    """
    await context.abort(status_code(end.status), end.details, from_frame(end.trailers))


def _set_status(context: Context, end: End) -> None:
    if end.trailers:
        context.set_trailing_metadata(from_frame(end.trailers))
    if end.status:
        context.set_code(status_code(end.status))
    if end.details:
        context.set_details(end.details)
