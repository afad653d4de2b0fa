"""The process that only attaches: many workers or streams, without a call for any of them.

Run as `python -m bench.attaching portcall|grpc ADDRESS COUNT`. Each has a connection of its own, as if each came from a
machine of its own. `portcall` attaches workers; `grpc` opens the bidirectional `Chat` method of a plain server, and
leaves it open after one message each way.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

import portcall
from bench.echo_pb2 import Payload
from bench.service import EchoStub, add_echo
from bench.serving import say

AT_ONCE = 32
"""How many come at the same time, so that no handshake has to wait long."""


async def attach_worker(address: str) -> Any:
    """Attach a worker; return it, since it stays only as long as it is held."""
    worker = portcall.Worker(address)
    add_echo(worker)
    await worker.start()
    return worker


async def open_stream(address: str) -> Any:
    """Open a stream on a connection of its own; return it, since it stays only as long as it is held."""
    # Without this option, channels to one address share one connection.
    channel = grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),))
    call = EchoStub(channel).Chat()
    await call.write(Payload(data=b"hello"))
    await call.read()
    return channel, call


async def attach_all(attach: Callable[[str], Awaitable[Any]], address: str, count: int) -> list[Any]:
    """Attach so many, a few at a time."""
    place = asyncio.Semaphore(AT_ONCE)

    async def attach_in_turn() -> Any:
        async with place:
            return await attach(address)

    return await asyncio.gather(*(attach_in_turn() for _ in range(count)))


async def main() -> None:
    """Attach, say so, and stay."""
    kind, address, count = sys.argv[1:]
    held = await attach_all(attach_worker if kind == "portcall" else open_stream, address, int(count))
    say({"attached": len(held)})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
