"""What the pages of docs/ show of the command line is what it does."""

import re
from pathlib import Path

import pytest

from .commandlines import commands_in, run_line
from .processes import Processes

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["call.md"])
async def test_commands_do_what_the_page_shows(processes: Processes, tmp_path: Path, page: str) -> None:
    hub = await processes.hub()
    await processes.worker("app", hub, folder=ROOT / "examples" / "greeter")
    await processes.worker("app", hub, folder=ROOT / "examples" / "textmine")
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        for command, shown in commands_in(block)[1]:
            said = await run_line(command, folder=tmp_path, hub=hub.address)
            assert (command, [*said.stdout, *said.stderr]) == (command, shown)
