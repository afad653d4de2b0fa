"""Real `portcall` processes for tests: started, listened to, signalled, and never left behind.

    async def test_it(processes: Processes) -> None:
        hub = await processes.hub()                       # ready, and hub.address says where
        worker = await processes.worker("cargo.py", hub)  # attached
        worker.kill()
        assert await hub.line(r"left")

Whatever is waited for is an event: a line, an end, a pipe. A wait that takes too long fails with all that the process
has said.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

WAIT_S = 100.0
"""How long a test waits before it says that something never came. Far above what anything takes on a busy machine, and
below pytest's own limit, which could not say what was waited for."""

APPS = Path(__file__).with_name("apps")
"""The folder that processes start in, unless told otherwise."""


def portcall(*arguments: str) -> tuple[str, ...]:
    """Return the command that runs `portcall` with the Python of the tests."""
    return (sys.executable, "-m", "portcall", *arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    stdout: str
    stderr: str


class Process:
    """A running process. Lines of stdout and stderr are kept as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._news = asyncio.Event()
        self._lines: list[str] = []
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        loop = asyncio.get_running_loop()
        self._readers = [
            loop.create_task(self._read(process.stdout, self._stdout)),
            loop.create_task(self._read(process.stderr, self._stderr)),
        ]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdout(self) -> str:
        return "".join(self._stdout)

    @property
    def stderr(self) -> str:
        return "".join(self._stderr)

    async def line(self, pattern: str) -> re.Match[str]:
        """Return the first line, of those there are and those to come, in which the pattern is found."""
        seen = 0
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    news, is_over = self._news, all(reader.done() for reader in self._readers)
                    for line in self._lines[seen:]:
                        if match := re.search(pattern, line):
                            return match
                    seen = len(self._lines)
                    assert not is_over, f"it ended without a line like {pattern!r}:\n{''.join(self._lines)}"
                    await news.wait()
        except TimeoutError:
            raise AssertionError(f"no line like {pattern!r} in {WAIT_S} s:\n{''.join(self._lines)}") from None

    async def wait(self) -> int:
        """Return the exit code, negative for a signal, once the process has ended and all was read."""
        try:
            async with asyncio.timeout(WAIT_S):
                await asyncio.wait(self._readers)
                return await self._process.wait()
        except TimeoutError:
            raise AssertionError(f"it has not ended in {WAIT_S} s:\n{''.join(self._lines)}") from None

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.send_signal(signal.SIGKILL)

    def write(self, text: str) -> None:
        """Write to the pipe that is its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())

    def close_stdin(self) -> None:
        """Close the pipe that is its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def clean_up(self) -> None:
        """End it, if it has not ended, and its descendants: they watch a pipe that closes with it."""
        with suppress(ProcessLookupError):
            self.kill()
        self.close_stdin()
        await self.wait()

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        try:
            async for line in stream:
                text = line.decode()
                lines.append(text)
                self._lines.append(text)
                self._tell()
        finally:
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


P = TypeVar("P", bound=Process)


class HubProcess(Process):
    """A hub that is ready."""

    address: str


class WorkerProcess(Process):
    """A worker that is attached."""


class Processes:
    """Starts processes for one test. Arguments are those of the command line."""

    def __init__(self) -> None:
        self._started: list[Process] = []

    async def hub(self, *arguments: str, listen: str = "127.0.0.1:0") -> HubProcess:
        """Start a hub, by default on a free port; return when it is ready."""
        command = portcall("hub", "--listen", listen, "--json", "--exit-with-stdin", *arguments)
        hub = await self._start(HubProcess, command)
        hub.address = json.loads((await hub.line(r'^\{.*"ready".*')).group())["address"]
        return hub

    async def worker(self, app: str, hub: HubProcess, *arguments: str, folder: Path = APPS) -> WorkerProcess:
        """Start a worker; return when it is attached."""
        command = portcall("worker", app, "--hub", hub.address, "--exit-with-stdin", *arguments)
        worker = await self._start(WorkerProcess, command, folder=folder)
        await worker.line("Attached to the hub")
        return worker

    async def start(self, *arguments: str, folder: Path = APPS, **environment: str) -> Process:
        """Start any command of `portcall`."""
        return await self._start(Process, portcall(*arguments), folder=folder, environment=environment)

    async def run(self, *arguments: str, folder: Path = APPS, **environment: str) -> Outcome:
        """Run any command of `portcall` to its end."""
        process = await self.start(*arguments, folder=folder, **environment)
        return Outcome(code=await process.wait(), stdout=process.stdout, stderr=process.stderr)

    async def spawn(self, *command: str, **environment: str) -> Process:
        """Start any program."""
        return await self._start(Process, command, environment=environment)

    async def clean_up(self) -> None:
        """End all of them."""
        for process in reversed(self._started):
            await process.clean_up()

    async def _start(
        self,
        kind: type[P],
        command: Sequence[str],
        *,
        folder: Path = APPS,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> P:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PORTCALL_")}
        process = await asyncio.create_subprocess_exec(*command, **pipes, cwd=folder, env={**inherited, **environment})
        started = kind(process)
        self._started.append(started)
        return started
