"""What people and programs ask of stored jobs and schedules; performed with the next batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portcall.core.jobs.schedules import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJobs:
    """Cancel jobs, and what depends on them."""

    token: Any
    jobs: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryJobs:
    """Let jobs begin anew; each with the rank that its row has."""

    token: Any
    jobs: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeJobs:
    """Forget jobs that have ended."""

    token: Any
    jobs: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutSchedule:
    """Create or replace a schedule."""

    token: Any
    schedule: Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSchedule:
    """Remove a schedule."""

    token: Any
    name: str


Request = CancelJobs | RetryJobs | PurgeJobs | PutSchedule | RemoveSchedule
