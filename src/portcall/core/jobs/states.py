"""The states of a job, as a table.

The numbers are those of `portcall.v1.JobState`, and are in every store: none may ever change its meaning.
"""

from enum import IntEnum


class JobState(IntEnum):
    """Where a job is in its life."""

    WAITING = 1
    """For other jobs to succeed."""
    SCHEDULED = 2
    """For its time: a delay, or the back-off after a failed attempt."""
    READY = 3
    """For a free slot, or for a limit to let it through."""
    RUNNING = 4
    CANCELLING = 5
    """Told to stop, and running still."""
    SUCCEEDED = 6
    FAILED = 7
    CANCELLED = 8


class JobEvent(IntEnum):
    """What moves a job on."""

    PARENTS_SUCCEEDED = 1
    PARENTS_SUCCEEDED_EARLY = 2
    """Before the job's time has come."""
    PARENT_UNSUCCESSFUL = 3
    TIME_CAME = 4
    CLAIMED = 5
    ATTEMPT_SUCCEEDED = 6
    ATTEMPT_FAILED = 7
    """And another one will follow, after a wait."""
    ATTEMPT_FAILED_AT_ONCE = 8
    """And another one will follow without a wait."""
    ATTEMPTS_EXHAUSTED = 9
    """Or the status is not worth another attempt, or the job is poison."""
    HANDED_BACK = 10
    CANCEL_ASKED = 11
    ATTEMPT_STOPPED = 12
    """However it ended, if it did not succeed."""
    RETRIED_BY_HAND = 13


WAITING, SCHEDULED, READY, RUNNING, CANCELLING, SUCCEEDED, FAILED, CANCELLED = JobState

TRANSITIONS: dict[tuple[JobState, JobEvent], JobState] = {
    (WAITING, JobEvent.PARENTS_SUCCEEDED): READY,
    (WAITING, JobEvent.PARENTS_SUCCEEDED_EARLY): SCHEDULED,
    (WAITING, JobEvent.PARENT_UNSUCCESSFUL): CANCELLED,
    (WAITING, JobEvent.CANCEL_ASKED): CANCELLED,
    (SCHEDULED, JobEvent.TIME_CAME): READY,
    (SCHEDULED, JobEvent.CANCEL_ASKED): CANCELLED,
    (READY, JobEvent.CLAIMED): RUNNING,
    (READY, JobEvent.CANCEL_ASKED): CANCELLED,
    (RUNNING, JobEvent.ATTEMPT_SUCCEEDED): SUCCEEDED,
    (RUNNING, JobEvent.ATTEMPT_FAILED): SCHEDULED,
    (RUNNING, JobEvent.ATTEMPT_FAILED_AT_ONCE): READY,
    (RUNNING, JobEvent.ATTEMPTS_EXHAUSTED): FAILED,
    (RUNNING, JobEvent.HANDED_BACK): READY,
    (RUNNING, JobEvent.CANCEL_ASKED): CANCELLING,
    # What the attempt did is the truth, even if nobody wanted it any more.
    (CANCELLING, JobEvent.ATTEMPT_SUCCEEDED): SUCCEEDED,
    (CANCELLING, JobEvent.ATTEMPT_STOPPED): CANCELLED,
    (FAILED, JobEvent.RETRIED_BY_HAND): READY,
    (CANCELLED, JobEvent.RETRIED_BY_HAND): READY,
}

STATES: dict[int, JobState] = {int(state): state for state in JobState}
"""By their numbers; to look one up takes a third of the time that `JobState(number)` takes."""

HELD = frozenset({RUNNING, CANCELLING})
"""An attempt is under way: somebody holds the job's lease."""

ENDED = frozenset({SUCCEEDED, FAILED, CANCELLED})


def after(state: JobState, event: JobEvent, job: int) -> JobState:
    """Return the state that a job moves to.

    Raises:
        RuntimeError: the event cannot happen in this state, which is a defect of Portcall's.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise RuntimeError(f"job {job} is {state.name} and cannot be {event.name}") from None
