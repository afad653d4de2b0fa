"""One batch under way: what went into it, to be settled or put back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from portcall.core.jobs.attempts import Attempt
from portcall.core.jobs.batch import Batch, Checkpoint, Flow, NewValue, Note, Reply, ScheduleRow
from portcall.core.jobs.dispatch import Method
from portcall.core.jobs.policy import Policy
from portcall.core.jobs.requests import Request
from portcall.core.jobs.schedules import Schedule
from portcall.core.jobs.submissions import Draft


@dataclass(slots=True)
class Telling:
    """What one attempt told, and the store does not know yet."""

    attempt: Attempt
    notes: list[Note] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Options of a method that the store is told."""

    method: Method
    options: bytes
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStep:
    """Where a schedule will stand."""

    schedule: Schedule
    row: ScheduleRow
    replaces: int | None = None
    """The job that is cancelled for the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """What an engine has to remember of the batch that is under way."""

    batch: Batch
    over: list[Attempt]
    tellings: list[Telling]
    announcements: list[Announcement]
    requests: list[Request]
    draft: Draft
    values: Sequence[tuple[NewValue, Flow]]
    """Of jobs that were unsorted, and the flows that they are in then."""
    schedules: Mapping[str, ScheduleStep | None]
    """Where schedules will stand; None for those that are removed."""
