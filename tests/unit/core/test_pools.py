"""Pools of workers against the plain way to find the one with the most free slots."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from portcall.core.calls import WorkerPort
from portcall.core.pools import Pool, Route

from .stand import METHOD, Sink


def pool_of(*slots: int) -> tuple[Pool, list[WorkerPort]]:
    pool = Pool([Route(METHOD)])
    workers = [WorkerPort(f"worker-{index}", Sink(), count) for index, count in enumerate(slots)]
    for worker in workers:
        pool.add(worker)
    return pool, workers


def test_an_empty_pool_has_no_best_worker() -> None:
    pool, _ = pool_of()
    assert pool.best_worker() is None


def test_workers_without_a_free_slot_are_not_the_best() -> None:
    pool, _ = pool_of(0, 0)
    assert pool.best_worker() is None


def test_the_worker_that_has_been_longest_in_its_place_is_first_among_equals() -> None:
    pool, workers = pool_of(3, 3, 3)
    taken = []
    for _ in range(9):
        best = pool.best_worker()
        assert best is not None
        taken.append(workers.index(best))
        pool.change_free(best, -1)
    assert taken == [0, 1, 2] * 3
    assert pool.best_worker() is None


@pytest.mark.parametrize("change", [1, -1, 5, -5])
def test_slots_change_also_for_a_worker_that_takes_no_calls(change: int) -> None:
    pool, (worker,) = pool_of(3)
    pool.remove(worker)
    pool.change_free(worker, change)
    assert worker.free == 3 + change
    assert pool.best_worker() is None
    pool.add(worker)
    assert pool.best_worker() is (worker if change > -3 else None)


def test_removing_twice_is_no_different() -> None:
    pool, (worker,) = pool_of(3)
    pool.remove(worker)
    pool.remove(worker)
    assert not pool.workers


CHANGES = st.lists(st.tuples(st.sampled_from(["change", "remove", "add"]), st.integers(0, 5), st.integers(-4, 4)))


@given(slots=st.lists(st.integers(0, 6), min_size=6, max_size=6), changes=CHANGES)
def test_the_best_worker_is_always_one_with_the_most_free_slots(
    slots: list[int], changes: list[tuple[str, int, int]]
) -> None:
    pool, workers = pool_of(*slots)
    for what, index, change in changes:
        worker = workers[index]
        if what == "change":
            pool.change_free(worker, change)
        elif what == "remove":
            pool.remove(worker)
        elif worker not in pool.workers:
            pool.add(worker)
        most = max((worker.free for worker in pool.workers), default=0)
        best = pool.best_worker()
        assert (best.free if best is not None else 0) == max(most, 0)
        assert best is None or best in pool.workers
