"""Portcall processes that end when this one does, however it does.

Theory of operation. A child gets a pipe as its standard input and the option `--exit-with-stdin`. To stop it, the pipe
is closed; if this process is killed, the kernel closes it. Each child has a session of its own, so that Ctrl-C in the
terminal reaches this process alone, which then stops the children in their order. What a child says on stderr is kept,
its last part at least, to be shown if the child dies.
"""

import asyncio
import os
import signal
import sys
import types
from collections.abc import Coroutine, Sequence
from typing import Any, Self, TypeVar

from portcall.cli.exits import FailedError
from portcall.cli.settings.setting import FILE_VARIABLE

STOP_S = 10.0
"""How long a child may take to stop before it is killed."""

DEATH_NOTICE_S = 1.0
"""How much later than the failure that it causes a child's death may be noticed."""

STDERR_BYTES_MAX = 16_384
STDERR_LINES_SHOWN = 5

T = TypeVar("T")


class ChildDiedError(FailedError):
    """A child ended by itself."""


class Child:
    """One process; made by `Children.start`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._stderr = b""
        self.ended = asyncio.get_running_loop().create_task(self._follow(), name=f"{name} ({self.pid})")
        """The task that ends when the process has."""

    async def line(self) -> str:
        """Return the next line of its stdout.

        Raises:
            ChildDiedError: there is none, because it has ended.
        """
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            await self.ended
            raise self.death()
        return line.decode(errors="replace").rstrip("\n")

    def death(self) -> ChildDiedError:
        """Say how it ended, after it has."""
        code = self._process.returncode
        assert code is not None
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        lines = self._stderr.decode(errors="replace").splitlines()[-STDERR_LINES_SHOWN:]
        words = "".join(f"\n  {line}" for line in lines) if lines else " nothing"
        return ChildDiedError(f"{self.name} (process {self.pid}) {how}. Its last words on stderr:{words}")

    async def stop(self) -> None:
        """Close its stdin, and kill it if that does not end it in time. Idempotent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait([self.ended], timeout=STOP_S)
        if not self.ended.done():
            self._process.kill()
            await self.ended

    async def _follow(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(STDERR_BYTES_MAX):
            self._stderr = (self._stderr + chunk)[-STDERR_BYTES_MAX:]
        await self._process.wait()


class Children:
    """The processes of one demo. A context manager that leaves none behind; the first started is the last stopped."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        for child in reversed(self._children):
            await child.stop()

    async def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Run `portcall` with these arguments; settings in the environment or in a file are not for it."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PORTCALL_")}
        process = await asyncio.create_subprocess_exec(
            # -P: modules of the current directory must not come before Python's own.
            *(sys.executable, "-P", "-m", "portcall", *arguments, "--exit-with-stdin"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**environment, FILE_VARIABLE: ""},
            start_new_session=True,
        )
        child = Child(name, process)
        self._children.append(child)
        return child

    async def unless_one_dies(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work and return what it returns; cancel it when a child ends.

        Raises:
            ChildDiedError: a child ended first, or just after the work failed, which then failed because of that.
        """
        task = asyncio.get_running_loop().create_task(work)
        deaths = {child.ended: child for child in self._children}
        try:
            await asyncio.wait([task, *deaths], return_when=asyncio.FIRST_COMPLETED)
            if task.done() and isinstance(task.exception(), FailedError):
                await asyncio.wait(deaths, timeout=DEATH_NOTICE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        died = next((child for ended, child in deaths.items() if ended.done()), None)
        if died is not None and (task.cancelled() or task.exception() is not None):
            raise died.death()
        return task.result()
