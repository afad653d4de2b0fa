"""What everybody remembers, to be held against what the store says."""

from dataclasses import dataclass, field

from portcall.core.jobs.batch import AttemptOutcome


@dataclass(slots=True, kw_only=True)
class Execution:
    """One attempt as its worker knows it."""

    job: int
    attempt: int
    worker: str
    reply: bytes = b""
    first: int = 0
    """Of a stream: how many replies there were when it began."""
    total: int = 0
    """Of a stream: how many there are to be."""
    said: int = 0
    """Of a stream: how many there are now."""
    unkept: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Replies by their offsets, and checkpoints (None) by the replies before them, that the hub may not have."""
    told: AttemptOutcome | None = None
    """How it ended, once it has told somebody."""


@dataclass(slots=True, kw_only=True)
class JobRecord:
    """A job as its submitter and the store's history know it."""

    id: int
    method: str
    is_acknowledged: bool = False
    is_forgettable: bool = False
    """Somebody asked to purge it."""
    parent: int | None = None
    revivals: int = 0
    outcome: tuple[int, int, bytes | None] | None = None
    """State, attempt and reply, once they are recorded."""
    expires_at: float | None = None


@dataclass(slots=True)
class Ledger:
    """All of it."""

    jobs: dict[int, JobRecord] = field(default_factory=dict)
    executions: dict[tuple[int, int], Execution] = field(default_factory=dict)
    keys: dict[tuple[str, str], int] = field(default_factory=dict)
    submitted: int = 0
    starts: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """When attempts of a method and value were started."""
