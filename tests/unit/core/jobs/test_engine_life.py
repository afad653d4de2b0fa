"""The life of jobs in the engine: from a submission to its recorded end, with all that can come between."""

import pytest

from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.causes import ASKED, WITH_PARENT
from portcall.core.jobs.effects import Adopted, Recorded, StopReason
from portcall.core.jobs.identity import id_text
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.policy import PolicyError
from portcall.core.jobs.requests import CancelJobs, PurgeJobs, RetryJobs
from portcall.core.jobs.states import CANCELLED, CANCELLING, FAILED, READY, RUNNING, SCHEDULED, SUCCEEDED, WAITING
from portcall.core.jobs.submissions import PlainSubmissions
from portcall.core.jobs.values import UnreadableRequestError
from portcall.core.refusals import (
    ALREADY_EXISTS,
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
)
from portcall.protos.portcall.v1.options_pb2 import JobOptions, JobOverrides

from .stand import METHOD, NOW, OTHER, Stand, submission

# --- the plain way ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", ["", "limit { running: 2 }", "limit { rate { starts: 1 per_s: 5 } }", 'by { field: "f" }']
)
@pytest.mark.parametrize("is_early", [False, True])
def test_plain_submissions_are_stored_like_any_others(options: str, *, is_early: bool) -> None:
    together, apart = Stand(slots=3, is_early=is_early), Stand(slots=3, is_early=is_early)
    plain = PlainSubmissions(METHOD, [b"a", b"b", b"a", b"c", b"d"])
    for stand, submissions in ((together, plain), (apart, plain.singly())):
        if not is_early:
            stand.know(METHOD, options)
        stand.engine.submit("token", submissions, stand.now)
        stand.do_keeping()
    assert together.batches == apart.batches
    assert together.effects == apart.effects
    assert [len(answer.jobs) for answer in together.effects.answers] == [5]


def test_plain_submissions_are_refused_together_where_there_is_no_room() -> None:
    stand = Stand(limits=JobLimits(submissions_waiting_max=1))
    stand.put(submission())
    stand.engine.submit("token", PlainSubmissions(METHOD, [b"a", b"b"]), stand.now)
    [answer] = [answer for answer in stand.do().answers if answer.token == "token"]
    assert [one.status for one in answer.jobs] == [RESOURCE_EXHAUSTED] * 2


def test_a_job_that_can_run_is_stored_running_and_ends() -> None:
    stand = Stand(slots=1)
    job = stand.job(request=b"q")
    [start] = stand.running.values()
    assert (start.job, start.attempt, start.method, start.request, start.timeout_s) == (job, 1, METHOD, b"q", None)
    stand.end((job, 1), reply=b"r")
    effects = stand.do()
    assert effects.recorded == [Recorded(job, 1)]
    [outcome] = [outcome for outcome in effects.outcomes if outcome.job == job]
    assert (outcome.state, outcome.reply, outcome.method, outcome.at) == (SUCCEEDED, b"r", METHOD, NOW)
    assert stand.row(job).reply == b"r"


def test_nobody_is_answered_before_it_is_stored() -> None:
    stand = Stand(slots=1)
    stand.job()
    stand.effects.answers.clear()
    stand.put(submission())
    batch = stand.batch()
    assert batch is not None
    assert not stand.effects.answers
    stand.settle(batch)
    assert stand.effects.answers


def test_while_a_batch_is_written_others_gather_for_the_next() -> None:
    stand = Stand()
    stand.job()
    stand.put(submission())
    batch = stand.batch()
    assert batch is not None
    for _ in range(5):
        stand.put(submission())
        assert stand.batch() is None
    stand.settle(batch)
    following = stand.batch()
    assert following is not None
    assert (len(batch.appends), len(following.appends)) == (1, 5)


def test_a_batch_has_its_bound() -> None:
    stand = Stand(limits=JobLimits(batch_jobs_max=3))
    for _ in range(10):
        stand.put(submission())
    stand.do()
    assert [len(batch.appends) for batch in stand.batches if batch.appends] == [3, 3, 3, 1]


def test_a_job_waits_for_a_slot_and_for_its_time() -> None:
    stand = Stand()
    ready, later = stand.job(), stand.job(due_at=NOW + 10)
    assert (stand.row(ready).state, stand.row(later).state) == (READY, SCHEDULED)
    assert stand.engine.next_tick == NOW + 10
    stand.slots = 9
    stand.do()
    assert stand.started() == [ready]
    stand.wait(10)
    assert stand.started() == [ready, later]


# --- retries ----------------------------------------------------------------------------------------------------------


def test_a_failed_attempt_is_followed_by_another_after_its_wait() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "attempts: 2 backoff { initial_s: 4 jitter: 0 }")
    job = stand.job()
    stand.fail((job, 1))
    stand.do()
    assert (stand.row(job).state, stand.row(job).failures, stand.running) == (SCHEDULED, 1, {})
    stand.wait(3.9)
    assert not stand.running
    stand.wait(0.2)
    assert list(stand.running) == [(job, 2)]
    stand.fail((job, 2))
    stand.do()
    assert (stand.row(job).state, stand.row(job).details) == (FAILED, "no luck")


def test_options_of_a_stored_job_are_those_that_it_was_submitted_with() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "attempts: 2 backoff { initial_s: 0 max_s: 0 }")
    job = stand.job()
    stand.know(METHOD, "attempts: 1")
    stand.restart()
    stand.engine.attached([(job, 1)], stand.now)
    stand.fail((job, 1))
    stand.do()
    assert stand.row(job).state is RUNNING


def test_overrides_hold_for_one_job() -> None:
    stand = Stand(slots=2)
    overrides = JobOverrides(attempts=1, timeout_s=7.0, keep_s=1.0).SerializeToString()
    job = stand.job(overrides=overrides)
    assert stand.running[job, 1].timeout_s == 7.0
    stand.fail((job, 1))
    stand.do()
    assert (stand.row(job).state, stand.row(job).expires_at) == (FAILED, NOW + 1)


def test_what_dies_with_its_workers_is_tried_alone_and_then_set_aside() -> None:
    stand = Stand(slots=100)
    stand.know(METHOD, "deaths: 3 attempts: 9 backoff { initial_s: 0 max_s: 0 }")
    jobs = stand.jobs(3)
    stand.engine.died("w", list(stand.running), stand.now)
    stand.do()
    assert len(stand.running) == 3
    stand.engine.died("w", list(stand.running), stand.now)
    stand.do()
    assert list(stand.running) == [(jobs[0], 3)], "twice suspected, each runs alone"
    stand.engine.died("w", [(jobs[0], 3)], stand.now)
    stand.do()
    assert (stand.row(jobs[0]).state, stand.row(jobs[0]).deaths) == (FAILED, 3)
    assert stand.row(jobs[0]).details.startswith("Set aside as poison")
    assert list(stand.running) == [(jobs[1], 3)]


def test_what_is_handed_back_runs_elsewhere_and_is_not_charged() -> None:
    stand = Stand(slots=1)
    job = stand.job()
    for attempt in range(1, 10):
        stand.engine.hand_back("w", [(job, attempt)], stand.now)
        stand.do()
    assert list(stand.running) == [(job, 10)]
    assert stand.row(job).failures == 0


def test_the_end_of_an_attempt_that_holds_nothing_counts_for_nothing() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "backoff { initial_s: 0 max_s: 0 }")
    job = stand.job()
    stand.fail((job, 1))
    stand.do()
    assert list(stand.running) == [(job, 2)]
    stand.end((job, 1), reply=b"late")
    stand.end((99, 1))
    assert stand.do().recorded == [Recorded(job, 1), Recorded(99, 1)]
    assert stand.row(job).state is RUNNING


def test_an_attempt_ends_once() -> None:
    stand = Stand(slots=1)
    job = stand.job()
    stand.end((job, 1), reply=b"first")
    stand.fail((job, 1))
    effects = stand.do()
    assert effects.recorded == [Recorded(job, 1)]
    assert stand.row(job).reply == b"first"


# --- timeouts and cancelling ------------------------------------------------------------------------------------------


def test_an_attempt_whose_time_is_up_is_told_to_stop_once() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "timeout_s: 5 attempts: 1")
    job = stand.job()
    assert stand.engine.next_tick == NOW + 5
    [stop] = stand.wait(5).stops
    assert (stop.job, stop.attempt, stop.reason) == (job, 1, StopReason.TIMED_OUT)
    assert stand.wait(5).stops == []
    stand.fail((job, 1), status=1)
    stand.do()
    assert (stand.row(job).state, stand.row(job).status) == (FAILED, 4)


def test_a_success_that_comes_after_its_time_is_one() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "timeout_s: 5")
    job = stand.job()
    stand.wait(5)
    stand.end((job, 1), reply=b"r")
    stand.do()
    assert stand.row(job).state is SUCCEEDED


def test_a_cancel_stops_what_runs_and_counts_when_it_has() -> None:
    stand = Stand(slots=1)
    job, waiting = stand.job(), stand.job()
    stand.engine.request(CancelJobs(token="t", jobs=[job, waiting, 99]))
    effects = stand.do()
    assert effects.done == ["t"]
    assert [(stop.job, stop.reason) for stop in effects.stops] == [(job, StopReason.CANCELLED)]
    told = {(outcome.job, outcome.state, outcome.status, outcome.details) for outcome in effects.outcomes}
    assert told == {(job, CANCELLING, 0, ASKED), (waiting, CANCELLED, 1, "Cancelled on request")}
    stand.fail((job, 1), status=1)
    stand.do()
    assert stand.row(job).state is CANCELLED


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_job_that_was_stopped_says_why(is_restarted: bool) -> None:
    stand = Stand(slots=2)
    parent = stand.job()
    child = stand.job(parent=parent)
    stand.engine.request(CancelJobs(token="t", jobs=[parent]))
    stand.do()
    if is_restarted:
        stand.restart()
        stand.engine.attached([(parent, 1), (child, 1)], stand.now)
    stand.fail((parent, 1), status=1)
    stand.end((child, 1), outcome=AttemptOutcome.FAILED, status=UNAVAILABLE, details="no luck")
    effects = stand.do()
    assert stand.row(parent).details == ASKED
    assert stand.row(child).details == f"{WITH_PARENT}; no luck"
    assert {outcome.job: outcome.details for outcome in effects.outcomes} == {
        parent: ASKED,
        child: f"{WITH_PARENT}; no luck",
    }


def test_a_cancel_that_comes_with_the_end_changes_nothing() -> None:
    stand = Stand(slots=1)
    job = stand.job()
    stand.engine.request(CancelJobs(token="t", jobs=[job]))
    stand.end((job, 1))
    effects = stand.do()
    assert effects.stops == []
    assert stand.row(job).state is SUCCEEDED


def test_jobs_run_again_by_hand_with_all_their_attempts() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "attempts: 1")
    job = stand.job(priority=7)
    stand.fail((job, 1))
    stand.do()
    stand.engine.request(RetryJobs(token="t", jobs=[(job, stand.row(job).rank)]))
    assert stand.do().done == ["t"]
    assert list(stand.running) == [(job, 2)]
    assert stand.row(job).failures == 0


def test_only_what_has_ended_is_purged() -> None:
    stand = Stand(slots=1)
    job, waiting = stand.job(), stand.job()
    stand.end((job, 1))
    stand.do()
    stand.engine.request(PurgeJobs(token="t", jobs=[job, waiting]))
    stand.do()
    assert set(stand.store.jobs) == {waiting}


def test_jobs_are_forgotten_when_their_time_is_over() -> None:
    stand = Stand(slots=9, limits=JobLimits(purge_every_s=10.0, purge_jobs_max=2))
    stand.know(METHOD, "keep_s: 5")
    stand.jobs(5)
    stand.end_all()
    stand.do()
    stand.wait(4)
    assert len(stand.store.jobs) == 5
    stand.wait(10)
    assert stand.store.jobs == {}


def test_however_many_jobs_are_forgotten_others_go_on_between() -> None:
    stand = Stand(slots=99, limits=JobLimits(purge_every_s=10.0, purge_jobs_max=10))
    stand.know(METHOD, "keep_s: 5")
    stand.jobs(95)
    stand.end_all()
    stand.do()
    stand.now += 60.0
    begun, batches = len(stand.batches), 0
    while stand.store.jobs or not batches:
        batches += 1
        left = len(stand.store.jobs)
        token = stand.put(submission(OTHER))
        batch = stand.batch()
        assert batch is not None
        stand.settle(batch)
        assert [answer.token for answer in stand.effects.answers] == [token], "it waited for one step only"
        stand.effects.answers.clear()
        ended = [job for job in stand.store.jobs.values() if job.state is SUCCEEDED]
        assert left - len(stand.store.jobs) <= 9
        if not ended:
            break
    assert batches == 10
    assert {batch.purge.limit for batch in stand.batches[begun:] if batch.purge} == {10}


def test_what_is_asked_at_once_is_done_in_steps() -> None:
    stand = Stand(slots=99, limits=JobLimits(request_jobs_max=4))
    jobs = stand.jobs(12)
    stand.end_all()
    stand.do()
    for number in range(4):
        stand.engine.request(PurgeJobs(token=number, jobs=jobs[3 * number : 3 * number + 3]))
    begun = len(stand.batches)
    assert stand.do().done == [0, 1, 2, 3]
    assert [len(batch.forget) for batch in stand.batches[begun:]] == [6, 6]
    assert stand.store.jobs == {}


def test_ended_jobs_have_a_bound() -> None:
    stand = Stand(slots=9, limits=JobLimits(ended_max=2, purge_every_s=1.0))
    jobs = stand.jobs(5)
    stand.end_all()
    stand.do()
    stand.wait(1)
    assert set(stand.store.jobs) == set(jobs[3:])


# --- the hub goes and comes -------------------------------------------------------------------------------------------


def test_an_attempt_whose_worker_comes_back_goes_on() -> None:
    stand = Stand(slots=2)
    stand.know(METHOD, "timeout_s: 100")
    job, stranger = stand.job(), (99, 1)
    stand.engine.replied(job, 1, [b"a", b"b"], stand.now)
    stand.do()
    stand.restart()
    stand.now += 10
    stand.engine.attached([(job, 1), (job, 2), stranger], stand.now)
    effects = stand.do()
    assert effects.adopted == [Adopted(job, 1, METHOD, 90.0, 2)]
    assert {(stop.job, stop.attempt, stop.reason) for stop in effects.stops} == {
        (job, 2, StopReason.FENCED),
        (*stranger, StopReason.FENCED),
    }
    stand.wait(1_000)
    stand.end((job, 1))
    stand.do()
    assert (stand.row(job).state, stand.row(job).attempt) == (SUCCEEDED, 1)


def test_an_attempt_that_does_not_come_back_is_lost() -> None:
    stand = Stand(slots=1, limits=JobLimits(adopt_s=30.0))
    stand.know(METHOD, "backoff { initial_s: 0 max_s: 0 }")
    job = stand.job()
    stand.restart()
    assert stand.engine.next_tick == NOW + 30
    stand.wait(29)
    assert not stand.running
    stand.wait(1)
    assert list(stand.running) == [(job, 2)]
    [attempt] = stand.store.attempts(job)
    assert (attempt.outcome, attempt.status) == (AttemptOutcome.LOST, UNAVAILABLE)
    stand.engine.attached([(job, 1)], stand.now)
    assert [stop.reason for stop in stand.do().stops] == [StopReason.FENCED]


def test_what_runs_when_the_hub_starts_counts_against_the_limits() -> None:
    stand = Stand(slots=5)
    stand.know(METHOD, "limit { running: 1 }")
    first, second = stand.job(), stand.job()
    stand.restart()
    stand.wait(1)
    assert stand.running == {}
    stand.engine.attached([(first, 1)], stand.now)
    stand.end((first, 1))
    stand.do()
    assert list(stand.running) == [(second, 1)]


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_worker_that_comes_back_hears_what_it_has_missed(is_cancelled: bool) -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "timeout_s: 5")
    job = stand.job()
    stand.restart()
    if is_cancelled:
        stand.engine.request(CancelJobs(token="t", jobs=[job]))
        assert stand.do().stops == [], "nobody is there to be told"
    else:
        assert stand.wait(6).stops == []
    stand.engine.attached([(job, 1)], stand.now)
    [stop] = stand.do().stops
    assert stop.reason is (StopReason.CANCELLED if is_cancelled else StopReason.TIMED_OUT)


def test_an_end_that_is_on_its_way_to_the_disk_is_not_asked_for_again() -> None:
    stand = Stand(slots=1)
    job = stand.job()
    stand.end((job, 1))
    batch = stand.batch()
    assert batch is not None
    stand.engine.attached([(job, 1)], stand.now)
    stand.settle(batch)
    effects = stand.do()
    assert (effects.stops, effects.adopted, effects.recorded) == ([], [], [Recorded(job, 1)])


# --- a store that cannot write ----------------------------------------------------------------------------------------


def fail_store(stand: Stand, *, is_full: bool = True) -> None:
    assert stand.batch() is not None
    stand.engine.store_failed("no room", stand.now, is_full=is_full)
    stand.take()


@pytest.mark.parametrize("is_full", [True, False])
def test_new_jobs_are_refused_and_what_ended_is_recorded_later(is_full: bool) -> None:
    stand = Stand(slots=1)
    job = stand.job()
    stand.end((job, 1), reply=b"r")
    stand.engine.logged(job, 1, b"line", stand.now)
    stand.put(submission())
    stand.engine.request(CancelJobs(token="t", jobs=[job]))
    fail_store(stand, is_full=is_full)
    assert stand.batch() is None
    assert stand.engine.next_tick == NOW + stand.limits.store_retry_s
    answer = stand.effects.answers[-1].jobs[0]
    assert (answer.id, answer.status, answer.details) == (
        None,
        RESOURCE_EXHAUSTED if is_full else UNAVAILABLE,
        "no room",
    )
    assert stand.effects.failed == [("t", "no room")]
    stand.wait(stand.limits.store_retry_s)
    assert (stand.row(job).state, stand.row(job).reply) == (SUCCEEDED, b"r")


def test_a_slot_and_a_limit_that_were_reserved_are_given_back() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "limit { running: 1 rate { starts: 1 per_s: 10 } }")
    stand.job()
    stand.wait(10)
    assert len(stand.running) == 1
    stand.end_all()
    stand.do()
    stand.wait(10)
    stand.put(submission())
    fail_store(stand)
    stand.wait(stand.limits.store_retry_s)
    stand.job()
    assert len(stand.running) == 1


def test_what_attempts_told_is_told_again_in_order() -> None:
    stand = Stand(slots=1)
    job = stand.job()
    stand.engine.replied(job, 1, [b"0", b"1"], stand.now)
    stand.engine.checkpointed(job, 1, b"two", stand.now)
    assert stand.batch() is not None
    stand.engine.replied(job, 1, [b"2"], stand.now)
    stand.engine.store_failed("no room", stand.now)
    told = stand.wait(stand.limits.store_retry_s).told
    assert [(one.job, one.attempt, one.replies, one.has_checkpoint) for one in told] == [(job, 1, 3, True)]
    assert [reply.message for reply in stand.store.replies(job, offset=0, limit=9)] == [b"0", b"1", b"2"]
    assert stand.store.jobs[job].checkpoint.replies == 2


# --- what a submission may say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"priority": 101}, "priority is 101; it must be -100 to 100"),
        ({"priority": -101}, "priority is -101; it must be -100 to 100"),
        ({"key": ""}, "a key has 1 to 512 characters, none of them a control character"),
        ({"key": "x" * 513}, "a key has 1 to 512 characters"),
        ({"key": "a\x1fb"}, "none of them a control character"),
        ({"step": "s"}, "a step has a name within the job that submits it: it needs a parent"),
        ({"step": "s", "parent": 1, "key": "k"}, "cannot have a key as well"),
        ({"step": "", "parent": 1}, "a step's name has 1 to 512 characters"),
        ({"after": tuple(range(1_001))}, "it should wait for 1001 jobs; at most 1000 may be"),
        ({"labels": (("a", "x" * 129),)}, "at most 16 labels may be, of at most 128 characters each"),
        ({"labels": tuple((str(k), "") for k in range(17))}, "at most 16 labels may be"),
        ({"overrides": JobOverrides(attempts=0).SerializeToString()}, "attempts is 0; it must be 1 to 1,000"),
        ({"overrides": b"\xff"}, "the overrides are no portcall.v1.JobOverrides"),
    ],
)
def test_a_bad_submission_is_refused_in_words_and_the_others_are_not(fields: dict[str, object], words: str) -> None:
    stand = Stand()
    good, bad, other = stand.submit(submission(), submission(**fields), submission())
    assert good.id is not None
    assert other.id is not None
    assert (bad.id, bad.state, bad.status) == (None, None, INVALID_ARGUMENT)
    assert words in bad.details


def test_a_request_that_cannot_be_read_is_refused() -> None:
    stand = Stand()
    stand.know(METHOD, 'by { field: "site" }')

    def read(request: bytes) -> str:
        raise UnreadableRequestError("the request is not a message")

    stand.engine.know(METHOD, stand.options[METHOD], read, stand.now)
    [answer] = stand.submit(submission(request=b"\xff"))
    assert (answer.status, answer.details) == (INVALID_ARGUMENT, "the request is not a message")


def test_what_a_taken_key_means_is_the_methods_to_say() -> None:
    stand = Stand(slots=1)
    job = stand.job(key="k")
    [returned] = stand.submit(submission(key="k"))
    assert (returned.id, returned.state, returned.existed) == (job, RUNNING, True)
    stand.know(METHOD, "on_duplicate: REFUSE")
    [refused] = stand.submit(submission(key="k"))
    assert (refused.id, refused.status) == (None, ALREADY_EXISTS)
    assert refused.details == f"Job {id_text(job)} has the key 'k' already"
    assert stand.job(key="k", method=OTHER) != job


@pytest.mark.parametrize("is_lucky", [True, False])
def test_a_job_that_failed_gives_its_key_to_a_retry(is_lucky: bool) -> None:
    stand = Stand(slots=2)
    stand.know(METHOD, "on_duplicate: RETRY attempts: 1")
    job = stand.job(key="k")
    stand.end((job, 1)) if is_lucky else stand.fail((job, 1))
    stand.do()
    [answer] = stand.submit(submission(key="k"))
    assert (answer.id == job) == answer.existed == is_lucky


def test_a_step_of_a_parent_that_runs_again_is_the_same_job() -> None:
    stand = Stand(slots=9)
    stand.know(METHOD, "backoff { initial_s: 0 max_s: 0 }")
    parent = stand.job()
    step = submission(parent=parent, parent_attempt=1, step="fetch")
    [first] = stand.submit(step)
    assert first.id is not None
    stand.end((first.id, 1), reply=b"r")
    stand.fail((parent, 1))
    stand.do()
    [late] = stand.submit(step)
    assert (late.status, late.details) == (
        FAILED_PRECONDITION,
        f"Job {id_text(parent)}, which submits this one, is not held by attempt 1",
    )
    [again] = stand.submit(step._replace(parent_attempt=2))
    assert (again.id, again.state, again.existed) == (first.id, SUCCEEDED, True)


def test_a_job_that_is_being_cancelled_submits_nothing() -> None:
    stand = Stand(slots=9)
    parent = stand.job()
    child = submission(parent=parent, parent_attempt=1)
    stand.engine.request(CancelJobs(token="t", jobs=[parent]))
    ([with_it],) = [stand.submit(child)]
    [after_it] = stand.submit(child)
    for answer in (with_it, after_it):
        assert (answer.id, answer.status) == (None, FAILED_PRECONDITION)
        assert answer.details == f"Job {id_text(parent)}, which submits this one, is being cancelled"
    assert set(stand.store.jobs) == {parent}


def test_a_job_waits_for_others() -> None:
    stand = Stand(slots=9)
    stand.know(OTHER, "attempts: 1")
    first = stand.job(method=OTHER)
    [answer] = stand.submit(submission(after=(first,)))
    assert answer.state is WAITING
    stand.end((first, 1))
    stand.do()
    assert answer.id in stand.started()
    failing = stand.job(method=OTHER)
    [answer] = stand.submit(submission(after=(failing,)))
    stand.fail((failing, 1))
    effects = stand.do()
    assert (answer.id, CANCELLED) in {(outcome.job, outcome.state) for outcome in effects.outcomes}
    [refused] = stand.submit(submission(after=(failing,)))
    assert (refused.status, refused.details) == (
        FAILED_PRECONDITION,
        f"Job {id_text(failing)}, which this one should wait for, has failed",
    )


def test_more_than_there_is_room_for_is_refused() -> None:
    stand = Stand(limits=JobLimits(submissions_waiting_max=3, bytes_waiting_max=100))
    stand.put(submission(), submission())
    stand.put(submission(), submission())
    stand.take()
    [refused] = stand.effects.answers
    assert {answer.status for answer in refused.jobs} == {RESOURCE_EXHAUSTED}
    assert refused.jobs[0].details == "The hub has 2 jobs that wait to be stored; submit again a little later"
    stand.put(submission(request=b"x" * 101))
    stand.take()
    assert len(stand.effects.answers) == 2
    stand.do()
    assert len(stand.store.jobs) == 2


def test_one_that_is_larger_than_all_the_room_passes_alone() -> None:
    stand = Stand(limits=JobLimits(bytes_waiting_max=100))
    assert stand.job(request=b"x" * 101)


def test_options_that_cannot_be_leave_those_before_them() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "attempts: 1")
    with pytest.raises(PolicyError, match=rf"{METHOD}: attempts is 0"):
        stand.engine.know(METHOD, JobOptions(attempts=0), None, stand.now)
    job = stand.job()
    stand.fail((job, 1))
    stand.do()
    assert stand.row(job).state is FAILED


# --- what attempts tell -----------------------------------------------------------------------------------------------


def test_of_progress_the_latest_is_kept_and_lines_of_a_log_are_all() -> None:
    stand = Stand(slots=1, limits=JobLimits(progress_every_s=1.0))
    job = stand.job()
    stand.wait(5)
    for k in range(5):
        stand.engine.progressed(job, 1, b"%d" % k, stand.now)
        stand.engine.logged(job, 1, b"line %d" % k, stand.now)
    stand.do()
    assert [note.body for note in stand.store.notes(job, after=0, limit=99) if note.kind == 1] == [b"4"]
    assert len(stand.store.notes(job, after=0, limit=99)) == 6
    stand.engine.progressed(job, 1, b"5", stand.now)
    stand.do()
    assert len(stand.store.notes(job, after=0, limit=99)) == 6
    assert stand.engine.next_tick == stand.now + 1
    stand.wait(1)
    assert len(stand.store.notes(job, after=0, limit=99)) == 7


def test_notes_have_a_bound() -> None:
    stand = Stand(slots=1, limits=JobLimits(notes_max=3))
    job = stand.job()
    for _ in range(5):
        stand.engine.logged(job, 1, b"line", stand.now)
    stand.do()
    assert len(stand.store.notes(job, after=0, limit=99)) == 3


def test_an_attempt_goes_on_where_the_last_checkpoint_was() -> None:
    stand = Stand(slots=1)
    stand.know(METHOD, "backoff { initial_s: 0 max_s: 0 }")
    job = stand.job()
    stand.engine.replied(job, 1, [b"0", b"1"], stand.now)
    stand.engine.checkpointed(job, 1, b"state", stand.now)
    stand.engine.replied(job, 1, [b"2"], stand.now)
    stand.fail((job, 1))
    stand.do()
    start = stand.running[job, 2]
    assert (start.checkpoint, start.replies) == (b"state", 2)
    stand.engine.replied(job, 2, [b"two"], stand.now)
    stand.engine.replied(job, 1, [b"late"], stand.now)
    stand.end((job, 2))
    stand.do()
    assert [row.message for row in stand.store.replies(job, offset=0, limit=9)] == [b"0", b"1", b"two"]
