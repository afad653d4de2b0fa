"""The reference servicer behind grpcio's blocking server, with what a call's metadata may ask for; see `README.md`."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

from interop.service import SERVICE, registers
from interop.servicers import ThreadServicer

THREADS = 32
CAN_BE_TOLD = 1e6
"""A call without a deadline has far more seconds left than this."""


class BlockingServicer(ThreadServicer):
    def __init__(self) -> None:
        self._cancelled = 0

    def UnaryCall(self, request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        asked = dict(context.invocation_metadata())
        if "x-tell-time-left" in asked:
            left = context.time_remaining()
            told = "none" if left is None or left > CAN_BE_TOLD else str(int(left * 1_000))
            context.send_initial_metadata((("x-time-left-ms", told),))
        if "x-tell-cancelled" in asked:
            context.send_initial_metadata((("x-cancelled", str(self._cancelled)),))
        if "x-send-status-details-bin" in asked:
            context.set_trailing_metadata((("grpc-status-details-bin", asked["x-send-status-details-bin"]),))
        repeated = [entry for entry in context.invocation_metadata() if entry[0] == "x-echo-trailing-bin"]
        if len(repeated) > 1:
            context.set_trailing_metadata(tuple(repeated))
            return UnaryReply()
        if "x-hang" not in asked:
            return super().UnaryCall(request, context)
        if "x-echo-initial" in asked:
            context.send_initial_metadata((("x-echo-initial", asked["x-echo-initial"]),))
        self._hang(context)
        return UnaryReply()

    def StreamingOutputCall(self, request: StreamRequest, context: grpc.ServicerContext) -> Iterator[StreamReply]:
        if "x-hang" in dict(context.invocation_metadata()):
            context.send_initial_metadata(())
            self._hang(context)
        else:
            yield from super().StreamingOutputCall(request, context)

    def _hang(self, context: grpc.ServicerContext) -> None:
        is_over = threading.Event()
        if context.add_callback(is_over.set):
            is_over.wait()
        self._cancelled += 1


@contextmanager
def blocking_server() -> Iterator[str]:
    """Serve on a free port of this process; give the address."""
    server = grpc.server(ThreadPoolExecutor(THREADS), options=[("grpc.max_receive_message_length", -1)])
    registers(BlockingServicer())(server)  # type: ignore[arg-type]  # a blocking server takes the same servicers
    healthy = health.HealthServicer()
    healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
