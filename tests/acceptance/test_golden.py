"""Help and errors, word for word: see golden/README.md."""

import os
from pathlib import Path

import pytest

from .commandlines import commands_in, run_line
from .processes import Processes

GOLDEN = Path(__file__).with_name("golden")
IS_UPDATE = os.environ.get("PORTCALL_GOLDEN") == "update"
GREETER = Path(__file__).parents[2] / "examples" / "greeter"


async def as_golden(command: str, *, folder: Path, hub: str) -> str:
    """A command and what came of it, as a golden file has it."""
    said = await run_line(command, folder=folder, hub=hub)
    lines = [*(f"1| {line}" for line in said.stdout), *(f"2| {line}" for line in said.stderr)]
    lines += [f"exit {said.code}"] if said.code else []
    shown = [line.rstrip().replace(hub, "HUB").replace(str(folder), "HERE") for line in lines]
    return "\n".join([f"$ {command}", *shown])


@pytest.mark.timeout(300)  # a file may have a hundred cases
@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.golden")))
async def test_commands_say_what_they_said(processes: Processes, tmp_path: Path, name: str) -> None:
    expected = (GOLDEN / name).read_text()
    comment, commands = commands_in(expected)
    hub = await processes.hub()
    await processes.worker("app", hub, folder=GREETER)
    await processes.worker("harbour", hub)
    await processes.worker("cargo", hub)
    for number in range(len(commands)):
        (tmp_path / f"{number}").mkdir()
    cases = [
        await as_golden(command, folder=tmp_path / f"{number}", hub=hub.address)
        for number, (command, _) in enumerate(commands)
    ]
    actual = comment + "\n\n".join(cases) + "\n"
    if IS_UPDATE:
        (GOLDEN / name).write_text(actual)
    else:
        assert actual == expected, "golden/README.md says how to take this over"
