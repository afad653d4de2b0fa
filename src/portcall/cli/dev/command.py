"""`portcall dev`."""

import asyncio
import os
import signal
from datetime import datetime
from pathlib import Path

import click

from portcall.cli.apps import parse_reference
from portcall.cli.dev.lines import Printer
from portcall.cli.dev.server import DevPlan, DevServer
from portcall.cli.ending import until_signalled
from portcall.cli.options import as_json, exit_with_stdin, file_path, log_level, seconds, setting, start_logging
from portcall.cli.output import console
from portcall.cli.settings.configuration import exported
from portcall.contract.compile import CompileRequest
from portcall.contract.installed import installed_protos
from portcall.core.jobs.options import option_faults
from portcall.core.limits import CallLimits
from portcall.hub import Hub, HubConfig
from portcall.hub.config import check_listen_address

GRACE_S_DEFAULT = 1.0

WORKER_WAIT_S = 10.0
"""How long a call waits for a worker: a reload's time, and then some for a mistake to be mended."""

LINK_GRACE_S = 1.0
"""How long a link may stay away: on one machine a worker whose link drops has most likely crashed."""

_CONFIG = HubConfig()


@click.command(
    epilog="""\b
Examples:
  portcall dev app:worker                              worker in app.py
  portcall dev app:worker --protos protos --out src    compile, too
  portcall dev app:worker --listen 127.0.0.1:0         on any free port
  portcall dev app:worker --store jobs.db              keep jobs, too
  portcall dev app:worker --json | jq .status

A line for each call, once it has ended: time, method, kind, status, duration, what went each way, caller. Calls that
come during a reload wait for it. When the app fails, its traceback is shown, and the next change starts it again.
Ctrl-C ends all."""
)
@click.argument("app", metavar="APP[:OBJECT]")
@setting(
    "--listen",
    "Where the hub listens; port 0 takes any free one. Also unix:PATH.",
    metavar="HOST:PORT",
    default=_CONFIG.listen,
    variable="PORTCALL_DEV_LISTEN",
)
@setting(
    "--insecure",
    "Listen beyond this machine although nothing is encrypted and nobody has to prove who they are.",
    is_flag=True,
    default=False,
    variable="PORTCALL_DEV_INSECURE",
)
@setting(
    "--store",
    "File to keep jobs in, so that methods can be submitted, too; made if it is not there.",
    type=file_path,
    metavar="FILE",
    shown="no jobs",
    variable="PORTCALL_DEV_STORE",
)
@setting(
    "--watch-dir",
    "One more folder whose .py files start the app anew; also more than once.",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    multiple=True,
    variable="PORTCALL_DEV_WATCH_DIR",
    shown="the app's own",
)
@setting(
    "--protos",
    "A folder of .proto files, or one file, to compile; also more than once.",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    multiple=True,
    variable="PORTCALL_DEV_PROTOS",
    shown="none",
)
@setting(
    "--include",
    "A folder that imports of .proto files begin at; also more than once.",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    multiple=True,
    variable="PORTCALL_DEV_INCLUDE",
    shown="none",
)
@setting(
    "--out",
    "Where the code of --protos goes.",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    variable="PORTCALL_DEV_OUT",
    shown="beside the files",
)
@setting(
    "--grace",
    "At a reload, how long the calls that run may take to finish.",
    type=seconds,
    metavar="S",
    default=GRACE_S_DEFAULT,
    variable="PORTCALL_DEV_GRACE",
)
@log_level("PORTCALL_DEV_LOG_LEVEL", default="warning")
@as_json
@exit_with_stdin
def dev(
    *,
    app: str,
    listen: str,
    insecure: bool,
    store: Path | None,
    watch_dir: tuple[Path, ...],
    protos: tuple[Path, ...],
    include: tuple[Path, ...],
    out: Path | None,
    grace: float,
    log_level: str,
    is_json: bool,
) -> None:
    """Run a hub and your app, reload it when it changes, and show each call.

    APP is a module, looked for in the current directory first, or a Python file. OBJECT is a portcall.Worker in it, or
    a function that returns one; without it, `worker`. All .py files below the app's folder are watched.
    """
    if not protos and (out or include):
        raise click.UsageError("--out and --include are about --protos, which is not given")
    if protos:
        installed_protos()  # what is not installed will not come by waiting
    reference = parse_reference(app, Path.cwd())
    check_listen_address(listen, is_insecure=insecure, can_be_guarded=False)
    plan = DevPlan(
        app=app,
        watched=(reference.folder, *(folder.resolve() for folder in watch_dir)),
        protos=CompileRequest(paths=protos, includes=include, out=out, judge=option_faults) if protos else None,
        hub=HubConfig(
            listen=listen,
            is_insecure=insecure,
            grace_s=LINK_GRACE_S,
            store=store,
            limits=CallLimits(worker_wait_max_s=WORKER_WAIT_S),
        ),
        log_level=log_level,
        worker_settings=exported(click.get_current_context(), "worker"),
        grace_s=grace,
        is_json=is_json,
    )
    start_logging(log_level)
    asyncio.run(_serve(plan))


async def _serve(plan: DevPlan) -> None:
    loop = asyncio.get_running_loop()
    printer = Printer(console(), datetime.now, loop.call_later, _stop_without_reader, is_json=plan.is_json)
    async with Hub(plan.hub, on_call=printer.call) as hub:
        printer.say("hub", f"Hub listens on {hub.address}", address=hub.address)
        server = DevServer(plan, hub, printer)
        await until_signalled(server.run(), before_exit=server.kill)


def _stop_without_reader() -> None:
    """End as if told to, since nobody reads what this prints."""
    os.kill(os.getpid(), signal.SIGTERM)
