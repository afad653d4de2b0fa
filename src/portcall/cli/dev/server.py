"""Keeps an app running as it is on the disk: watches, compiles, and starts a new process when there is new code."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from portcall.cli.changes import Changes, Snapshot, next_changes, take_snapshot
from portcall.cli.compiled import check_compiled, counted
from portcall.cli.dev.lines import Printer
from portcall.cli.dev.process import AppProcess
from portcall.cli.exits import report_error
from portcall.contract.compile import CompileRequest, update_outputs
from portcall.errors import PortcallError
from portcall.hub import Hub, HubConfig

CODE, PROTO = ".py", ".proto"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevPlan:
    """What to run, and what to watch."""

    app: str
    watched: tuple[Path, ...]
    """Folders whose code the app is made of."""
    protos: CompileRequest | None
    hub: HubConfig
    log_level: str
    worker_settings: Mapping[str, str]
    """What portcall.toml says of workers, as variables for the app's."""

    grace_s: float
    is_json: bool


class DevServer:
    """Keeps the app running as it is on the disk."""

    def __init__(self, plan: DevPlan, hub: Hub, printer: Printer) -> None:
        self._plan = plan
        self._hub = hub
        self._printer = printer
        self._process: AppProcess | None = None
        self._is_ready = False
        self._has_errors = False
        """Whether the .proto files are wrong as they are."""
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
                settings=self._plan.worker_settings,
                is_output_apart=self._plan.is_json,
            )
            try:
                await self._wait_for_reload(process, changes)
            except asyncio.CancelledError:
                self._printer.say("stopping", "Stopping; once more ends it at once")
                raise
            finally:
                await process.stop()
                self._process = None

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
            self._has_errors = True
            return False
        was_wrong, self._has_errors = self._has_errors, False
        out = update.compilation.out
        written = {(out / path).resolve() for path in update.written}
        now = await asyncio.to_thread(self._take)
        changes.excuse({path: stamp for path, stamp in now.items() if path in written})
        if written or was_wrong:
            news = f"{counted(len(written), 'file')} written" if written else "as it was before the error"
            words = f"Compiled into {out}: {news}"
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
