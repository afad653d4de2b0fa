"""`portcall worker`."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import click

from portcall.cli.apps import load_worker, parse_reference
from portcall.cli.collector import tune_collector
from portcall.cli.ending import exit_within
from portcall.cli.exits import EXIT_DONE
from portcall.cli.health import answering_health
from portcall.cli.options import (
    HubOptions,
    count,
    exit_with_stdin,
    hub_options,
    log_level,
    seconds,
    setting,
    start_logging,
)
from portcall.cli.supervision import crew_rules, processes_options, supervise
from portcall.worker import Worker
from portcall.worker.server import GRACE_S_DEFAULT

logger = logging.getLogger("portcall.cli")

LEAVE_S = 5.0
"""How long handlers that were cancelled in vain may still hold up a worker that has drained."""


@click.command(
    epilog="""\b
Examples:
  portcall worker app:worker                          worker in app.py
  portcall worker greet.app:make --slots 8            what make() returns
  portcall worker services/greet.py --hub hub:7070    worker in that file
  portcall worker app:worker --processes auto         a process for each core

The first SIGTERM or Ctrl-C drains: the worker takes no new calls, and those that it runs have --grace seconds to
finish. The second one stops at once. A hub that is away is dialled until it is back."""
)
@click.argument("app", metavar="APP[:OBJECT]")
@hub_options
@setting(
    "--slots",
    "How many calls to take at once, in each process.",
    type=count,
    metavar="N",
    variable="PORTCALL_WORKER_SLOTS",
    shown="what the app says",
)
@setting(
    "--name",
    "How the fleet shall call it.",
    metavar="NAME",
    variable="PORTCALL_WORKER_NAME",
    shown="what the app says, or HOST-PID",
)
@setting(
    "--grace",
    "When told to stop, how long the calls that run may take to finish.",
    type=seconds,
    metavar="S",
    default=GRACE_S_DEFAULT,
    variable="PORTCALL_WORKER_GRACE",
)
@processes_options
@log_level("PORTCALL_WORKER_LOG_LEVEL")
@exit_with_stdin
def worker(
    *,
    app: str,
    options: HubOptions,
    slots: int | None,
    name: str | None,
    grace: float,
    log_level: str,
    **supervision: Any,
) -> int:
    """Run a worker, which serves the methods of your app.

    APP is a module, looked for in the current directory first, or a Python file. OBJECT is a portcall.Worker in it, or
    a function that returns one; without it, `worker`.

    With --processes, a supervisor spreads the calls over processes and replaces those that die, hang or leak. The four
    options that follow it say when.
    """
    rules = crew_rules(grace_s=grace, **supervision)
    if rules is not None:
        return supervise(app, options, slots=slots, name=name, rules=rules, log_level=log_level)
    loaded = load_worker(parse_reference(app, Path.cwd()))
    start_logging(log_level)
    loaded.hub = loaded.hub if options.hub is None else options.hub
    loaded.token = loaded.token if options.token_file is None else options.token_file
    loaded.tls = loaded.tls if options.tls is None else options.tls
    loaded.insecure = loaded.insecure if options.is_insecure is None else options.is_insecure
    loaded.slots = loaded.slots if slots is None else slots
    loaded.name = loaded.name if name is None else name
    loaded.hello()  # says what is wrong with the app before anything is dialled
    logger.info("Worker %s with %d slots dials the hub at %s", app, loaded.slots, loaded.access().target)
    asyncio.run(_serve(loaded, grace_s=grace))
    return EXIT_DONE


async def _serve(loaded: Worker, *, grace_s: float) -> None:
    tune_collector()
    async with answering_health(lambda: loaded.is_attached):
        await loaded.run(grace_s=grace_s)
    # What follows, the loop's end and the interpreter's, waits for every thread of the app's own, for ever if need be.
    exit_within(LEAVE_S, EXIT_DONE)
