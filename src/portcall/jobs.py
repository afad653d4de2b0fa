"""What programs are told of jobs, as values: how one stands, and what happens to it."""

from portcall.client.jobs.errors import JobError, SubmitError
from portcall.client.jobs.handles import Job, StreamJob
from portcall.client.jobs.submitting import SubmitOptions
from portcall.client.jobs.telling import (
    AttemptEnded,
    AttemptOutcome,
    JobEvent,
    JobStatus,
    Logged,
    Progressed,
    StateChanged,
)
from portcall.core.jobs.states import JobState

__all__ = [
    "AttemptEnded",
    "AttemptOutcome",
    "Job",
    "JobError",
    "JobEvent",
    "JobState",
    "JobStatus",
    "Logged",
    "Progressed",
    "StateChanged",
    "StreamJob",
    "SubmitError",
    "SubmitOptions",
]
