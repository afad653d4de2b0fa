"""What the end of an attempt means for its job."""

from random import Random

import pytest

from portcall.core import refusals
from portcall.core.jobs.backoff import backoff_s
from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.policy import Backoff, Policy
from portcall.core.jobs.states import CANCELLING, RUNNING, JobEvent, JobState
from portcall.core.jobs.verdicts import DETAILS_LENGTH_MAX, Ending, Verdict, died, handed_back, judge, lost, timed_out

POLICY = Policy(attempts_max=3, deaths_max=2, backoff=Backoff(initial_s=1, max_s=10, multiplier=2, jitter=0))
FAILED = Ending(outcome=AttemptOutcome.FAILED, status=refusals.UNAVAILABLE, details="no luck", worker="w")
SUCCEEDED = Ending(outcome=AttemptOutcome.SUCCEEDED, worker="w", reply=b"r")


def judged(
    ending: Ending, failures: int = 0, deaths: int = 0, state: JobState = RUNNING, policy: Policy = POLICY
) -> Verdict:
    return judge(ending, state, failures, deaths, policy, Random(1))


def test_a_success_is_one_even_if_nobody_wanted_it_any_more() -> None:
    for state in (RUNNING, CANCELLING):
        assert judged(SUCCEEDED, 2, 1, state) == Verdict(JobEvent.ATTEMPT_SUCCEEDED, 2, 1, refusals.OK, "")


def test_a_failure_is_repeated_after_a_wait_until_attempts_are_used_up() -> None:
    verdicts = [judged(FAILED, failures) for failures in range(3)]
    assert [(verdict.event, verdict.failures, verdict.wait_s) for verdict in verdicts] == [
        (JobEvent.ATTEMPT_FAILED, 1, 1.0),
        (JobEvent.ATTEMPT_FAILED, 2, 2.0),
        (JobEvent.ATTEMPTS_EXHAUSTED, 3, 0.0),
    ]
    assert (verdicts[-1].status, verdicts[-1].details) == (refusals.UNAVAILABLE, "no luck")


def test_no_wait_is_no_wait() -> None:
    policy = Policy(backoff=Backoff(initial_s=0, max_s=0))
    assert judged(FAILED, policy=policy).event is JobEvent.ATTEMPT_FAILED_AT_ONCE


@pytest.mark.parametrize("status", range(1, 17))
def test_some_statuses_are_not_worth_another_attempt(status: int) -> None:
    verdict = judged(FAILED._replace(status=status))
    is_repeated = verdict.event is JobEvent.ATTEMPT_FAILED
    assert is_repeated == (status in POLICY.retry_on)
    assert is_repeated == (status in {2, 4, 8, 10, 13, 14})


def test_the_wait_is_no_shorter_than_the_handler_advises() -> None:
    assert judged(FAILED._replace(retry_delay_s=7.5)).wait_s == 7.5
    assert judged(FAILED._replace(retry_delay_s=0.1)).wait_s == 1.0


def test_a_death_is_worth_another_attempt_whatever_the_options_say() -> None:
    verdict = judged(died("w1"), policy=Policy(retry_on=frozenset({1}), backoff=POLICY.backoff))
    assert (verdict.event, verdict.failures, verdict.deaths) == (JobEvent.ATTEMPT_FAILED, 1, 1)
    assert verdict.details == "Worker w1 was lost while it ran this job"


def test_what_kills_its_workers_is_set_aside() -> None:
    verdict = judged(died("w1"), 1, 1)
    assert verdict.event is JobEvent.ATTEMPTS_EXHAUSTED
    assert (verdict.deaths, verdict.status) == (2, refusals.INTERNAL)
    assert verdict.details.startswith("Set aside as poison: 2 workers died while they ran it. Worker w1 was lost")


def test_a_lost_attempt_counts_and_is_no_death() -> None:
    verdict = judged(lost(), 0, 1)
    assert (verdict.event, verdict.failures, verdict.deaths) == (JobEvent.ATTEMPT_FAILED, 1, 1)


def test_what_is_handed_back_costs_nothing() -> None:
    verdict = judged(handed_back("w"), 2, 1)
    assert (verdict.event, verdict.failures, verdict.deaths) == (JobEvent.HANDED_BACK, 2, 1)


@pytest.mark.parametrize(
    ("ending", "details"),
    [
        (FAILED._replace(status=refusals.CANCELLED, details="stopped"), "Cancelled on request"),
        (FAILED, "Cancelled on request; no luck"),
        (died("w"), "Cancelled on request; Worker w was lost while it ran this job"),
        (handed_back("w"), "Cancelled on request; Handed back unstarted"),
    ],
)
def test_what_was_to_stop_has_stopped_however_it_ended(ending: Ending, details: str) -> None:
    verdict = judged(ending, 2, 0, CANCELLING)
    assert (verdict.event, verdict.status, verdict.details) == (JobEvent.ATTEMPT_STOPPED, refusals.CANCELLED, details)


def test_an_attempt_whose_time_was_up_says_so() -> None:
    verdict = judged(timed_out(FAILED, 1.5))
    assert (verdict.status, verdict.details) == (4, "The attempt was stopped after its timeout of 1.5 s")


def test_long_details_are_cut() -> None:
    assert len(judged(FAILED._replace(details="x" * 10_000)).details) == DETAILS_LENGTH_MAX


# --- the wait ---------------------------------------------------------------------------------------------------------


def test_waits_grow_up_to_their_ceiling() -> None:
    backoff = Backoff(initial_s=1, max_s=10, multiplier=2, jitter=0)
    assert [backoff_s(backoff, failures, Random(1)) for failures in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_the_thousandth_wait_overflows_nothing() -> None:
    assert backoff_s(Backoff(initial_s=1, max_s=10, multiplier=100, jitter=0), 10_000, Random(1)) == 10


@pytest.mark.parametrize(("jitter", "least"), [(0.0, 8.0), (0.5, 4.0), (1.0, 0.0)])
def test_chance_takes_no_more_than_its_part(jitter: float, least: float) -> None:
    rng = Random(1)
    waits = [backoff_s(Backoff(initial_s=8, max_s=8, jitter=jitter), 1, rng) for _ in range(1_000)]
    assert least <= min(waits) <= max(waits) <= 8.0
    assert max(waits) - min(waits) >= 0.9 * (8.0 - least)
