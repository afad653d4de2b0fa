"""What a job engine wants done, and what it has to tell: by the kind, in lists."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from portcall.core.jobs.states import JobState


class StopReason(Enum):
    """Why an attempt has to stop."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    FENCED = "fenced"
    """Another attempt has taken its place, or the job has ended: nothing that it does counts."""


class Submitted(NamedTuple):
    """What became of one submission. Without an id it was refused, with a status and why, in words."""

    id: int | None
    state: JobState | None
    existed: bool = False
    status: int = 0
    details: str = ""
    reason: str = ""
    """Why the store or the hub refused, for programs; see `portcall.core.refusals`."""


class Answer(NamedTuple):
    """What became of the submissions of one `submit`, in their order. All that is stored is on the disk."""

    token: Any
    jobs: list[Submitted]


class Start(NamedTuple):
    """Run an attempt. It holds the job from now on, until it is told to have ended, died or been handed back."""

    job: int
    attempt: int
    method: str
    request: bytes
    metadata: bytes | None
    timeout_s: float | None
    checkpoint: bytes | None
    replies: int
    """Where its replies begin: how many of an earlier attempt's stay."""


class Stop(NamedTuple):
    """Make an attempt stop. Its end is to be told all the same, except when it is fenced."""

    job: int
    attempt: int
    reason: StopReason


class Adopted(NamedTuple):
    """An attempt that a worker has come back with goes on. What it tells is to follow what has been heard of it."""

    job: int
    attempt: int
    method: str
    timeout_s: float | None
    """How much of its time is left."""
    replies: int
    """How many of the job's replies are known; the next one has this offset. They need not be on the disk yet, so its
    worker keeps them until `Told`."""


class Told(NamedTuple):
    """What an attempt told is on the disk."""

    job: int
    attempt: int
    note: int
    """Number of the last note; 0 if there was none."""
    replies: int
    """How many replies are there now; 0 if there was none."""
    has_checkpoint: bool


class Outcome(NamedTuple):
    """A job is in another state. `reply` is that of a unary method that has succeeded."""

    job: int
    method: str
    state: JobState
    attempt: int
    at: float
    status: int
    details: str
    reply: bytes | None
    trailers: bytes | None


class Recorded(NamedTuple):
    """The end of an attempt is on the disk, or counts for nothing: its worker may forget it."""

    job: int
    attempt: int


@dataclass(slots=True, kw_only=True)
class Effects:
    """What a shell has to do, in this order."""

    recorded: list[Recorded] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    """For those who wait for or watch these jobs; of all changes, ends and others."""
    answers: list[Answer] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    done: list[Any] = field(default_factory=list)
    """Tokens of other requests that are on the disk."""
    failed: list[tuple[Any, str]] = field(default_factory=list)
    """Tokens of other requests that could not be stored, and why."""
    missed: list[tuple[str, str]] = field(default_factory=list)
    """Names of schedules whose time was now, and why their jobs were refused."""
    adopted: list[Adopted] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
