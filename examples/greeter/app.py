"""Standard grpcio code. The only unusual line is the one that makes the server."""

from greet_pb2 import HelloReply
from greet_pb2_grpc import GreeterServicer, add_GreeterServicer_to_server

import portcall


class Greeter(GreeterServicer):
    async def SayHello(self, request, context):
        return HelloReply(message=f"Hello {request.name}")


worker = portcall.Worker()  # was: grpc.aio.server()
add_GreeterServicer_to_server(Greeter(), worker)
