"""Run as `python -m bench.serving grpc`, `portcall HUB`, `processes HUB COUNT` or `sidecar HUB UPSTREAM`: a server.

`portcall` is a worker as `portcall worker` runs it, `processes` the same with `--processes`, `grpc` a server as grpcio
makes it. What gRPC's core is like is settled when it is imported, so each imports it for itself.
"""

import asyncio
import json
import os
import sys
from typing import Any


def say(answer: dict[str, object]) -> None:
    """Tell the benchmark that all is ready."""
    print(json.dumps(answer), flush=True)


async def serve_directly() -> None:
    """Serve as any gRPC server does."""
    import grpc  # noqa: PLC0415
    from grpc_reflection.v1alpha import reflection  # noqa: PLC0415

    from bench.service import SERVICE, add_echo  # noqa: PLC0415

    server = grpc.aio.server()
    add_echo(server)
    reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    say({"address": f"127.0.0.1:{port}"})
    await server.wait_for_termination()


def make_worker(hub: str | None = None) -> Any:
    """Return a worker; the processes of a supervisor call this too."""
    from portcall.cli.main import set_grpc_up  # noqa: PLC0415

    set_grpc_up()
    import portcall  # noqa: PLC0415
    from bench.service import add_echo  # noqa: PLC0415

    worker = portcall.Worker(hub)
    add_echo(worker)
    return worker


async def serve_through(hub: str) -> None:
    """Serve as a worker."""
    worker = make_worker(hub)
    from portcall.cli.collector import tune_collector  # noqa: PLC0415

    tune_collector()
    await worker.start()
    say({})
    await worker.wait_for_termination()


async def serve_in_processes(hub: str, count: int) -> None:
    """Serve as a worker in so many processes."""
    from portcall.cli.process import ProcessTask, process_command  # noqa: PLC0415
    from portcall.worker.processes import CrewRules, Supervisor, SupervisorConfig  # noqa: PLC0415

    app = "bench.serving:make_worker"
    task = ProcessTask(app=app, slots=None, log_level="warning", supervisor=os.getpid(), path=sys.path[0])
    supervisor = Supervisor(SupervisorConfig(command=process_command(task), rules=CrewRules(processes=count)), hub)
    await supervisor.load()
    await supervisor.start()
    await supervisor.wait_complete()
    say({})
    await supervisor.wait_for_termination()


async def stand_beside(upstream: str, hub: str) -> None:
    """Bring a server into the fleet, as `portcall attach` does."""
    from portcall.cli.main import set_grpc_up  # noqa: PLC0415

    set_grpc_up()
    from portcall.wire.access import resolve_access  # noqa: PLC0415
    from portcall.worker.sidecar import Sidecar, SidecarConfig  # noqa: PLC0415

    sidecar = Sidecar(SidecarConfig(upstream=upstream, access=resolve_access(hub)))
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
        case ["processes", hub, count]:
            await serve_in_processes(hub, int(count))
        case ["sidecar", hub, upstream]:
            await stand_beside(upstream, hub)


if __name__ == "__main__":
    asyncio.run(main())
