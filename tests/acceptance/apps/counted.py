"""A client that reads a stream for ever: `python counted.py native|channel ADDRESS REQUEST`."""

import asyncio
import sys

import grpc

import portcall


async def read_for_ever(way: str, address: str, request: bytes) -> None:
    async with portcall.Channel(address) if way == "channel" else grpc.aio.insecure_channel(address) as channel:
        async for reply in channel.unary_stream("/acceptance.Ledger/Count")(request):
            print(reply.decode(), flush=True)  # noqa: T201


asyncio.run(read_for_ever(sys.argv[1], sys.argv[2], sys.argv[3].encode()))
