"""What docs/security.md tells to type does what it says."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from .processes import Processes

DOCS = Path(__file__).resolve().parents[2] / "docs" / "security.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page makes its certificates with openssl")
async def test_first_five_minutes(processes: Processes, tmp_path: Path) -> None:
    certificates, tokens, hub_command, other_commands = BLOCKS
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in (certificates, tokens):
        shell = await processes.spawn("bash", "-euc", f"cd {shlex.quote(str(tmp_path))}\n{block}", PATH=path)
        assert await shell.wait() == 0, shell.stderr
    arguments = hub_command.replace("0.0.0.0:7070", "0.0.0.0:0").split()[1:]
    hub = await processes.start(*arguments, "--exit-with-stdin", folder=tmp_path)
    port = (await hub.line(r"Hub listens on .*:(\d+)$"))[1]
    worker, fleet, doctor = (
        line.replace("hub.example:7070", f"localhost:{port}").split()[1:] for line in other_commands.splitlines()
    )
    (tmp_path / "app.py").write_text(Path(__file__).with_name("apps").joinpath("cargo.py").read_text())
    attached = await processes.start(*worker, "--name", "crane", "--exit-with-stdin", folder=tmp_path)
    await attached.line("Attached to the hub")
    listed = await processes.run(*fleet, folder=tmp_path)
    assert "crane" in listed.stdout
    examined = await processes.run(*doctor, folder=tmp_path)
    assert examined.code == 0, examined.stdout
