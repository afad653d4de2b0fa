"""What happened to a job, in order, and the numbers by which a watcher resumes.

No store keeps a row for what a job's own row and those of its attempts say already: a job that just runs and succeeds
costs nothing here. Numbers are made so that these events have theirs all the same: the upper bits are the attempt's
number, the lower ones rise within it; an attempt begins with 0 and ends with the highest.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from portcall.core.jobs.attempts import NOTE_BITS
from portcall.core.jobs.identity import submitted_at
from portcall.core.jobs.rows import AttemptRow, JobRow, NoteRow
from portcall.core.jobs.states import ENDED, HELD, READY, RUNNING, SCHEDULED, WAITING, JobState

PROGRESS: Final = 1
LOG: Final = 2
"""Kinds of note."""

SUBMITTED: Final = 1
"""Number of the first event."""

_LAST = (1 << NOTE_BITS) - 1


class Happening(NamedTuple):
    """One event: the job is in a state, or an attempt has ended and another follows, or it told something."""

    number: int
    at: float
    attempt: int
    state: JobState | None = None
    ended: AttemptRow | None = None
    note: NoteRow | None = None


def start_number(attempt: int) -> int:
    """Return the number of the event that an attempt has begun."""
    return attempt << NOTE_BITS


def end_number(attempt: int) -> int:
    """Return the number of the event that an attempt, or with it the job, has ended."""
    return attempt << NOTE_BITS | _LAST


def history(job: JobRow, attempts: Sequence[AttemptRow], notes: Sequence[NoteRow], after: int = 0) -> list[Happening]:
    """Return what happened to a job behind the event number `after`, in order."""
    events = [*_events(job, attempts)]
    events += [Happening(note.number, note.at, note.number >> NOTE_BITS, note=note) for note in notes]
    return sorted([event for event in events if event.number > after], key=lambda event: event.number)


def _events(job: JobRow, attempts: Sequence[AttemptRow]) -> Iterator[Happening]:
    begun = submitted_at(job.id)
    yield Happening(SUBMITTED, begun, 0, state=_first_state(job, begun))
    for attempt in attempts:
        yield Happening(start_number(attempt.number), attempt.started_at, attempt.number, state=RUNNING)
        yield Happening(end_number(attempt.number), attempt.ended_at, attempt.number, ended=attempt)
    is_last_told = bool(attempts) and attempts[-1].number == job.attempt
    if job.attempt and not is_last_told and job.started_at is not None and (job.state in HELD or job.state in ENDED):
        yield Happening(start_number(job.attempt), job.started_at, job.attempt, state=RUNNING)
    if job.state in ENDED and job.ended_at is not None:
        # A job that was cancelled while it waited for its next attempt ends after the one that ended before.
        number = end_number(job.attempt) + is_last_told
        yield Happening(number, job.ended_at, job.attempt, state=job.state)


def _first_state(job: JobRow, begun: float) -> JobState:
    """Return the state that a job was submitted in, as far as it can still be told."""
    if job.pending:
        return WAITING
    return SCHEDULED if not job.attempt and job.due_at > begun + 1.0 else READY
