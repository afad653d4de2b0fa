"""The app's worker as a process of its own: each reload is a new one, so nothing of the old code is left."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from portcall.cli.settings.setting import FILE_VARIABLE
from portcall.wire.target import HUB_VARIABLE

OURS, WORKERS = "PORTCALL_", "PORTCALL_WORKER_"

STOP_S = 5.0
"""How much longer than its grace a worker may take to stop before it is killed."""


class AppProcess:
    """A running worker, whose output goes where ours goes.

    It has a session of its own, so that Ctrl-C in the terminal reaches this process alone, and a pipe as its standard
    input, so that it ends with this process however that ends.
    """

    def __init__(self, process: asyncio.subprocess.Process, grace_s: float) -> None:
        self.pid = process.pid
        self.ended = asyncio.get_running_loop().create_task(process.wait())
        """The task that ends when the process has, with its exit code."""
        self._process = process
        self._grace_s = grace_s

    @classmethod
    async def start(
        cls,
        app: str,
        address: str,
        options: Sequence[str],
        grace_s: float,
        *,
        settings: Mapping[str, str],
        is_output_apart: bool,
    ) -> Self:
        """Start a worker of this app, on the hub at this address.

        The settings are variables for it. With `is_output_apart` what it prints goes to stderr,
        because stdout is for programs.
        """
        arguments = ["worker", app, "--hub", address, "--grace", str(grace_s), *options, "--exit-with-stdin"]
        process = await asyncio.create_subprocess_exec(
            # -P: as with the `portcall` command, modules of the current directory do not come before Python's own.
            *(sys.executable, "-P", "-m", "portcall", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=sys.stderr.fileno() if is_output_apart else None,
            env=_environment(address, settings),
            start_new_session=True,
        )
        return cls(process, grace_s)

    async def stop(self) -> None:
        """Let it finish what it runs, for its grace at most, and see to it that nothing it has started is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait([self.ended], timeout=self._grace_s + STOP_S)
        finally:
            self.kill()
        await self.ended

    def kill(self) -> None:
        """End it, and what it has started in its session, at once. Idempotent."""
        with suppress(ProcessLookupError, PermissionError):  # nobody is left; some systems say it the second way
            os.killpg(self.pid, signal.SIGKILL)

    def death(self) -> str:
        """Say how it ended, after it has."""
        code = self.ended.result()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _environment(address: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the app: settings of its worker stay, those for other hubs do not.

    It reads no file, since what that says of a hub is about another one. What it prints is to be seen when it is
    printed, and channels that it makes itself are to find this hub.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS) or name.startswith(WORKERS)}
    return {**kept, **settings, FILE_VARIABLE: "", HUB_VARIABLE: address, "PYTHONUNBUFFERED": "1"}
