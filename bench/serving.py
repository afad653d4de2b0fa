"""The process that serves `Echo`: behind a gRPC server of its own, or as a worker of a hub.

Run as `python -m bench.serving grpc`, `python -m bench.serving portcall ADDRESS` or, for a worker with a supervisor,
`python -m bench.serving processes ADDRESS COUNT`.
"""

import asyncio
import json
import os
import sys
from typing import Any

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


def make_worker(hub: str | None = None) -> Any:
    """Return a worker; the processes of a supervisor call this too."""
    # Imported here, so that a plain gRPC server is one.
    import portcall  # noqa: PLC0415

    worker = portcall.Worker(hub)
    add_echo(worker)
    return worker


async def serve_through(hub: str) -> None:
    """Serve as a worker."""
    worker = make_worker(hub)
    await worker.start()
    say({})
    await worker.wait_for_termination()


async def serve_in_processes(hub: str, count: int) -> None:
    """Serve as a worker in so many processes."""
    from portcall.cli.process import ProcessTask, process_command  # noqa: PLC0415
    from portcall.worker.processes import CrewRules, Supervisor, SupervisorConfig  # noqa: PLC0415

    app = "bench.serving:make_worker"
    task = ProcessTask(app=app, slots=None, log_level="warning", supervisor=os.getpid(), path=sys.path[0])
    supervisor = Supervisor(SupervisorConfig(command=process_command(task), hub=hub, rules=CrewRules(processes=count)))
    await supervisor.load()
    await supervisor.start()
    await supervisor.wait_complete()
    say({})
    await supervisor.wait_for_termination()


async def main() -> None:
    """Serve as the command line says."""
    match sys.argv[1:]:
        case ["portcall", hub]:
            await serve_through(hub)
        case ["processes", hub, count]:
            await serve_in_processes(hub, int(count))
        case _:
            await serve_directly()


if __name__ == "__main__":
    asyncio.run(main())
