"""The process that serves `Echo`: behind a gRPC server of its own, or as a worker of a hub.

Run as `python -m bench.serving grpc` or `python -m bench.serving portcall ADDRESS`.
"""

import asyncio
import json
import sys

import grpc

from bench.service import add_echo


def say(answer: dict[str, object]) -> None:
    """Write one line of JSON for the process that started this one."""
    print(json.dumps(answer), flush=True)


async def serve_directly() -> None:
    """Serve as any gRPC server does."""
    server = grpc.aio.server()
    add_echo(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    say({"address": f"127.0.0.1:{port}"})
    await server.wait_for_termination()


async def serve_through(hub: str) -> None:
    """Serve as a worker, as `portcall worker` runs it."""
    # Imported here, so that a plain gRPC server is one.
    import portcall  # noqa: PLC0415
    from portcall.cli.main import set_grpc_up  # noqa: PLC0415

    set_grpc_up()
    worker = portcall.Worker(hub)
    add_echo(worker)
    await worker.start()
    say({})
    await worker.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve_directly() if sys.argv[1] == "grpc" else serve_through(sys.argv[2]))
