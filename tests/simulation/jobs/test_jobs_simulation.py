"""Some hundred worlds; each must keep every promise that `invariants` knows, and these must notice what is broken."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from portcall.core.jobs.attempts import Attempts
from portcall.core.jobs.batch import Flow
from portcall.core.jobs.dispatch import Dispatch
from portcall.core.jobs.gates import Buckets, Gate
from portcall.core.jobs.settling import Settling
from portcall.core.jobs.telling import Tellings

from .world import SimulationError, World, run_seed

SEEDS = 250
SEEDS_TO_NOTICE = 60
ONE = os.environ.get("PORTCALL_SEED")


@pytest.mark.parametrize("seed", [int(ONE)] if ONE else range(SEEDS))
def test_a_world_of_jobs_keeps_its_promises(seed: int) -> None:
    run_seed(seed)


def story(world: World) -> list[tuple[int, object]]:
    return [(job, record.outcome) for job, record in world.ledger.jobs.items()]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_is_the_same_world_of_jobs_every_time(seed: int) -> None:
    first, second = run_seed(seed), run_seed(seed)
    assert first.steps == second.steps
    assert story(first) == story(second)


def test_a_seed_is_the_same_world_of_jobs_in_every_process() -> None:
    code = (
        "from tests.simulation.jobs.test_jobs_simulation import *; print([story(run_seed(seed)) for seed in range(8)])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


# --- what the invariants are worth ------------------------------------------------------------------------------------


def _find_any(self: Attempts, job: int, number: int):
    attempt = self.by_job.get(job)
    return attempt if attempt is not None and attempt.ending is None else None


settle = Settling.settle


def _settle_without_released(self: Settling) -> None:
    object.__setattr__(self.written, "released", frozenset())
    settle(self)


def _claim_unsorted(self: Dispatch, flow: Flow) -> None:
    self.by_id[flow.method].flows.add(flow.rank, flow.value)
    self._turns.setdefault(flow.method, None)


BREAKAGES: dict[str, tuple[int, type, str, Callable[..., object]]] = {
    "late ends count": (4, Attempts, "find", _find_any),
    "orphans are never given up": (4, Attempts, "give_up_orphans", lambda self: None),
    "timeouts are not looked at": (19, Attempts, "pop_late", lambda self, now: []),
    "rates are always open": (38, Buckets, "opens_at", lambda self, value, now: now),
    "values are always open": (2, Gate, "opens_for", lambda self, value, now: now),
    "suspects run together": (13, Gate, "lets_suspect", lambda self, suspicion: True),
    "released flows are forgotten": (1, Settling, "settle", _settle_without_released),
    "jobs start under no value": (35, Dispatch, "has_ready", _claim_unsorted),
    "what was told is lost with the disk": (30, Tellings, "put_back", lambda self, tellings: None),
}
"""What to break, and the seed of a world in which it was noticed; others are tried if it no longer is."""


@pytest.mark.parametrize("name", BREAKAGES)
def test_what_is_broken_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, owner, method, broken = BREAKAGES[name]
    monkeypatch.setattr(owner, method, broken)
    for seed in (first, *range(SEEDS_TO_NOTICE)):
        try:
            run_seed(seed)
        except SimulationError:
            return
    pytest.fail(f"in {SEEDS_TO_NOTICE} worlds nobody has noticed that {name}")
