"""What users are told of jobs: a status, and events. Values only, and how they are made of the hub's messages."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

import grpc

from portcall.core.jobs.states import ENDED, JobState
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.status import status_code


class AttemptOutcome(IntEnum):
    """How an attempt ended."""

    SUCCEEDED = 1
    FAILED = 2
    """With a status that is not OK."""
    DIED = 3
    """With its worker."""
    LOST = 4
    """Nobody knows: the hub was away for longer than it waits."""
    HANDED_BACK = 5
    """The worker had not begun it. It does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """How a job stands. Times that have not come yet are None."""

    id: str
    method: str
    """SERVICE/METHOD."""
    state: JobState
    reason: str
    """Why it does not run, in words, where there is something to say."""
    code: grpc.StatusCode
    """Of the job if it has ended, else of its last attempt; OK if there was none."""
    details: str
    attempt: int
    """Number of the last attempt that was started; 0 for none."""
    failures: int
    """Attempts that count against those it may have."""
    deaths: int
    """Of these, how many ended with the death of their worker."""
    worker: str
    """Where the last attempt ran."""
    key: str
    parent: str
    step: str
    labels: dict[str, str]
    priority: int
    value: str
    """Of the request's field by which the method's jobs take turns."""
    replies: int
    """Stored so far, of a server-streaming method."""
    pending: int
    """Jobs that it still waits for."""
    submitted_at: datetime
    due_at: datetime
    """When it may start, or could have."""
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None
    """When it is forgotten."""

    @property
    def has_ended(self) -> bool:
        """Whether it has succeeded, failed or been cancelled."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a job. Numbers rise within a job, and say nothing else."""

    number: int
    at: datetime
    attempt: int
    """The attempt that it belongs to; 0 before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    """The job is in this state now; if that is its last one, with its status."""

    state: JobState
    code: grpc.StatusCode
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(Event):
    """The attempt tells how far it is. `total` is 0 where it is not known."""

    done: float
    total: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged(Event):
    """The attempt has logged a line, at a level of Python's `logging`."""

    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded(Event):
    """The attempt is over and another will follow."""

    outcome: AttemptOutcome
    code: grpc.StatusCode
    details: str
    worker: str


JobEvent = StateChanged | Progressed | Logged | AttemptEnded


def status_of(job: pb.Job) -> JobStatus:
    """Return what the hub says of a job."""
    return JobStatus(
        id=job.id,
        method=job.method.removeprefix("/"),
        state=JobState(job.state),
        reason=job.reason,
        code=status_code(job.status),
        details=job.details,
        attempt=job.attempt,
        failures=job.failures,
        deaths=job.deaths,
        worker=job.worker,
        key=job.key,
        parent=job.parent,
        step=job.step,
        labels=dict(job.labels),
        priority=job.priority,
        value=job.value,
        replies=job.replies,
        pending=job.pending,
        submitted_at=_time(job.submitted_at),
        due_at=_time(job.due_at),
        started_at=_time_if(job.started_at),
        ended_at=_time_if(job.ended_at),
        expires_at=_time_if(job.expires_at),
    )


def event_of(event: pb.Event) -> JobEvent | None:
    """Return an event; None for one of a kind that a newer hub tells."""
    number, at, attempt = event.number, _time(event.at), event.attempt
    match event.WhichOneof("event"):
        case "state":
            return StateChanged(
                number=number,
                at=at,
                attempt=attempt,
                state=JobState(event.state),
                code=status_code(event.status),
                details=event.details,
            )
        case "progress":
            told = event.progress
            return Progressed(number=number, at=at, attempt=attempt, done=told.done, total=told.total, note=told.note)
        case "log":
            return Logged(number=number, at=at, attempt=attempt, level=event.log.level, text=event.log.text)
        case "attempt_ended":
            ended = event.attempt_ended
            return AttemptEnded(
                number=number,
                at=at,
                attempt=attempt,
                outcome=AttemptOutcome(ended.outcome),
                code=status_code(ended.status),
                details=ended.details,
                worker=ended.worker,
            )
    return None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _time_if(seconds: float) -> datetime | None:
    return _time(seconds) if seconds else None
