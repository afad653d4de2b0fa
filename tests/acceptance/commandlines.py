"""Command lines as bash runs them, and what came of them, for files that show both."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from .processes import WAIT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command line has written, its lines in two lists, and its exit code."""

    stdout: list[str]
    stderr: list[str]
    code: int


async def run_line(
    command: str, *, folder: Path, hub: str, variables: Mapping[str, str] = MappingProxyType({})
) -> Said:
    """Run a command line in a folder, with a hub at this address, on a terminal of 80 columns."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PORTCALL_")}
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f'portcall() {{ "{sys.executable}" -m portcall "$@"; }}; {command}',
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**environment, "PORTCALL_HUB": hub, "COLUMNS": "80", "LC_ALL": "C.UTF-8", **variables},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(WAIT_S):
            stdout, stderr = await process.communicate()
    except TimeoutError:
        raise AssertionError(f"has not ended in {WAIT_S:g} s: {command}") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode is not None
    return Said(stdout=stdout.decode().splitlines(), stderr=stderr.decode().splitlines(), code=process.returncode)


def commands_in(text: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """What stands before the first line that begins with "$ ", and each such command with the lines that follow it."""
    comment, *parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    pairs = [part.splitlines() for part in parts]
    return comment, [(command, lines) for command, *lines in pairs]
