"""The process that serves `Echo`: behind a gRPC server of its own, or as a worker of a hub; or that is such a server's
sidecar.

Run as `python -m bench.serving grpc`, `python -m bench.serving portcall HUB` or `python -m bench.serving sidecar HUB
UPSTREAM`.
"""

import asyncio
import json
import sys

import grpc
from grpc_reflection.v1alpha import reflection

from bench.service import SERVICE, add_echo


def say(answer: dict[str, object]) -> None:
    """Write one line of JSON for the process that started this one."""
    print(json.dumps(answer), flush=True)


async def serve_directly() -> None:
    """Serve as any gRPC server does."""
    server = grpc.aio.server()
    add_echo(server)
    reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    say({"address": f"127.0.0.1:{port}"})
    await server.wait_for_termination()


async def serve_through(hub: str) -> None:
    """Serve as a worker."""
    # Imported here, so that a plain gRPC server is one.
    import portcall  # noqa: PLC0415

    worker = portcall.Worker(hub)
    add_echo(worker)
    await worker.start()
    say({})
    await worker.wait_for_termination()


async def stand_beside(upstream: str, hub: str) -> None:
    """Bring a server into the fleet."""
    from portcall.worker.sidecar import Sidecar, SidecarConfig  # noqa: PLC0415

    sidecar = Sidecar(SidecarConfig(upstream=upstream, hub=hub))
    await sidecar.start()
    say({})
    await asyncio.Event().wait()


async def main() -> None:
    """Serve until the process is ended."""
    match sys.argv[1:]:
        case ["grpc"]:
            await serve_directly()
        case ["portcall", hub]:
            await serve_through(hub)
        case ["sidecar", hub, upstream]:
            await stand_beside(upstream, hub)


if __name__ == "__main__":
    asyncio.run(main())
