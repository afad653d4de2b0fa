"""What happened to a job, worked out from its row and what else is stored; and how the service tells it."""

import pytest

from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.history import LOG, PROGRESS, SUBMITTED, end_number, history, start_number
from portcall.core.jobs.identity import BadJobIdError, id_text, submitted_at
from portcall.core.jobs.messages import attempt_message, job_message, submission_of
from portcall.core.jobs.requests import CancelJobs, RetryJobs
from portcall.core.jobs.rows import AttemptRow, JobRow
from portcall.core.jobs.states import CANCELLED, READY, RUNNING, SCHEDULED, SUCCEEDED, WAITING, JobState
from portcall.protos.portcall.v1 import jobs_pb2
from portcall.protos.portcall.v1.options_pb2 import JobOverrides

from .stand import METHOD, NOW, OTHER, Stand


def told(stand: Stand, job: int, after: int = 0) -> list[tuple[int, object]]:
    """The attempt and what happened, in order."""
    notes = stand.store.notes(job, after=after, limit=99)
    events = history(stand.row(job), stand.store.attempts(job), notes, after)
    numbers = [event.number for event in events]
    assert numbers == sorted(set(numbers))
    return [
        (event.attempt, event.state or (event.ended and event.ended.outcome) or (event.note and event.note.body))
        for event in events
    ]


def test_a_job_that_just_ran() -> None:
    stand = Stand(slots=1)
    job = stand.job()
    assert told(stand, job) == [(0, READY), (1, RUNNING)]
    stand.end((job, 1))
    stand.do()
    assert told(stand, job) == [(0, READY), (1, RUNNING), (1, SUCCEEDED)]
    assert told(stand, job, SUBMITTED) == [(1, RUNNING), (1, SUCCEEDED)]
    assert told(stand, job, start_number(1)) == [(1, SUCCEEDED)]
    assert told(stand, job, end_number(1)) == []


def test_a_job_of_several_attempts_that_told_something() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "backoff { initial_s: 0 max_s: 0 }")
    job = stand.job()
    stand.engine.logged(job, 1, b"one", stand.now)
    stand.fail((job, 1))
    stand.do()
    stand.engine.logged(job, 2, b"two", stand.now)
    stand.end((job, 2))
    stand.do()
    assert told(stand, job) == [
        (0, READY),
        (1, RUNNING),
        (1, b"one"),
        (1, AttemptOutcome.FAILED),
        (2, RUNNING),
        (2, b"two"),
        (2, SUCCEEDED),
    ]


def test_a_watcher_that_comes_back_misses_nothing_and_hears_nothing_twice() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "backoff { initial_s: 0 max_s: 0 }")
    job, heard, last = stand.job(), [], 0

    def look() -> None:
        nonlocal last
        notes = stand.store.notes(job, after=last, limit=99)
        events = history(stand.row(job), stand.store.attempts(job), notes, last)
        heard.extend(event.number for event in events)
        last = heard[-1]

    for attempt in (1, 2, 3):
        look()
        stand.engine.logged(job, attempt, b"line", stand.now)
        stand.do()
        look()
        stand.fail((job, attempt)) if attempt < 3 else stand.end((job, attempt))
        stand.do()
        look()
    everything = history(stand.row(job), stand.store.attempts(job), stand.store.notes(job, after=0, limit=99))
    assert heard == [event.number for event in everything]


def test_a_job_that_was_cancelled_between_two_attempts() -> None:
    stand = Stand(slots=1)
    job = stand.job()
    stand.fail((job, 1))
    stand.do()
    stand.engine.request(CancelJobs(token="t", jobs=[job]))
    stand.do()
    assert told(stand, job) == [(0, READY), (1, RUNNING), (1, AttemptOutcome.FAILED), (1, CANCELLED)]


def test_a_job_that_never_ran() -> None:
    stand = Stand()
    later = stand.job(due_at=NOW + 100)
    waiting = stand.job(after=(later,))
    assert told(stand, later) == [(0, SCHEDULED)]
    assert told(stand, waiting) == [(0, WAITING)]
    stand.engine.request(CancelJobs(token="t", jobs=[later]))
    stand.do()
    assert told(stand, later)[-1] == told(stand, waiting)[-1] == (0, CANCELLED)


def test_a_job_that_was_run_again_by_hand() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "attempts: 1")
    job = stand.job()
    stand.fail((job, 1))
    stand.do()
    stand.engine.request(RetryJobs(token="t", jobs=[(job, 0)]))
    stand.do()
    assert told(stand, job) == [(0, READY), (1, RUNNING), (1, AttemptOutcome.FAILED), (2, RUNNING)]


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_submission_is_read() -> None:
    message = jobs_pb2.Submission(
        method=METHOD, request=b"q", key="k", delay_s=5.0, priority=-3, after=[id_text(7)], labels={"a": "b"},
        metadata=[jobs_pb2.MetadataEntry(key="m", value=b"v")], overrides=JobOverrides(attempts=2),
    )  # fmt: skip
    read = submission_of(message, NOW)
    assert (read.method, read.request, read.key, read.due_at, read.priority) == (METHOD, b"q", "k", NOW + 5, -3)
    assert (read.after, read.labels, read.parent, read.step) == ((7,), (("a", "b"),), None, None)
    assert read.overrides == JobOverrides(attempts=2).SerializeToString()
    assert jobs_pb2.MetadataEntries.FromString(read.metadata or b"").entries == message.metadata


def test_a_time_goes_before_a_delay_and_neither_is_now() -> None:
    assert submission_of(jobs_pb2.Submission(method=METHOD, at=9.0, delay_s=5.0), NOW).due_at == 9.0
    assert submission_of(jobs_pb2.Submission(method=METHOD), NOW).due_at == 0.0


@pytest.mark.parametrize("fields", [{"after": ["x"]}, {"parent": "x"}])
def test_what_is_no_id_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(BadJobIdError, match="'x' is not the id of a job"):
        submission_of(jobs_pb2.Submission(method=METHOD, **fields), NOW)


def test_a_job_is_told_in_full() -> None:
    metadata = jobs_pb2.MetadataEntries(entries=[jobs_pb2.MetadataEntry(key="t", value=b"v")])
    row = JobRow(
        id=7 << 40, method=METHOD, state=JobState.SUCCEEDED, rank=-995, attempt=3, failures=2, deaths=1, pending=0,
        due_at=1.0, started_at=2.0, ended_at=3.0, expires_at=4.0, status=0, details="d", worker="w", value="v",
        key="\x1f9/s", parent=9, step="s", trailers=metadata.SerializeToString(), reply=b"r", request=b"q",
        metadata=None, labels=(("a", "b"),), replies=5,
    )  # fmt: skip
    told = job_message(row)
    assert told == jobs_pb2.Job(
        id=id_text(7 << 40), method=METHOD, state=jobs_pb2.JOB_STATE_SUCCEEDED, parent=id_text(9), step="s",
        labels={"a": "b"}, priority=-5, value="v", attempt=3, failures=2, deaths=1, submitted_at=submitted_at(7 << 40),
        due_at=1.0, started_at=2.0, ended_at=3.0, expires_at=4.0, details="d", worker="w", reply=b"r",
        trailers=metadata.entries, request=b"q", replies=5,
    )  # fmt: skip
    assert job_message(row._replace(step=None, key="k")).key == "k"


def test_a_job_that_has_not_ended_is_told_without_what_is_not_there() -> None:
    stand = Stand()
    told = job_message(stand.row(stand.job(method=OTHER)))
    assert (told.started_at, told.ended_at, told.expires_at, told.parent, told.reply) == (0.0, 0.0, 0.0, "", b"")


def test_an_attempt_is_told() -> None:
    row = AttemptRow(7, 2, 1.0, 2.0, AttemptOutcome.DIED, 14, "gone", "w")
    assert attempt_message(row) == jobs_pb2.Attempt(
        job=id_text(7), number=2, started_at=1.0, ended_at=2.0, outcome=jobs_pb2.Attempt.OUTCOME_DIED, status=14,
        details="gone", worker="w",
    )  # fmt: skip


def test_numbers_of_kinds_and_outcomes_stay_what_they_are() -> None:
    assert (PROGRESS, LOG) == (1, 2)
    names = {f"OUTCOME_{outcome.name}": int(outcome) for outcome in AttemptOutcome}
    assert names == {name: number for name, number in jobs_pb2.Attempt.Outcome.items() if number}
