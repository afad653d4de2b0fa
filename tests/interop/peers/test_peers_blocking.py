"""What a program that blocks gets of a peer: rich errors, deadlines and cancellation; beyond the published cases."""

from typing import Any

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from interop_pb2 import EchoStatus, StreamRequest, UnaryRequest

from interop.blocking import Use, blocking_stub

ASKED_TO_HANG = (("x-hang", "yes"),)


def told(stub: Any, question: str, answer: str, **options: Any) -> str:
    """What the peer says in its initial metadata."""
    _, call = stub.UnaryCall.with_call(UnaryRequest(), metadata=((question, "yes"),), **options)
    return str(dict(call.initial_metadata())[answer])


async def test_rich_error(blocking: Use) -> None:
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="a bad ☺ request")
    status.details.add().Pack(error_details_pb2.BadRequest())

    def use(channel: grpc.Channel) -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            blocking_stub(channel).UnaryCall(
                UnaryRequest(status=EchoStatus(code=code_pb2.INVALID_ARGUMENT, details=status.message)),
                metadata=(("x-send-status-details-bin", status.SerializeToString()),),
            )
        return caught.value

    assert rpc_status.from_call(await blocking(use)) == status


async def test_deadline_reaches_the_server(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> None:
        stub = blocking_stub(channel)
        limited = told(stub, "x-tell-time-left", "x-time-left-ms", timeout=3_600)
        assert 3_000_000 < int(limited) < 3_700_000  # gRPC rounds long ones
        assert told(stub, "x-tell-time-left", "x-time-left-ms") == "none"

    await blocking(use)


async def test_deadline_ends_the_call(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            blocking_stub(channel).UnaryCall(UnaryRequest(), metadata=ASKED_TO_HANG, timeout=0.05)
        return caught.value

    assert (await blocking(use)).code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_cancellation_reaches_the_server(blocking: Use) -> None:
    def use(channel: grpc.Channel) -> None:
        stub = blocking_stub(channel)

        def cancelled() -> int:
            return int(told(stub, "x-tell-cancelled", "x-cancelled"))

        before = cancelled()
        call = stub.StreamingOutputCall(StreamRequest(), metadata=ASKED_TO_HANG)
        call.initial_metadata()
        call.cancel()
        while cancelled() == before:
            pass

    await blocking(use)
