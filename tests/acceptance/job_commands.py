"""`portcall jobs` and `portcall schedules` for tests: a hub that keeps jobs, its workers, and what commands say."""

import json
from pathlib import Path
from typing import Any

from .processes import HubProcess, Outcome, Process, Processes

INSPECT = "harbour.Port/Inspect"
REFUSE = "harbour.Port/Refuse"
WATCH = "harbour.Port/Watch"

NEVER_ENDS = '{"code": 4}'
"""What `Refuse` waits for ever with."""

ID = r"[0-9a-z]{13}"
NO_JOB = "0000000000000"


class Shell:
    """Runs commands on one hub."""

    def __init__(self, processes: Processes, hub: HubProcess, folder: Path) -> None:
        self._processes = processes
        self.hub = hub
        self.folder = folder

    async def start(self, *arguments: str, **environment: str) -> Process:
        """Start a command."""
        return await self._processes.start(
            *arguments, folder=self.folder, **{"PORTCALL_HUB": self.hub.address, **environment}
        )

    async def run(self, *arguments: str, stdin: str = "", **environment: str) -> Outcome:
        """Run a command to its end."""
        process = await self.start(*arguments, **environment)
        process.write(stdin)
        process.close_stdin()
        return Outcome(code=await process.wait(), stdout=process.stdout, stderr=process.stderr)

    async def said(self, *arguments: str, stdin: str = "") -> str:
        """What a command says that succeeds and complains of nothing."""
        done = await self.run(*arguments, stdin=stdin)
        assert (done.code, done.stderr) == (0, ""), done
        return done.stdout

    async def asked(self, *arguments: str) -> Any:
        """What a command says with --json."""
        return json.loads(await self.said(*arguments, "--json"))

    async def submit(self, *arguments: str) -> str:
        """Submit one job; return its id."""
        return (await self.said("jobs", "submit", *arguments)).strip()

    async def refused(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """The exit code of a command that fails, and what it says, which is one line."""
        done = await self.run(*arguments, stdin=stdin)
        assert done.stdout == ""
        assert done.stderr.startswith("portcall: error: ")
        assert done.stderr.count("\n") == 1
        return done.code, done.stderr.removeprefix("portcall: error: ").strip()


async def shell(processes: Processes, folder: Path, *workers: str) -> Shell:
    """A hub with a store in a folder, and these workers."""
    hub = await processes.hub("--store", str(folder / "jobs.db"))
    for worker in workers:
        await processes.worker(worker, hub, "--name", worker)
    return Shell(processes, hub, folder)


async def revive(processes: Processes, shell: Shell) -> None:
    """Start a hub where the last one was, on its file."""
    shell.hub = await processes.hub("--store", str(shell.folder / "jobs.db"), listen=shell.hub.address)
