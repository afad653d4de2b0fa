"""Between the messages of `portcall.v1.Jobs` and the values of the core."""

from typing import cast

from portcall.core.jobs.batch import UNSORTED
from portcall.core.jobs.identity import id_text, parse_id, submitted_at
from portcall.core.jobs.ranks import priority_of
from portcall.core.jobs.rows import AttemptRow, JobRow
from portcall.core.jobs.submissions import Submission
from portcall.protos.portcall.v1 import jobs_pb2


def submission_of(message: jobs_pb2.Submission, now: float, parent_attempt: int | None = None) -> Submission:
    """Return a submission.

    Raises:
        BadJobIdError: it names a job by what is no id.
    """
    due_at = 0.0
    if message.HasField("at"):
        due_at = message.at
    elif message.HasField("delay_s"):
        due_at = now + message.delay_s
    metadata = jobs_pb2.MetadataEntries(entries=message.metadata).SerializeToString() if message.metadata else None
    return Submission(
        method=message.method,
        request=message.request,
        key=message.key or None,
        due_at=due_at,
        priority=message.priority,
        after=tuple(map(parse_id, message.after)),
        parent=parse_id(message.parent) if message.parent else None,
        parent_attempt=parent_attempt,
        step=message.step or None,
        labels=tuple(message.labels.items()),
        metadata=metadata,
        overrides=message.overrides.SerializeToString() if message.HasField("overrides") else None,
    )


def job_message(row: JobRow) -> jobs_pb2.Job:
    """Return a job as the service tells it. The reason why it waits is the engine's to add."""
    return jobs_pb2.Job(
        id=id_text(row.id),
        method=row.method,
        state=cast(jobs_pb2.JobState, row.state),
        key=row.key if row.key is not None and row.step is None else "",
        parent="" if row.parent is None else id_text(row.parent),
        step=row.step or "",
        labels=dict(row.labels),
        priority=priority_of(row.rank),
        value="" if row.value == UNSORTED else row.value,
        attempt=row.attempt,
        failures=row.failures,
        deaths=row.deaths,
        submitted_at=submitted_at(row.id),
        due_at=row.due_at,
        started_at=row.started_at or 0.0,
        ended_at=row.ended_at or 0.0,
        expires_at=row.expires_at or 0.0,
        status=row.status or 0,
        details=row.details,
        worker=row.worker,
        reply=row.reply or b"",
        trailers=jobs_pb2.MetadataEntries.FromString(row.trailers or b"").entries,
        request=row.request or b"",
        replies=row.replies,
        pending=row.pending,
    )


def attempt_message(row: AttemptRow) -> jobs_pb2.Attempt:
    """Return an attempt as the service tells it."""
    return jobs_pb2.Attempt(
        job=id_text(row.job),
        number=row.number,
        started_at=row.started_at,
        ended_at=row.ended_at,
        outcome=cast(jobs_pb2.Attempt.Outcome, row.outcome),
        status=row.status,
        details=row.details,
        worker=row.worker,
    )
