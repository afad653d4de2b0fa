"""Jobs on a blocking channel in real processes: shared by threads, forked, interrupted."""

import os
import sys
from pathlib import Path

import pytest

from .processes import Outcome, Processes

HERE = Path(__file__).parent

WAYS = {
    "results_in_children": [
        "parent got 1",
        "child got 1",
        "child got 2",
        "child got 1",
        "child sees False",
        "child got released",
        "parent got released",
        "parent got 3",
    ],
    "results_before_any": ["child got 1", "parent got 1"],
    "waits_under_way": [*["child got 1"] * 5, "parent got released"],
    "many_in_pools": ["parent got 0", "parent got a hundred"],
    "events_half_read": [
        "parent sees READY",
        "child sees READY",
        "child raised HubLostError: CANCELLED: The call was made before this process was forked off",
        "parent sees ['RUNNING', 'SUCCEEDED']",
    ],
    "one_channel_for_many_threads": ["threads got sixty"],
    "interrupted_in_a_result": ["interrupted", "it is RUNNING", "parent got released"],
}


@pytest.mark.parametrize("way", WAYS)
async def test_jobs_of_programs_that_block(processes: Processes, tmp_path: Path, way: str) -> None:
    os.mkfifo(tmp_path / "gate")
    hub = await processes.hub("--store", str(tmp_path / "jobs.db"))
    for app in ("cargo", "errands"):
        await processes.worker(app, hub)
    script = str(HERE / "programs" / "jobs_of_threads.py")
    program = await processes.spawn(
        sys.executable, script, way, hub.address, str(tmp_path / "gate"), PYTHONPATH=str(HERE)
    )
    outcome = Outcome(code=await program.wait(), stdout=program.stdout, stderr=program.stderr)
    assert outcome == Outcome(code=0, stdout="".join(f"{line}\n" for line in WAYS[way]), stderr="")
