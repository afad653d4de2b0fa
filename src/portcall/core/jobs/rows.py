"""What can be read of stored jobs."""

from dataclasses import dataclass
from typing import NamedTuple

from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.states import JobState


class JobRow(NamedTuple):
    """A job as it is stored."""

    id: int
    method: str
    state: JobState
    rank: int
    attempt: int
    failures: int
    deaths: int
    pending: int
    """Parents that it still waits for."""
    due_at: float
    started_at: float | None
    ended_at: float | None
    expires_at: float | None
    status: int | None
    details: str
    worker: str
    value: str
    key: str | None
    parent: int | None
    step: str | None
    trailers: bytes | None
    reply: bytes | None
    """None in a listing without payloads."""
    request: bytes | None
    metadata: bytes | None
    labels: tuple[tuple[str, str], ...]
    replies: int


class AttemptRow(NamedTuple):
    """An attempt that another one followed, or may."""

    job: int
    number: int
    started_at: float
    ended_at: float
    outcome: AttemptOutcome
    status: int
    details: str
    worker: str


class NoteRow(NamedTuple):
    """Something that an attempt told."""

    job: int
    number: int
    at: float
    kind: int
    body: bytes


class ReplyRow(NamedTuple):
    """A stored reply of a server-streaming job."""

    offset: int
    attempt: int
    message: bytes


class Tally(NamedTuple):
    """How many jobs of a method are in a state."""

    method: str
    state: JobState
    jobs: int


class Backlog(NamedTuple):
    """What waits of a method's jobs, beyond their number."""

    method: str
    retrying: int
    """How many are SCHEDULED after an attempt, among the first `BACKLOG_SCHEDULED_MAX` of all methods."""
    ready_since: float | None
    """Since when the READY job waits that was due first: the oldest in each of the first `BACKLOG_FLOWS_MAX` flows."""


BACKLOG_SCHEDULED_MAX = 10_000
BACKLOG_FLOWS_MAX = 1_000
"""How far a look goes: its cost is bounded, whatever is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list: those that match all that is given."""

    method: str | None = None
    states: frozenset[JobState] = frozenset()
    """Empty for any."""
    key: str | None = None
    parent: int | None = None
    label: str | None = None
    label_value: str | None = None
    id_min: int = 0
    """Lowest id; `identity.first_id_at` gives one for a time."""
    id_max: int = (1 << 63) - 1


class Page(NamedTuple):
    """Jobs of a listing, the newest first, and the `before` of the next page; None if there is no more."""

    jobs: list[JobRow]
    next_before: int | None
