"""The standard stub in a script: no asyncio."""

from greet_pb2 import HelloRequest
from greet_pb2_grpc import GreeterStub

import portcall

with portcall.sync.Channel() as channel:  # was: grpc.insecure_channel(...)
    greeter = GreeterStub(channel)
    print(greeter.SayHello(HelloRequest(name="Ada")).message)
    names = (HelloRequest(name=name) for name in ("Grace", "Edsger", "Barbara"))
    for reply in greeter.SayHello.map(names):  # fan out over the fleet
        print(reply.message)
