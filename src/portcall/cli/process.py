"""One process of `portcall worker --processes`: loads the app, and serves it to the supervisor that started this.

Not for people: `process_command` says what it takes.
"""

import asyncio
import json
import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from portcall.cli.apps import load_worker, parse_reference
from portcall.cli.collector import tune_collector
from portcall.cli.ending import exit_within, heed_sigterm
from portcall.cli.exits import EXIT_DONE, report_error
from portcall.cli.options import start_logging
from portcall.errors import PortcallError
from portcall.worker import Worker
from portcall.worker.processes.serving import die_with, serve

LEAVE_S = 5.0
"""How long handlers that were cancelled in vain may still hold up a process that was told to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTask:
    """What a process is to do, as its supervisor was told to."""

    app: str
    slots: int | None
    log_level: str
    supervisor: int
    """Its process id."""

    path: str
    """First of its `sys.path`: where apps find what is beside the command that they are run by."""


def process_command(task: ProcessTask) -> tuple[str, ...]:
    """Return the command that starts a process; the files of its socket and its mark are added to it."""
    # -P: modules of the current directory must not come before Python's own.
    return (sys.executable, "-P", "-m", "portcall.cli.process", json.dumps(asdict(task)))


def main() -> None:
    """Be such a process."""
    task = ProcessTask(**json.loads(sys.argv[1]))
    files = [int(argument) for argument in sys.argv[2:]]
    sys.argv = [sys.argv[0]]
    die_with(task.supervisor)
    for file in files:
        os.set_inheritable(file, False)
    heed_sigterm()
    code = _run(task, *files)
    exit_within(LEAVE_S, code)
    sys.exit(code)


def _run(task: ProcessTask, end: int, memory: int) -> int:
    if task.path not in sys.path:
        sys.path.insert(0, task.path)
    try:
        loaded = load_worker(parse_reference(task.app, Path.cwd()))
        start_logging(task.log_level, mark=f"[{os.getpid()}]")
        loaded.slots = loaded.slots if task.slots is None else task.slots
        asyncio.run(_serve(loaded, end, memory))
    except KeyboardInterrupt:
        return EXIT_DONE
    except PortcallError as error:
        return report_error(error)
    return EXIT_DONE


async def _serve(loaded: Worker, end: int, memory: int) -> None:
    tune_collector()
    await serve(loaded, socket.socket(fileno=end), memory)
    # What follows, the loop's end and the interpreter's, waits for every thread of the app's own, for ever if need be.
    exit_within(LEAVE_S, EXIT_DONE)


if __name__ == "__main__":
    main()
