"""The service that is called: handlers as one writes them for `grpc.aio`, and a typed stub.

The same code serves behind `grpc.aio.server()` and behind `portcall.Worker`, and the same stub calls by either channel.
"""

import asyncio
from collections.abc import AsyncIterator
from time import thread_time
from typing import Any, TypeAlias

import grpc

from bench.echo_pb2 import DownloadRequest, HoldRequest, Payload

SERVICE = "bench.Echo"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Echo:
    """The servicer."""

    async def Unary(self, request: Payload, context: Context) -> Payload:
        """Return the request."""
        return Payload(data=request.data)

    async def Hold(self, request: HoldRequest, context: Context) -> Payload:
        """Return the request's data after a while."""
        await asyncio.sleep(request.hold_ms / 1e3)
        return Payload(data=request.data)

    async def Compute(self, request: HoldRequest, context: Context) -> Payload:
        """Return the request's data after so much time of this thread's."""
        until = thread_time() + request.hold_ms / 1e3
        while thread_time() < until:
            pass
        return Payload(data=request.data)

    async def Download(self, request: DownloadRequest, context: Context) -> AsyncIterator[Payload]:
        """Send as many messages as were asked for."""
        data = bytes(request.message_bytes)
        for _ in range(request.messages):
            yield Payload(data=data)

    async def Chat(self, requests: AsyncIterator[Payload], context: Context) -> AsyncIterator[Payload]:
        """Return each message as it comes."""
        async for request in requests:
            yield Payload(data=request.data)


def add_echo(server: grpc.aio.Server) -> None:
    """Serve `Echo`: what a generated `add_EchoServicer_to_server` does."""
    echo = Echo()
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Unary": grpc.unary_unary_rpc_method_handler(
            echo.Unary, request_deserializer=Payload.FromString, response_serializer=Payload.SerializeToString
        ),
        "Hold": grpc.unary_unary_rpc_method_handler(
            echo.Hold, request_deserializer=HoldRequest.FromString, response_serializer=Payload.SerializeToString
        ),
        "Compute": grpc.unary_unary_rpc_method_handler(
            echo.Compute, request_deserializer=HoldRequest.FromString, response_serializer=Payload.SerializeToString
        ),
        "Download": grpc.unary_stream_rpc_method_handler(
            echo.Download,
            request_deserializer=DownloadRequest.FromString,
            response_serializer=Payload.SerializeToString,
        ),
        "Chat": grpc.stream_stream_rpc_method_handler(
            echo.Chat, request_deserializer=Payload.FromString, response_serializer=Payload.SerializeToString
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


class EchoStub:
    """Calls `Echo`: what a generated stub does."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.Unary: Any = channel.unary_unary(
            f"/{SERVICE}/Unary",
            request_serializer=Payload.SerializeToString,
            response_deserializer=Payload.FromString,
        )
        self.Hold: Any = channel.unary_unary(
            f"/{SERVICE}/Hold",
            request_serializer=HoldRequest.SerializeToString,
            response_deserializer=Payload.FromString,
        )
        self.Compute: Any = channel.unary_unary(
            f"/{SERVICE}/Compute",
            request_serializer=HoldRequest.SerializeToString,
            response_deserializer=Payload.FromString,
        )
        self.Download: Any = channel.unary_stream(
            f"/{SERVICE}/Download",
            request_serializer=DownloadRequest.SerializeToString,
            response_deserializer=Payload.FromString,
        )
        self.Chat: Any = channel.stream_stream(
            f"/{SERVICE}/Chat",
            request_serializer=Payload.SerializeToString,
            response_deserializer=Payload.FromString,
        )
