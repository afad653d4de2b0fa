"""The standard stub on a Portcall channel."""

import asyncio

from greet_pb2 import HelloRequest
from greet_pb2_grpc import GreeterStub

import portcall


async def main():
    async with portcall.Channel() as channel:  # was: grpc.aio.insecure_channel(...)
        greeter = GreeterStub(channel)
        print((await greeter.SayHello(HelloRequest(name="Ada"))).message)
        names = (HelloRequest(name=name) for name in ("Grace", "Edsger", "Barbara"))
        async for reply in greeter.SayHello.map(names):  # fan out over the fleet
            print(reply.message)


asyncio.run(main())
