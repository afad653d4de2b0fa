"""`portcall worker --processes`: its options, and the supervisor that it runs."""

import asyncio
import logging
import os
import sys
from pathlib import Path

import click

from portcall.cli.apps import parse_reference
from portcall.cli.exits import EXIT_DONE, EXIT_MISTAKE, FailedError
from portcall.cli.health import answering_health
from portcall.cli.options import Decorator, Function, HubOptions, count, seconds, setting, size, start_logging
from portcall.cli.process import ProcessTask, process_command
from portcall.worker.processes import AppFailedError, CrewRules, Supervisor, SupervisorConfig
from portcall.worker.processes.machine import usable_cores

logger = logging.getLogger("portcall.cli")

AUTO = "auto"

_RULES = CrewRules()


def process_count(value: object) -> int:
    """Read how many processes: a whole number, or "auto" for as many as there are cores. A type for `click.option`."""
    try:
        return usable_cores() if str(value).lower() == AUTO else count(value)
    except click.BadParameter:
        raise click.BadParameter(f"{value!r} is neither a whole number, 1 or more, nor {AUTO}") from None


def processes_options(function: Function) -> Function:
    """Add the options of a supervisor."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS: tuple[Decorator, ...] = (
    setting(
        "--processes",
        "Run the calls in N processes of a supervisor; auto: one for each core.",
        type=process_count,
        metavar="N|auto",
        variable="PORTCALL_WORKER_PROCESSES",
        shown="one process, no supervisor",
    ),
    setting(
        "--hang-limit",
        "How long a call may go on after its deadline or its caller's cancel before its process is replaced; 0: for"
        " ever.",
        type=seconds,
        metavar="S",
        variable="PORTCALL_WORKER_HANG_LIMIT",
        shown=f"{_RULES.hang_limit_s:g}",
    ),
    setting(
        "--max-memory",
        "Replace a process that uses more memory than this, as in 512M.",
        type=size,
        metavar="SIZE",
        variable="PORTCALL_WORKER_MAX_MEMORY",
        shown="no limit",
    ),
    setting(
        "--max-calls",
        "Replace a process that has ended so many calls.",
        type=count,
        metavar="N",
        variable="PORTCALL_WORKER_MAX_CALLS",
        shown="no limit",
    ),
    setting(
        "--blocked-after",
        "How long a process may be silent before it gets no new calls.",
        type=seconds,
        metavar="S",
        variable="PORTCALL_WORKER_BLOCKED_AFTER",
        shown=f"{_RULES.blocked_after_s:g}",
    ),
)


def crew_rules(
    *,
    processes: int | None,
    grace_s: float,
    hang_limit: float | None,
    max_memory: int | None,
    max_calls: int | None,
    blocked_after: float | None,
) -> CrewRules | None:
    """Return the rules that the options make, or None for a worker without a supervisor.

    Raises:
        click.UsageError: an option that only a supervisor can follow.
    """
    if processes is None:
        given = {
            "--hang-limit": hang_limit,
            "--max-memory": max_memory,
            "--max-calls": max_calls,
            "--blocked-after": blocked_after,
        }
        for name, value in given.items():
            if value is not None:
                raise click.UsageError(f"{name} needs --processes: only a supervisor can replace a process")
        return None
    return CrewRules(
        processes=processes,
        grace_s=grace_s,
        hang_limit_s=_RULES.hang_limit_s if hang_limit is None else hang_limit,
        memory_bytes_max=max_memory,
        calls_max=max_calls,
        blocked_after_s=_RULES.blocked_after_s if blocked_after is None else blocked_after,
    )


def supervise(
    app: str, options: HubOptions, *, slots: int | None, name: str | None, rules: CrewRules, log_level: str
) -> int:
    """Run a worker in several processes until it is told to stop; return the exit code.

    Raises:
        FailedError: the first process ended before it could take calls.
    """
    parse_reference(app, Path.cwd())
    start_logging(log_level)
    task = ProcessTask(app=app, slots=slots, log_level=log_level, supervisor=os.getpid(), path=sys.path[0])
    config = SupervisorConfig(command=process_command(task), rules=rules)
    try:
        asyncio.run(_supervise(app, config, options, name))
    except AppFailedError as error:
        if not error.is_mistake:
            raise FailedError(str(error)) from None
        return EXIT_MISTAKE
    return EXIT_DONE


async def _supervise(app: str, config: SupervisorConfig, options: HubOptions, name: str | None) -> None:
    supervisor = Supervisor(config, options.hub, name=name)
    supervisor.token, supervisor.tls, supervisor.insecure = options.token_file, options.tls, options.is_insecure
    try:
        await supervisor.load()
        logger.info(
            "Worker %s with %d processes of %d slots dials the hub at %s",
            app,
            config.rules.processes,
            supervisor.slots,
            supervisor.access().target,
        )
        async with answering_health(lambda: supervisor.is_attached):
            await supervisor.run(grace_s=config.rules.grace_s)
    finally:
        await supervisor.close()
