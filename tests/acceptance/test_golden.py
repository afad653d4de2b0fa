"""Help and errors, word for word: see golden/README.md."""

import asyncio
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .processes import Processes

GOLDEN = Path(__file__).with_name("golden")
IS_UPDATE = os.environ.get("PORTCALL_GOLDEN") == "update"
GREETER = Path(__file__).parents[2] / "examples" / "greeter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A command line, and the lines that it is to have in a golden file."""

    command: str
    lines: list[str]


def parse(text: str) -> tuple[list[str], list[Case]]:
    """The comment that a golden file begins with, and its cases."""
    comment, *parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    cases = []
    for part in parts:
        command, *lines = part.splitlines()
        cases.append(Case(command=command, lines=[line for line in lines if line]))
    return comment.splitlines(), cases


def write(comment: list[str], cases: list[Case]) -> str:
    parts = ["\n".join([f"$ {case.command}", *case.lines]) for case in cases]
    return "\n".join(comment) + "\n" * bool(comment) + "\n\n".join(parts) + "\n"


async def outcome(command: str, *, folder: Path, hub: str) -> list[str]:
    """The lines that a golden file should have for a command."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PORTCALL_")}
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f'portcall() {{ "{sys.executable}" -m portcall "$@"; }}; {command}',
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**environment, "PORTCALL_HUB": hub, "COLUMNS": "80", "LC_ALL": "C.UTF-8"},
    )
    said = await process.communicate()
    lines = [
        f"{stream}| {line}".rstrip().replace(hub, "HUB").replace(str(folder), "HERE")
        for stream, content in enumerate(said, 1)
        for line in content.decode().splitlines()
    ]
    return [*lines, *([f"exit {process.returncode}"] if process.returncode else [])]


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.golden")))
async def test_commands_say_what_they_said(processes: Processes, tmp_path: Path, name: str) -> None:
    comment, cases = parse((GOLDEN / name).read_text())
    hub = await processes.hub()
    await processes.worker("app", hub, folder=GREETER)
    await processes.worker("harbour", hub)
    await processes.worker("cargo", hub)
    for number in range(len(cases)):
        (tmp_path / f"{number}").mkdir()
    actual = [
        Case(command=case.command, lines=await outcome(case.command, folder=tmp_path / f"{number}", hub=hub.address))
        for number, case in enumerate(cases)
    ]
    if IS_UPDATE:
        (GOLDEN / name).write_text(write(comment, actual))
        return
    assert actual == cases, "see golden/README.md for how to take this over"
