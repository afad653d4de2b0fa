"""What a hub holds of jobs at most, and how often it looks. Every value is a setting of the hub."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """Bounds of a job engine. Times in seconds, sizes in bytes."""

    submissions_waiting_max: int = 100_000
    """Submitted jobs that may wait for the store; past it a submission is refused with RESOURCE_EXHAUSTED."""

    bytes_waiting_max: int = 268_435_456
    """Bytes of the requests of these."""

    batch_jobs_max: int = 2_000
    """Jobs that are appended in one batch, and likewise ended and started: what a waiting submitter waits behind."""

    request_jobs_max: int = 10_000
    """Jobs that are cancelled, retried or purged by hand in one batch, if a single request has no more."""

    adopt_s: float = 30.0
    """After a start, how long attempts that were running may take to come back with their workers."""

    flows_max: int = 10_000
    """Flows of one method that are kept in memory; more stay in the store until these run low."""

    values_max: int = 1_000_000
    """Values of one method whose rate is remembered; past it, jobs of further values wait."""

    schedules_max: int = 10_000

    notes_max: int = 10_000
    """Progress and log lines of one attempt that are kept; later ones are dropped."""

    progress_every_s: float = 1.0
    """Of progress that comes more often, the latest is kept."""

    purge_every_s: float = 10.0
    purge_jobs_max: int = 1_000
    """Jobs that one batch forgets."""

    ended_max: int = 10_000_000
    """Ended jobs that are kept; past it, those go first that would go first anyway."""

    store_retry_s: float = 1.0
    """How long a store that cannot write is left alone."""
