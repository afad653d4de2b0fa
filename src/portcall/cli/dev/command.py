"""`portcall dev`."""

import asyncio
import os
import signal
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from portcall.cli.apps import parse_reference
from portcall.cli.changes import Changes, Snapshot, next_changes, take_snapshot
from portcall.cli.compiled import check_compiled, counted
from portcall.cli.dev.lines import Printer
from portcall.cli.dev.process import AppProcess
from portcall.cli.ending import until_signalled
from portcall.cli.exits import report_error
from portcall.cli.options import as_json, exit_with_stdin, log_level, seconds, setting, start_logging
from portcall.cli.output import console
from portcall.contract.compile import CompileRequest, update_outputs
from portcall.contract.installed import installed_protos
from portcall.core.limits import CallLimits
from portcall.errors import PortcallError
from portcall.hub import Hub, HubConfig

GRACE_S_DEFAULT = 1.0

WORKER_WAIT_S = 10.0
"""How long a call waits for a worker: a reload's time, and then some for a mistake to be mended."""

CODE, PROTO = ".py", ".proto"

_CONFIG = HubConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevPlan:
    """What to run, and what to watch."""

    app: str
    watched: tuple[Path, ...]
    """Folders whose code the app is made of."""
    protos: CompileRequest | None
    hub: HubConfig
    log_level: str
    grace_s: float
    is_json: bool


@click.command(
    epilog="""\b
Examples:
  portcall dev app:worker                              worker in app.py
  portcall dev app:worker --protos protos --out src    compile, too
  portcall dev app:worker --listen 127.0.0.1:0         on any free port
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
    "--watch",
    "One more folder whose .py files the app depends on; also more than once.",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    multiple=True,
    variable="PORTCALL_DEV_WATCH",
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
    watch: tuple[Path, ...],
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
    plan = DevPlan(
        app=app,
        watched=(reference.folder, *(folder.resolve() for folder in watch)),
        protos=CompileRequest(paths=protos, includes=include, out=out) if protos else None,
        hub=HubConfig(
            listen=listen,
            is_insecure=insecure,
            limits=CallLimits(worker_wait_max_s=WORKER_WAIT_S),
        ),
        log_level=log_level,
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


class DevServer:
    """Keeps the app running as it is on the disk."""

    def __init__(self, plan: DevPlan, hub: Hub, printer: Printer) -> None:
        self._plan = plan
        self._hub = hub
        self._printer = printer
        self._process: AppProcess | None = None
        self._is_ready = False
        hub.fleet.on_change(self._look_at_fleet)

    async def run(self) -> None:
        """Run the app, for ever, and start it anew whenever it has changed."""
        changes = Changes(await asyncio.to_thread(self._take))
        await self._compile(changes)
        while True:
            self._is_ready = False
            process = self._process = await AppProcess.start(
                self._plan.app,
                self._hub.address,
                ("--log-level", self._plan.log_level),
                self._plan.grace_s,
                is_output_apart=self._plan.is_json,
            )
            try:
                await self._wait_for_reload(process, changes)
            except asyncio.CancelledError:
                self._printer.say("stopping", "Stopping; once more ends it at once")
                raise
            finally:
                await process.stop()

    def kill(self) -> None:
        """End the app at once."""
        if self._process is not None:
            self._process.kill()

    async def _wait_for_reload(self, process: AppProcess, changes: Changes) -> None:
        """Return when the app has changed; say so if it ends before."""
        reason = asyncio.get_running_loop().create_task(self._wait_for_code(changes))
        try:
            await asyncio.wait([reason, process.ended], return_when=asyncio.FIRST_COMPLETED)
            if not reason.done():
                words = f"The worker {process.death()}. The next change starts it again"
                self._printer.say("worker_ended", words, "bold red", pid=process.pid, exit_code=process.ended.result())
            await reason
        finally:
            reason.cancel()

    async def _wait_for_code(self, changes: Changes) -> None:
        """Return when code has changed, by hand or because a `.proto` has."""
        while True:
            paths = sorted(await next_changes(changes, self._take))
            names = [_shown(path) for path in paths]
            self._printer.say("changed", f"Changed: {', '.join(names)}", "bold", paths=names)
            is_code = any(path.suffix == CODE for path in paths)
            if any(path.suffix == PROTO for path in paths):
                is_code |= await self._compile(changes)
            if is_code:
                return

    async def _compile(self, changes: Changes) -> bool:
        """Compile the `.proto` files, if there are any to compile; return whether there is new code."""
        if self._plan.protos is None:
            return False
        try:
            update = await asyncio.to_thread(update_outputs, self._plan.protos)
            check_compiled(update.compilation)
        except PortcallError as error:
            report_error(error)
            return False
        out = update.compilation.out
        written = {(out / path).resolve() for path in update.written}
        now = await asyncio.to_thread(self._take)
        changes.excuse({path: stamp for path, stamp in now.items() if path in written})
        if written:
            words = f"Compiled into {out}: {counted(len(written), 'file')} written"
            self._printer.say("compiled", words, out=str(out), written=update.written)
        return bool(written)

    def _take(self) -> Snapshot:
        code = take_snapshot(self._plan.watched, CODE)
        request = self._plan.protos
        if request is None:
            return code
        folders = (path if path.is_dir() else path.parent for path in (*request.paths, *request.includes))
        return {**code, **take_snapshot([folder.resolve() for folder in folders], PROTO)}

    def _look_at_fleet(self) -> None:
        """Say when the worker has attached."""
        if self._is_ready or self._process is None:
            return
        for worker in self._hub.fleet.statuses(0.0):
            if worker.pid == self._process.pid:
                self._is_ready = True
                services = ", ".join(worker.services)
                words = f"Worker {self._plan.app} serves {services}"
                self._printer.say("ready", words, "bold green", pid=worker.pid, services=list(worker.services))


def _shown(path: Path) -> str:
    """Return a path as the user would write it from here."""
    return os.path.relpath(path)
