"""The process that calls: takes loads from standard input, a line of JSON each, and answers with their results.

Run as `python -m bench.calling grpc|portcall ADDRESS`.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

import grpc

from bench.loads import Load, perform
from bench.service import EchoStub
from bench.serving import say


def open_channel(kind: str, address: str) -> Any:
    """Return grpcio's channel or Portcall's, as anyone would open it."""
    if kind == "grpc":
        return grpc.aio.insecure_channel(address)
    # Imported here, so that a plain gRPC client is one.
    import portcall  # noqa: PLC0415

    return portcall.Channel(address)


async def main() -> None:
    """Perform loads until standard input ends."""
    kind, address = sys.argv[1:]
    async with open_channel(kind, address) as channel:
        stub = EchoStub(channel)
        say({})
        while line := await asyncio.to_thread(sys.stdin.readline):
            result = await perform(stub, Load(**json.loads(line)))
            say(asdict(result))


if __name__ == "__main__":
    asyncio.run(main())
