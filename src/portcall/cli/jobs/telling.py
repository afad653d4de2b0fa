"""Jobs, attempts and events in words and as JSON."""

import base64
import json
import logging
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.table import Table

from portcall.cli.call.printing import printable
from portcall.cli.output import table
from portcall.client.jobs.telling import (
    AttemptEnded,
    AttemptOutcome,
    JobEvent,
    Logged,
    Progressed,
    StateChanged,
)
from portcall.core.durations import duration
from portcall.core.jobs.states import ENDED, HELD, JobState
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.status import status_code

STATES = tuple(state.name.lower() for state in JobState)

DETAILS_LENGTH = 100
"""What a table shows of a status message; `show` has all of it."""


def state_name(state: int) -> str:
    """Return a state in words."""
    known = {each.value for each in JobState}
    return JobState(state).name.lower() if state in known else f"state {state}"


def status_words(status: int, details: str) -> str:
    """Return a status that is not OK in a line; nothing for OK."""
    if not status:
        return ""
    return status_code(status).name + (f": {printable(details)}" if details else "")


def when(seconds: float) -> str:
    """Return a time for people, in the local zone."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def job_table(jobs: list[pb.Job]) -> Table:
    """Return the table of `ls`."""
    made = table("ID", "METHOD", "STATE", "ATTEMPT", "AGE", "TOOK", "KEY", "WHY", right=(3,))
    now = time.time()
    for job in jobs:
        made.add_row(
            job.id,
            job.method.removeprefix("/"),
            state_name(job.state),
            str(job.attempt) if job.attempt else "-",
            duration(max(0.0, now - job.submitted_at)),
            _took(job, now),
            printable(job.key or (f"step {job.step}" if job.step else "-")),
            why(job)[:DETAILS_LENGTH],
        )
    return made


def why(job: pb.Job) -> str:
    """Return why a job is where it is, in a line, where there is something to say."""
    if job.state == pb.JOB_STATE_SUCCEEDED:
        return ""
    last = status_words(job.status, job.details)
    if has_ended(job) or not job.reason:
        return last
    return f"{printable(job.reason)} ({last})" if last else printable(job.reason)


def _took(job: pb.Job, now: float) -> str:
    if not job.started_at:
        return "-"
    ended = job.ended_at if has_ended(job) else now if int(job.state) in HELD else 0.0
    if ended <= job.started_at:
        return "-"
    return took(ended - job.started_at)


def took(seconds: float) -> str:
    """Return how long something took that may have been short."""
    return f"{seconds * 1e3:.0f}ms" if seconds < 1 else duration(seconds)


def clock(at: datetime) -> str:
    """Return a local time to the millisecond, with its date unless that is today's."""
    local = at.astimezone()
    date = "" if local.date() == datetime.now().astimezone().date() else f"{local.date()} "
    return date + local.strftime("%H:%M:%S.%f")[:-3]


def has_ended(job: pb.Job) -> bool:
    """Whether a job has succeeded, failed or been cancelled."""
    return int(job.state) in ENDED


def job_json(job: pb.Job) -> dict[str, Any]:
    """Return a job for programs, without its payloads. Times that have not come are null."""
    times = ("submitted_at", "due_at", "started_at", "ended_at", "expires_at")
    plain = ("id", "key", "parent", "step", "priority", "value", "attempt", "failures", "deaths", "worker", "reason")
    return {
        **{name: getattr(job, name) for name in plain[:1]},
        "method": job.method.removeprefix("/"),
        "state": state_name(job.state),
        **{name: getattr(job, name) for name in plain[1:]},
        "labels": dict(job.labels),
        **{name: getattr(job, name) or None for name in times},
        "status": status_code(job.status).name,
        "details": job.details,
        "replies": job.replies,
        "pending": job.pending,
    }


def metadata_texts(entries: Iterable[pb.MetadataEntry]) -> dict[str, str]:
    """Return metadata as text; values of -bin keys in base64, as they are given."""
    return {
        entry.key: base64.b64encode(entry.value).decode()
        if entry.key.endswith("-bin")
        else printable(entry.value.decode("ascii", errors="backslashreplace"))
        for entry in entries
    }


def attempt_json(attempt: pb.Attempt) -> dict[str, Any]:
    """Return an attempt for programs."""
    return {
        "number": attempt.number,
        "outcome": _outcome(attempt.outcome),
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "status": status_code(attempt.status).name,
        "details": attempt.details,
        "worker": attempt.worker,
    }


def attempt_line(attempt: pb.Attempt) -> str:
    """Return an attempt in a line."""
    span = took(max(0.0, attempt.ended_at - attempt.started_at))
    told = status_words(attempt.status, attempt.details)
    where = f" on {printable(attempt.worker)}" if attempt.worker else ""
    return f"{attempt.number}: {_outcome(attempt.outcome)} after {span}{where}" + (f": {told}" if told else "")


def _outcome(outcome: int) -> str:
    known = {each.value for each in AttemptOutcome}
    return AttemptOutcome(outcome).name.lower().replace("_", " ") if outcome in known else f"outcome {outcome}"


def event_line(event: JobEvent) -> str:
    """Return an event in words, without its time."""
    match event:
        case StateChanged(state=state):
            told = status_words(event.code.value[0], event.details)
            attempt = f", attempt {event.attempt}" if event.attempt and state not in ENDED else ""
            return state_name(state) + attempt + (f": {told}" if told else "")
        case Progressed():
            return progress_words(event)
        case Logged(level=level, text=text):
            return f"{logging.getLevelName(level)}: {printable(text)}"
        case AttemptEnded():
            told = status_words(event.code.value[0], event.details)
            return f"attempt {event.attempt} {_outcome(event.outcome)}" + (f": {told}" if told else "")


def progress_words(event: Progressed) -> str:
    """Return progress in words."""
    done = f"{event.done:g} of {event.total:g}" if event.total else f"{event.done:g}"
    return f"progress {done}" + (f": {printable(event.note)}" if event.note else "")


def event_json(job_id: str, event: JobEvent) -> str:
    """Return an event for programs, in a line."""
    told: dict[str, Any] = {
        "job": job_id,
        "number": event.number,
        "at": event.at.timestamp(),
        "attempt": event.attempt,
    }
    match event:
        case StateChanged():
            told |= {"event": "state", "state": state_name(event.state)}
            told |= {"status": event.code.name, "details": event.details} if event.state in ENDED else {}
        case Progressed():
            told |= {"event": "progress", "done": event.done, "total": event.total, "note": event.note}
        case Logged():
            told |= {"event": "log", "level": event.level, "text": event.text}
        case AttemptEnded():
            told |= {"event": "attempt_ended", "outcome": _outcome(event.outcome), "status": event.code.name}
            told |= {"details": event.details, "worker": event.worker}
    return json.dumps(told, ensure_ascii=False)
