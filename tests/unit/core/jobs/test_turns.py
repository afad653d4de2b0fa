"""Whose turn it is: among values, methods and priorities, however many jobs wait."""

from collections import Counter
from random import Random

import pytest
from google.protobuf import text_format

from portcall.core.jobs.dispatch import Capacity, Slots
from portcall.core.jobs.engine import JobEngine
from portcall.core.jobs.flows import Flows
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.messages import job_message
from portcall.core.jobs.values import UnreadableRequestError
from portcall.protos.portcall.v1.options_pb2 import JobOptions

from .stand import METHOD, NOW, OTHER, Stand, submission, values


def one_by_one(stand: Stand, count: int) -> list[int]:
    """End what runs, one after another; return the jobs that were started in the places that became free."""
    order: list[int] = []
    for _ in range(count):
        before = set(stand.running)
        pair = next(iter(stand.running))
        stand.end(pair)
        stand.do()
        order += [job for job, attempt in stand.running if (job, attempt) not in before]
    return order


# --- in the engine ----------------------------------------------------------------------------------------------------


def test_the_oldest_goes_first() -> None:
    stand = Stand(slots=1)
    jobs = stand.jobs(5)
    assert stand.started() + one_by_one(stand, 4) == jobs


def test_the_most_urgent_goes_first() -> None:
    stand = Stand(slots=1)
    stand.job()
    low, urgent, plain, high = (stand.job(priority=priority) for priority in (-5, 100, 0, 50))
    assert one_by_one(stand, 4) == [urgent, high, plain, low]


def test_values_take_turns_though_one_has_a_thousand_jobs() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, 'by { field: "site" }')
    stand.job(request=b"many")
    stand.jobs(1_000, request=b"many")
    few = [stand.job(request=request) for request in (b"one", b"two", b"one")]
    order = one_by_one(stand, 8)
    assert set(few) <= set(order)
    assert Counter(values(stand, order)) == {"many": 5, "one": 2, "two": 1}


def test_methods_take_turns_with_slots_that_they_share() -> None:
    stand = Stand(slots=1)
    stand.job()
    stand.jobs(500)
    stand.jobs(3, method=OTHER)
    methods = [stand.row(job).method for job in one_by_one(stand, 6)]
    assert Counter(methods) == {METHOD: 3, OTHER: 3}


def test_new_jobs_do_not_take_the_slots_that_others_wait_for() -> None:
    stand = Stand(slots=2)
    stand.jobs(2)
    waiting = stand.jobs(20)
    for _ in range(20):
        stand.end(next(iter(stand.running)))
        stand.put(submission(OTHER))
        stand.do()
    begun = sum(stand.store.jobs[job].attempt for job in waiting)
    assert begun >= 9, f"only {begun} of those that waited have begun while 20 slots became free"


def test_slots_that_nobody_waits_for_are_taken_at_once() -> None:
    stand = Stand()
    stand.jobs(3)
    stand.served = {OTHER}
    stand.slots = 3
    stand.job(method=OTHER)
    assert [start.method for start in stand.running.values()] == [OTHER]


def test_a_value_that_is_full_does_not_hold_up_the_others() -> None:
    stand = Stand(slots=10)
    stand.know(METHOD, 'by { field: "site" limit { running: 2 } }')
    stand.jobs(50, request=b"a")
    stand.jobs(3, request=b"b")
    assert Counter(values(stand, stand.started())) == {"a": 2, "b": 2}
    stand.end_all()
    stand.do()
    assert Counter(values(stand, stand.started())) == {"a": 2, "b": 1}


def test_the_fleets_limit_holds_over_all_values() -> None:
    stand = Stand(slots=10)
    stand.know(METHOD, 'limit { running: 3 } by { field: "site" limit { running: 2 } }')
    for value in (b"a", b"b", b"c"):
        stand.jobs(3, request=value)
    assert Counter(values(stand, stand.started())) == {"a": 2, "b": 1}


def test_a_rate_wakes_the_engine_when_the_next_may_start() -> None:
    stand = Stand(slots=10)
    stand.know(METHOD, 'by { field: "site" limit { rate { starts: 1 per_s: 10 } } }')
    stand.jobs(2, request=b"a")
    stand.jobs(1, request=b"b")
    assert stand.running == {}
    started = []
    for _ in range(3):
        tick = stand.engine.next_tick
        assert tick is not None
        stand.wait(tick - stand.now)
        started.append((stand.now - NOW, len(stand.running)))
    assert started[:2] == [(10, 2), (20, 3)]


def test_a_rate_that_was_raised_is_not_slept_through() -> None:
    stand = Stand(slots=10)
    stand.know(METHOD, 'by { field: "site" limit { rate { starts: 1 per_s: 86400 } } }')
    stand.job(request=b"a")
    stand.know(METHOD, 'by { field: "site" limit { rate { starts: 1 per_s: 10 } } }')
    stand.do()
    assert stand.engine.next_tick == NOW + 10
    stand.wait(10)
    assert len(stand.running) == 1


def test_two_limits_that_open_at_the_same_time() -> None:
    stand = Stand(slots=10)
    rate = "rate { starts: 1 per_s: 10 }"
    stand.know(METHOD, f'limit {{ {rate} }} by {{ field: "site" limit {{ {rate} }} }}')
    stand.jobs(2, request=b"a")
    stand.jobs(2, request=b"b")
    for begun in range(1, 5):
        stand.wait(10)
        assert len(stand.running) == begun


@pytest.mark.parametrize("flows_max", [2, 5, 10_000])
def test_more_values_than_memory_has_room_for_are_all_served(flows_max: int) -> None:
    stand = Stand(limits=JobLimits(flows_max=flows_max))
    stand.know(METHOD, 'by { field: "site" }')
    for number in range(40):
        stand.job(request=b"v%d" % number)
    stand.slots = 1
    stand.do()
    assert len(stand.started() + one_by_one(stand, 39)) == 40


def test_ready_jobs_are_found_again_after_a_restart() -> None:
    stand = Stand()
    stand.know(METHOD, 'by { field: "site" }')
    for number in range(10):
        stand.job(request=b"v%d" % number)
    stand.restart()
    stand.slots = 10
    stand.do()
    assert len(stand.running) == 10


def test_why_a_job_waits_is_told() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, 'limit { running: 1 } by { field: "site" limit { rate { starts: 1 per_s: 10 } } }')
    stand.wait(10)
    first = stand.job(request=b"a")
    second, later = stand.job(request=b"a"), stand.job(request=b"a", due_at=stand.now + 5)
    waiting = stand.job(method=OTHER, after=(first,))

    def why(job: int, *, has_worker: bool = True) -> str:
        return stand.engine.why_waiting(stand.row(job), has_worker=has_worker)

    assert why(first) == ""
    assert why(second) == f"1 of {METHOD} run, which is the limit"
    assert why(second, has_worker=False) == f"no worker serves {METHOD.removeprefix('/')}"
    assert why(later) == "waits 5s more"
    assert why(waiting) == "waits for 1 other job to succeed"
    stand.end((first, 1))
    stand.do()
    assert why(second) == "the rate of site 'a' lets the next one start in 10.0 s"
    stand.slots = 0
    stand.wait(10)
    assert why(second) == "waits for a free slot"


# --- flows ------------------------------------------------------------------------------------------------------------


def test_flows_take_turns_within_a_rank() -> None:
    flows = Flows(10, is_whole=True)
    for rank, value in ((0, "a"), (0, "b"), (-1, "c"), (0, "a")):
        flows.add(rank, value)
    assert list(flows.ranks()) == [-1, 0]
    assert [flows.next(0) for _ in range(4)] == ["a", "b", "a", "b"]
    assert len(flows) == 3


def test_a_parked_value_is_passed_over_in_all_ranks() -> None:
    flows = Flows(10, is_whole=True)
    for rank in (0, 1):
        flows.add(rank, "a")
    flows.add(0, "b")
    flows.park("a")
    flows.add(2, "a")
    assert (list(flows.ranks()), flows.next(0), flows.is_parked("a")) == ([0], "b", True)
    assert flows.unpark("a")
    assert list(flows.ranks()) == [0, 1, 2]
    assert not flows.unpark("a")


def test_a_flow_without_jobs_is_forgotten_wherever_it_is() -> None:
    flows = Flows(10, is_whole=True)
    flows.add(0, "a")
    flows.add(0, "b")
    flows.park("b")
    for value in ("a", "b", "c"):
        flows.drop(0, value)
    assert (len(flows), flows.has_open, flows.is_parked("b")) == (0, False, False)


def test_what_finds_no_room_is_read_again() -> None:
    flows = Flows(2, is_whole=True)
    for value in "abc":
        flows.add(0, value)
    assert (len(flows), flows.is_whole, flows.wants_more) == (2, False, False)
    flows.drop(0, "a")
    flows.drop(0, "b")
    assert flows.wants_more
    flows.add_page([(0, "c")], is_last=True)
    assert (flows.is_whole, flows.read_up_to) == (False, None), "something was missed since the reading was begun"
    flows.add_page([(0, "c")], is_last=True)
    assert flows.is_whole


def test_an_earlier_rank_takes_the_place_of_a_later_one() -> None:
    flows = Flows(2, is_whole=True)
    flows.add(5, "a")
    flows.add(5, "b")
    flows.add(-5, "c")
    assert list(flows.ranks()) == [-5, 5]
    assert (flows.next(5), len(flows)) == ("a", 2)


# --- slots ------------------------------------------------------------------------------------------------------------


def test_slots_of_those_who_can_do_little_go_first() -> None:
    both, one = frozenset({METHOD, OTHER}), frozenset({METHOD})
    slots = Slots([Capacity(methods=both, free=1), Capacity(methods=one, free=1), Capacity(methods=one, free=0)])
    assert (slots.of(METHOD), slots.of(OTHER), slots.of("/x")) == (2, 1, 0)
    slots.take(METHOD)
    assert (slots.of(METHOD), slots.of(OTHER)) == (1, 1)
    slots.take(METHOD)
    assert slots.of(OTHER) == 0
    with pytest.raises(RuntimeError, match="more slots were taken"):
        slots.take(METHOD)


def test_sought_slots_are_not_spare() -> None:
    both, one = frozenset({METHOD, OTHER}), frozenset({METHOD})
    slots = Slots([Capacity(methods=both, free=5), Capacity(methods=one, free=1)])
    slots.seek(OTHER)
    assert [slots.take_spare(METHOD) for _ in range(2)] == [True, False]
    assert not slots.take_spare(OTHER)
    assert slots.of(METHOD) == 5


# --- jobs that come before their contract -----------------------------------------------------------------------------


BY_SITE = 'by { field: "site" limit { running: 1 } }'


def test_jobs_that_come_before_their_contract_are_limited_like_all_others() -> None:
    stand = Stand(slots=9, is_early=True)
    early = [stand.job(request=site) for site in (b"a", b"a", b"b")]
    assert stand.started() == []
    stand.know(METHOD, BY_SITE)
    late = stand.job(request=b"a")
    stand.do()
    assert values(stand, [*early, late]) == ["a", "a", "b", "a"]
    assert sorted(stand.started()) == [early[0], early[2]]
    stand.end_all()
    stand.do()
    assert stand.started() == [early[1]]


def test_jobs_that_come_after_a_restart_and_before_a_worker_wait_for_their_values() -> None:
    stand = Stand(slots=9, is_early=True)
    stand.know(METHOD, BY_SITE)
    running = stand.job(request=b"a")
    stand.engine = JobEngine(stand.store.stored(), stand.now, Random(1), stand.limits)
    early = stand.job(request=b"a")
    row = stand.row(early)
    assert job_message(row).value == ""
    assert "no worker" in stand.engine.why_waiting(row, has_worker=False)
    assert "cannot be used" in stand.engine.why_waiting(row, has_worker=True)
    stand.know(METHOD, BY_SITE)
    stand.do()
    assert (stand.started(), values(stand, [early])) == ([running], ["a"])


def test_values_that_could_not_be_stored_are_stored_later() -> None:
    stand = Stand(slots=9, is_early=True)
    jobs = [stand.job(request=b"a", priority=priority) for priority in (0, 5)]
    stand.know(METHOD, BY_SITE)
    looking = stand.batch()
    assert looking is not None
    stand.settle(looking)
    naming = stand.batch()
    assert naming is not None
    assert [job for job, _ in naming.values] == [jobs[1]]
    stand.engine.store_failed("the disk is full", stand.now, is_full=True)
    stand.wait(5)
    assert values(stand, jobs) == ["a", "a"]
    assert stand.started() == [jobs[1]]


def test_without_a_field_to_go_by_early_jobs_have_no_value() -> None:
    stand = Stand(slots=9, is_early=True)
    early = stand.job()
    stand.know(METHOD)
    stand.do()
    assert (values(stand, [early]), stand.started()) == ([""], [early])


def test_a_request_that_cannot_be_read_has_the_empty_value() -> None:
    stand = Stand(slots=9, is_early=True)
    early = stand.job(request=b"\xff")

    def read(_: bytes) -> str:
        raise UnreadableRequestError("no")

    stand.engine.know(METHOD, text_format.Parse(BY_SITE, JobOptions()), read, stand.now)
    stand.do()
    assert (values(stand, [early]), stand.started()) == ([""], [early])


def test_early_jobs_that_wait_for_something_else_get_their_values_when_they_are_ready() -> None:
    stand = Stand(slots=9, is_early=True)
    late = stand.job(request=b"a", due_at=stand.now + 50)
    stand.know(METHOD, BY_SITE)
    first = stand.job(request=b"a")
    stand.wait(60)
    assert values(stand, [late]) == ["a"]
    assert stand.started() == [first]
