"""Some hundred worlds; each must keep every promise that `invariants` knows."""

import os

import pytest

from .world import World, run_seed

SEEDS = 300
ONE = os.environ.get("PORTCALL_SEED")


@pytest.mark.parametrize("seed", [int(ONE)] if ONE else range(SEEDS))
def test_a_world_of_jobs_keeps_its_promises(seed: int) -> None:
    run_seed(seed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_is_the_same_world_of_jobs_every_time(seed: int) -> None:
    def story(world: World) -> list[tuple[int, object]]:
        return [(job, record.outcome) for job, record in world.ledger.jobs.items()]

    first, second = run_seed(seed), run_seed(seed)
    assert first.steps == second.steps
    assert story(first) == story(second)
