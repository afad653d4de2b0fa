"""The harbour's service on either way: a plain gRPC server, or a worker behind a hub."""

from collections.abc import Sequence

import grpc
import harbour_pb2_grpc
from grpc_reflection.v1alpha import reflection
from harbour_port import Port

import portcall

from .stage import Stage

SERVICE = "harbour.Port"


async def serve(stage: Stage, *handlers: grpc.GenericRpcHandler, reflects: Sequence[str] = ()) -> str:
    """Start a plain server with the harbour's service and these handlers; return its address."""
    server = grpc.aio.server()
    harbour_pb2_grpc.add_PortServicer_to_server(Port(), server)  # type: ignore[no-untyped-call]
    server.add_generic_rpc_handlers(handlers)
    if reflects:
        reflection.enable_server_reflection(reflects, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    stage.on_exit(lambda: server.stop(None))
    return address


async def attach(stage: Stage) -> str:
    """Start a hub and a worker with the harbour's service; return the hub's address."""
    hub = await stage.hub()
    worker = portcall.Worker(hub.address)
    harbour_pb2_grpc.add_PortServicer_to_server(Port(), worker)  # type: ignore[no-untyped-call]
    await worker.start()
    stage.on_exit(worker.stop)
    return hub.address
