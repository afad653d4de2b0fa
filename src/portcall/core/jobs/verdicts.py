"""What an attempt's end means for its job: the rule of retries, as one function."""

from typing import NamedTuple

from portcall.core.jobs.backoff import Chance, backoff_s
from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.causes import ASKED
from portcall.core.jobs.policy import Policy
from portcall.core.jobs.states import CANCELLING, JobEvent, JobState
from portcall.core.refusals import CANCELLED, DEADLINE_EXCEEDED, INTERNAL, OK, UNAVAILABLE

DETAILS_LENGTH_MAX = 8_192
"""Longer status messages are cut."""


class Ending(NamedTuple):
    """How an attempt ended, as its worker or the hub tells."""

    outcome: AttemptOutcome
    status: int = OK
    details: str = ""
    worker: str = ""
    reply: bytes | None = None
    trailers: bytes | None = None
    retry_delay_s: float | None = None
    """What the handler advises (`google.rpc.RetryInfo`); the back-off is no shorter."""


class Verdict(NamedTuple):
    """What becomes of the job."""

    event: JobEvent
    failures: int
    deaths: int
    status: int
    details: str
    wait_s: float = 0.0


def died(worker: str) -> Ending:
    """Return the ending of an attempt whose worker is gone."""
    details = f"Worker {worker} was lost while it ran this job"
    return Ending(outcome=AttemptOutcome.DIED, status=UNAVAILABLE, details=details, worker=worker)


def lost() -> Ending:
    """Return the ending of an attempt that ran when the hub went away and has not come back since."""
    details = "The hub was restarted, and no worker came back with this attempt"
    return Ending(outcome=AttemptOutcome.LOST, status=UNAVAILABLE, details=details)


def handed_back(worker: str) -> Ending:
    """Return the ending of an attempt that its worker had not begun."""
    return Ending(
        outcome=AttemptOutcome.HANDED_BACK, status=UNAVAILABLE, details="Handed back unstarted", worker=worker
    )


def timed_out(ending: Ending, timeout_s: float) -> Ending:
    """Return the ending of an attempt that was stopped because its time was up."""
    details = f"The attempt was stopped after its timeout of {timeout_s:g} s"
    return Ending(
        outcome=AttemptOutcome.FAILED,
        status=DEADLINE_EXCEEDED,
        details=details,
        worker=ending.worker,
        trailers=ending.trailers,
    )


def judge(
    ending: Ending, state: JobState, failures: int, deaths: int, policy: Policy, rng: Chance, cause: str = ASKED
) -> Verdict:
    """Return what becomes of a job whose attempt has ended.

    `failures` and `deaths` are those before this attempt; `cause` says why it was to stop, if it was.
    """
    details = ending.details[:DETAILS_LENGTH_MAX]
    if ending.outcome is AttemptOutcome.SUCCEEDED:
        return Verdict(JobEvent.ATTEMPT_SUCCEEDED, failures, deaths, OK, details)
    if ending.outcome is AttemptOutcome.HANDED_BACK and state is not CANCELLING:
        return Verdict(
            event=JobEvent.HANDED_BACK, failures=failures, deaths=deaths, status=ending.status, details=details
        )
    failures += 1
    deaths += ending.outcome is AttemptOutcome.DIED
    if state is CANCELLING:
        words = cause if ending.status in (CANCELLED, OK) else f"{cause}; {details}"
        return Verdict(
            event=JobEvent.ATTEMPT_STOPPED, failures=failures, deaths=deaths, status=CANCELLED, details=words
        )
    status = ending.status
    is_worth_it = ending.outcome is not AttemptOutcome.FAILED or status in policy.retry_on
    if deaths >= policy.deaths_max and ending.outcome is AttemptOutcome.DIED:
        is_worth_it, status = False, INTERNAL
        details = f"Set aside as poison: {deaths} workers died while they ran it. {details}"
    if not is_worth_it or failures >= policy.attempts_max:
        return Verdict(
            event=JobEvent.ATTEMPTS_EXHAUSTED, failures=failures, deaths=deaths, status=status, details=details
        )
    wait_s = max(backoff_s(policy.backoff, failures, rng), ending.retry_delay_s or 0.0)
    event = JobEvent.ATTEMPT_FAILED if wait_s > 0 else JobEvent.ATTEMPT_FAILED_AT_ONCE
    return Verdict(event=event, failures=failures, deaths=deaths, status=status, details=details, wait_s=wait_s)
