"""What jobs get of slots for which calls wait."""

from .stand import METHOD, OTHER, JobStand, Worker

SEEKING = frozenset({METHOD})


def overloaded(slots: int = 8, **limits: float) -> tuple[JobStand, Worker]:
    """A worker with all its slots taken by calls, and many more that wait."""
    stand = JobStand(job_share=4, **limits)
    client, worker = stand.client(), stand.worker(slots=slots)
    for _ in range(200):
        client.open()
    return stand, worker


def free(stand: JobStand) -> int:
    return sum(count for _, count in stand.board.free_slots())


def end(worker: Worker, count: int) -> None:
    for _ in range(count):
        worker.end_oldest()


def test_nothing_is_kept_unless_jobs_wait() -> None:
    stand, worker = overloaded()
    end(worker, 40)
    assert free(stand) == 0
    stand.board.sought = frozenset({OTHER})
    end(worker, 40)
    assert free(stand) == 0


def test_a_share_is_kept_and_an_attempt_takes_it() -> None:
    stand, worker = overloaded()
    jobs = stand.jobs()
    stand.board.sought = SEEKING
    told: list[str] = []
    stand.board.on_free = lambda: told.append("free")
    end(worker, 4 + 8)
    assert (free(stand), told) == (2, ["free"])
    first, second = jobs.attempt(7), jobs.attempt(8)
    assert set(jobs.sink.placements) == {first, second}
    assert free(stand) == 0
    end(worker, 3)
    assert free(stand) == 0, "jobs have their share"


def test_what_is_offered_and_not_taken_goes_back_to_calls() -> None:
    stand, worker = overloaded()
    stand.board.sought = SEEKING
    end(worker, 6)
    stand.board.take_back(stand.now)
    assert free(stand) == 2, "it was not offered yet"
    waiting = stand.board.calls_waiting
    stand.board.take_back(stand.now)
    assert free(stand) == 0
    assert stand.board.calls_waiting == waiting - 2
    assert worker.port.free == 0


def test_where_no_job_may_start_any_more_all_that_is_kept_goes_to_calls_and_nothing_more_is() -> None:
    stand, worker = overloaded()
    stand.board.sought = SEEKING
    end(worker, 6)
    waiting = stand.board.calls_waiting
    stand.board.is_closing = True
    stand.board.end_share(stand.now)
    assert stand.board.calls_waiting == waiting - 2
    end(worker, 40)
    assert stand.board.calls_waiting == waiting - 42
    assert free(stand) == 0


def test_what_is_kept_goes_with_its_worker_and_comes_back() -> None:
    stand, worker = overloaded()
    stand.board.sought = SEEKING
    end(worker, 6)
    assert free(stand) == 2
    stand.board.suspend_worker(worker.port, stand.now)
    assert (free(stand), worker.port.free) == (0, 2)
    stand.board.take_back(stand.now)
    waiting = stand.board.calls_waiting
    stand.board.resume_worker(worker.port, stand.now)
    assert stand.board.calls_waiting == waiting - 2
    assert worker.port.free == 0
    stand.lose(worker)
    assert free(stand) == 0


def test_a_worker_that_has_to_have_fewer_slots_keeps_none() -> None:
    stand, worker = overloaded()
    stand.board.sought = SEEKING
    stand.board.set_slots(worker.port, 4, stand.now)
    end(worker, 4)
    assert free(stand) == 0
    end(worker, 4)
    assert free(stand) == 1


def test_an_attempt_that_finds_its_slot_taken_has_one_of_the_next() -> None:
    stand, worker = overloaded()
    jobs = stand.jobs()
    stand.board.sought = SEEKING
    jobs.attempt(7)
    assert len(jobs.sink.take_losses()) == 1
    end(worker, 1)
    assert free(stand) == 1
    again = jobs.attempt(7, 2)
    assert set(jobs.sink.placements) == {again}
    jobs.attempt(8)
    end(worker, 1)
    assert free(stand) == 0, "this round has had its share"


def test_a_share_of_nothing_is_none() -> None:
    stand = JobStand(job_share=0)
    client, worker = stand.client(), stand.worker(slots=2)
    for _ in range(50):
        client.open()
    stand.board.sought = SEEKING
    end(worker, 40)
    assert free(stand) == 0
