"""The methods of `cargo` behind a plain gRPC server with reflection: `python cargo_server.py ADDRESS`."""

import asyncio
import sys

import cargo
import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection

SERVICE = "acceptance.Cargo"


def described() -> DescriptorPool:
    """Return a pool with the service in it."""
    file = FileDescriptorProto(name="cargo.proto", package="acceptance", syntax="proto3")
    file.message_type.add(name="Bytes")
    service = file.service.add(name="Cargo")
    for name, handler in cargo.HANDLERS.items():
        kind = ".acceptance.Bytes"
        service.method.add(name=name, input_type=kind, output_type=kind, server_streaming=handler.response_streaming)
    pool = DescriptorPool()
    pool.Add(file)
    return pool


async def main() -> None:
    """Serve until the process is ended, or whoever started it."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, cargo.HANDLERS),))
    reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server, pool=described())
    server.add_insecure_port(sys.argv[1])
    await server.start()
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


asyncio.run(main())
