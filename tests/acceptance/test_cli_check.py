"""`portcall hub check`: a store that is sound, one that is damaged, and none."""

import json
from pathlib import Path

from .processes import Processes


async def test_a_store_is_looked_through_while_its_hub_runs(processes: Processes, tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    await processes.hub("--store", str(path))
    checked = await processes.run("hub", "check", str(path))
    assert (checked.code, checked.stderr) == (0, "")
    assert checked.stdout.startswith(f"{path} is sound: 0 jobs in ")
    checked = await processes.run("hub", "check", str(path), "--json")
    assert json.loads(checked.stdout) == {"jobs": 0, "bytes": path.stat().st_size}


async def test_a_damaged_file_fails_and_a_missing_one_is_a_mistake(processes: Processes, tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\x13" * 9_000)
    checked = await processes.run("hub", "check", str(path))
    assert checked.code == 1
    assert f"{path} is damaged" in checked.stderr
    checked = await processes.run("hub", "check", str(tmp_path / "none.db"))
    assert (checked.code, checked.stderr) == (2, f"portcall: error: there is no file {tmp_path / 'none.db'}\n")
