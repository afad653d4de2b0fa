"""The generated code of `interop.proto`, with the types that protoc leaves out."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, cast

import grpc
import interop_pb2_grpc
from interop_pb2 import Empty, InputReply, StreamReply, StreamRequest, UnaryReply, UnaryRequest

Register: TypeAlias = Callable[[grpc.aio.Server], None]
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

SERVICE = "interop.Interop"


class InteropStub(Protocol):
    EmptyCall: grpc.aio.UnaryUnaryMultiCallable[Empty, Empty]
    UnaryCall: grpc.aio.UnaryUnaryMultiCallable[UnaryRequest, UnaryReply]
    StreamingOutputCall: grpc.aio.UnaryStreamMultiCallable[StreamRequest, StreamReply]
    StreamingInputCall: grpc.aio.StreamUnaryMultiCallable[StreamRequest, InputReply]
    FullDuplexCall: grpc.aio.StreamStreamMultiCallable[StreamRequest, StreamReply]
    HalfDuplexCall: grpc.aio.StreamStreamMultiCallable[StreamRequest, StreamReply]
    UnimplementedCall: grpc.aio.UnaryUnaryMultiCallable[Empty, Empty]


class UnregisteredStub(Protocol):
    UnimplementedCall: grpc.aio.UnaryUnaryMultiCallable[Empty, Empty]


def interop_stub(channel: grpc.aio.Channel) -> InteropStub:
    return cast("InteropStub", interop_pb2_grpc.InteropStub(channel))  # type: ignore[no-untyped-call]


def unregistered_stub(channel: grpc.aio.Channel) -> UnregisteredStub:
    return cast("UnregisteredStub", interop_pb2_grpc.UnregisteredStub(channel))  # type: ignore[no-untyped-call]


def when_done(context: Context, callback: Callable[[Context], None]) -> None:
    """`context.add_done_callback`, for which grpc's stubs take no function."""
    context.add_done_callback(callback)  # type: ignore[arg-type]


def registers(servicer: interop_pb2_grpc.InteropServicer) -> Register:
    """What adds `servicer` to a server, by the generated code's own function."""

    def register(server: grpc.aio.Server) -> None:
        interop_pb2_grpc.add_InteropServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]

    return register
