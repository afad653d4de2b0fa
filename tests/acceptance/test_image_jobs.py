"""Durable jobs in containers: whatever of the fleet is stopped, killed or restarted, each job ends once."""

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from image_stand import make_project

from .engine import Engine, docker, free_address
from .ledger_calls import until, when_workers
from .processes import APPS, HubProcess, Processes
from .test_jobs_kill import SUCCEEDED, Harness

MORE = 40
"""Attempts that have to begin between one blow and the next."""


@pytest.fixture
def job_project(tmp_path: Path, wheel_folder: Path) -> Path:
    """A project of the app `job_ledger`."""
    folder = make_project(tmp_path / "jobs-app", wheel_folder)
    for path in folder.glob("*.p*"):
        path.unlink()
    shutil.copy(APPS / "job_ledger.py", folder / "app.py")
    return folder


async def test_acknowledged_jobs_end_once_whatever_is_stopped_killed_or_restarted(
    engine: Engine, job_project: Path, processes: Processes, tmp_path: Path
) -> None:
    worker, hub = engine.build(job_project, "jobs"), engine.build(job_project, "hub", "--hub")
    address, written = free_address(), tmp_path / "written"
    written.mkdir()
    harness = Harness(processes, written, seed=5)
    for path in (written, harness.ledger):
        path.chmod(0o777)
    data = ("-v", f"{engine.volume('data')}:/data")
    hub_name = engine.run("hub", hub, *data, "--read-only", PORTCALL_HUB_LISTEN=address, PORTCALL_HUB_GRACE="0.3")
    harness.hub = cast(HubProcess, SimpleNamespace(address=address))
    names = [engine.run(f"w{n}", worker, "-v", f"{written}:{written}", PORTCALL_HUB=address) for n in range(2)]
    await when_workers(address, lambda workers: len(workers) == 2)
    async with asyncio.TaskGroup() as clients:
        for name in ("a", "b"):
            clients.create_task(harness.submit(name, hold_ms=200))
        for blow in (
            ("stop", names[0]),
            ("start", names[0]),
            ("kill", names[1]),
            ("start", names[1]),
            ("restart", hub_name),
            ("kill", hub_name),
            ("start", hub_name),
            ("kill", hub_name, names[0]),
            ("start", hub_name, names[0]),
        ):
            goal = len(harness.attempts("begun")) + MORE
            await asyncio.to_thread(docker, *blow)
            if blow[:2] != ("kill", hub_name):
                await until(lambda goal=goal: len(harness.attempts("begun")) >= goal)  # type: ignore[misc]
        harness.is_over = True
    outcomes = await harness.outcomes()
    assert len(outcomes) > 100
    assert Counter(job.state for job in outcomes.values()) == {SUCCEEDED: len(outcomes)}
    begun_by_name, ended = harness.attempts("begun"), harness.attempts("ended")
    for name, job in outcomes.items():
        # No attempt has run twice, and what is recorded is the end of one that did run: the last.
        attempts = begun_by_name[name]
        assert len(attempts) == len(set(attempts)), name
        assert int(job.reply) == job.attempt == max(attempts), name
        assert job.attempt in ended[name], name
