"""What is submitted, and how it becomes rows."""

import re
from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from portcall.core.jobs.attempts import Attempts
from portcall.core.jobs.batch import Dependency, Flow, Label, NewJob, Written, row_of
from portcall.core.jobs.dispatch import Dispatch, Method, Slots
from portcall.core.jobs.effects import Answer, Submitted
from portcall.core.jobs.identity import IdSequence, id_text
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.policy import OnDuplicate, Policy, PolicyError, override
from portcall.core.jobs.ranks import PRIORITY_MAX, rank_of
from portcall.core.jobs.states import (
    CANCELLED,
    CANCELLING,
    FAILED,
    READY,
    RUNNING,
    SCHEDULED,
    STATES,
    WAITING,
)
from portcall.core.refusals import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, RESOURCE_EXHAUSTED
from portcall.protos.portcall.v1.options_pb2 import JobOverrides

KEY_LENGTH_MAX = 512
LABELS_MAX = 16
LABEL_LENGTH_MAX = 128
AFTER_MAX = 1_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

STEP_MARK = "\x1f"
"""Begins the keys of steps, which others cannot: keys have no control characters."""

_WHY_BAD = {CANCELLING: "is being cancelled", CANCELLED: "was cancelled", FAILED: "has failed"}

_READY, _RUNNING, _SCHEDULED = int(READY), int(RUNNING), int(SCHEDULED)


class Submission(NamedTuple):
    """A job that somebody wants to be stored and run."""

    method: str
    request: bytes
    key: str | None = None
    due_at: float = 0.0
    """Not before this time."""
    priority: int = 0
    after: tuple[int, ...] = ()
    """Jobs that have to succeed first."""
    parent: int | None = None
    parent_attempt: int | None = None
    """The attempt that submits; refused if it does not hold the parent (any more)."""
    step: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    metadata: bytes | None = None
    overrides: bytes | None = None
    """Serialised `JobOverrides`."""


@dataclass(frozen=True, slots=True)
class PlainSubmissions:
    """Jobs of one method with which nothing but their requests was submitted: the case that has to be fast."""

    method: str
    requests: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.requests)

    def singly(self) -> list[Submission]:
        """Return them one by one."""
        return [Submission(self.method, request) for request in self.requests]


Submissions = Sequence[Submission] | PlainSubmissions


class Ticket:
    """The submissions of one `submit`, on their way to the store."""

    __slots__ = ("jobs", "size", "submissions", "token")

    def __init__(self, token: Any, submissions: Submissions) -> None:
        self.token = token
        self.submissions = submissions
        if isinstance(submissions, PlainSubmissions):
            self.size = sum(map(len, submissions.requests))
        else:
            self.size = sum([len(submission.request) for submission in submissions])
        self.jobs: list[NewJob | Submitted] = []
        """Once it is drafted: for each submission a row, or why there is none."""

    @property
    def job_ids(self) -> list[int]:
        """Return the ids of its rows."""
        return [job.id for job in self.jobs if isinstance(job, NewJob)]

    def refuse(self, status: int, details: str, reason: str = "") -> Answer:
        """Return the answer that nothing was stored."""
        return Answer(self.token, [refused(status, details, reason)] * len(self.submissions))


class Draft:
    """Rows of one batch that come from tickets."""

    __slots__ = ("dependencies", "labels", "refusing", "replaceable", "rows", "tickets")

    def __init__(self) -> None:
        self.tickets: list[Ticket] = []
        self.rows: list[NewJob] = []
        self.dependencies: list[Dependency] = []
        self.labels: list[Label] = []
        self.replaceable: set[int] = set()
        self.refusing: set[int] = set()
        """Rows that do not want to be another job that has their key."""


class Intake:
    """Submissions that wait for the store, and the making of rows from them."""

    def __init__(self, limits: JobLimits, dispatch: Dispatch, attempts: Attempts, ids: IdSequence) -> None:
        self._limits = limits
        self._dispatch = dispatch
        self._attempts = attempts
        self._ids = ids
        self._waiting: deque[Ticket] = deque()
        self.jobs_waiting = 0
        self.bytes_waiting = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, token: Any, submissions: Submissions) -> Answer | None:
        """Let submissions wait for the next batch; or return the answer, if there is no room for them."""
        ticket = Ticket(token, submissions)
        is_full = self.jobs_waiting + len(submissions) > self._limits.submissions_waiting_max
        if self._waiting and (is_full or self.bytes_waiting + ticket.size > self._limits.bytes_waiting_max):
            words = f"The hub has {self.jobs_waiting:,} jobs that wait to be stored; submit again a little later"
            return ticket.refuse(RESOURCE_EXHAUSTED, words)
        self._waiting.append(ticket)
        self.jobs_waiting += len(submissions)
        self.bytes_waiting += ticket.size
        return None

    def take_all(self) -> list[Ticket]:
        """Remove and return all that waits."""
        tickets = list(self._waiting)
        self._waiting.clear()
        self.jobs_waiting = self.bytes_waiting = 0
        return tickets

    def draft(self, slots: Slots, now: float) -> Draft:
        """Return the rows of the next tickets, as many as one batch takes; a method without a number holds them up."""
        draft = Draft()
        while self._waiting and len(draft.rows) < self._limits.batch_jobs_max:
            ticket = self._waiting[0]
            if not self.are_numbered(ticket.submissions, now):
                break
            self._waiting.popleft()
            self.jobs_waiting -= len(ticket.submissions)
            self.bytes_waiting -= ticket.size
            self.add(draft, ticket, slots, now)
        return draft

    def are_numbered(self, submissions: Submissions, now: float) -> bool:
        """Return whether the store has numbers for all of these methods; they are announced to it if not."""
        dispatch = self._dispatch
        if isinstance(submissions, PlainSubmissions):
            return bool(dispatch.method(submissions.method, now).policy_id)
        # All of them are asked, so that all are announced at once.
        numbers = [dispatch.method(submission.method, now).policy_id for submission in submissions]
        return all(numbers)

    def fault_of(self, submission: Submission) -> Submitted | None:
        """Return how a submission would be refused, as far as that can be told now."""
        method = self._dispatch.methods.get(submission.method)
        try:
            if submission.overrides is not None:
                _overridden(Policy() if method is None else method.policy, submission.overrides)
            if method is not None:
                method.value_of(submission.request)
        except PolicyError as error:
            return refused(INVALID_ARGUMENT, str(error))
        return _fault(submission)

    def add(self, draft: Draft, ticket: Ticket, slots: Slots, now: float) -> None:
        """Draft the rows of one ticket."""
        draft.tickets.append(ticket)
        methods, submissions = self._dispatch.methods, ticket.submissions
        if isinstance(submissions, PlainSubmissions):
            method = methods[submissions.method]
            if method.read_value is None:
                rows = self._plain_rows(submissions.requests, method, slots, now)
                draft.rows += rows
                ticket.jobs += rows
                return
            submissions = submissions.singly()
        for submission in submissions:
            method = methods[submission.method]
            try:
                row = self._row(draft, submission, method, slots, now)
            except PolicyError as error:
                ticket.jobs.append(refused(INVALID_ARGUMENT, str(error)))
                continue
            if isinstance(row, NewJob):
                draft.rows.append(row)
            ticket.jobs.append(row)

    def _row(
        self, draft: Draft, submission: Submission, method: Method, slots: Slots, now: float
    ) -> NewJob | Submitted:
        fault = _fault(submission) or self._parent_fault(submission)
        if fault is not None:
            return fault
        policy: Policy = method.policy
        if submission.overrides is not None:
            policy = _overridden(policy, submission.overrides)
        value = method.value_of(submission.request)
        job, rank, due_at = self._ids.next(now), rank_of(submission.priority), submission.due_at
        state, attempt, started_at = _READY, 0, None
        if due_at > now:
            state = _SCHEDULED
        else:
            due_at = now
            if not submission.after and self._dispatch.admits_at_once(method, rank, value, slots, now):
                state, attempt, started_at = _RUNNING, 1, now
        key = submission.key
        if submission.step is not None:
            key = f"{STEP_MARK}{submission.parent}/{submission.step}"
        if submission.step is not None:
            draft.replaceable.add(job)
        elif key is not None and policy.on_duplicate is not OnDuplicate.RETURN:
            (draft.replaceable if policy.on_duplicate is OnDuplicate.RETRY else draft.refusing).add(job)
        draft.dependencies += [Dependency(job, parent) for parent in dict.fromkeys(submission.after)]
        draft.labels += [Label(job, name, text) for name, text in submission.labels]
        return NewJob(
            job,
            method.id,
            state,
            rank,
            attempt,
            method.policy_id,
            policy.keep_s,
            due_at,
            started_at,
            value,
            key,
            submission.parent,
            submission.step,
            submission.overrides,
            submission.metadata,
            submission.request,
        )

    def _plain_rows(self, requests: Sequence[bytes], method: Method, slots: Slots, now: float) -> list[NewJob]:
        """Return the rows of plain submissions. Of those, the first may start at once."""
        value, begun = method.plain_value, 0
        while begun < len(requests) and self._dispatch.admits_at_once(method, 0, value, slots, now):
            begun += 1
        id_, policy, keep_s = method.id, method.policy_id, method.policy.keep_s
        begins = (id_, _RUNNING, 0, 1, policy, keep_s, now, now, value, None, None, None, None, None)
        waits = (id_, _READY, 0, 0, policy, keep_s, now, None, value, None, None, None, None, None)
        ids = self._ids.take(len(requests), now)
        rows = [row_of(NewJob, (job, *begins, request)) for job, request in zip(ids, requests[:begun], strict=False)]
        rows += [
            row_of(NewJob, (job, *waits, request)) for job, request in zip(ids[begun:], requests[begun:], strict=True)
        ]
        return rows

    def _parent_fault(self, submission: Submission) -> Submitted | None:
        if submission.parent is None or submission.parent_attempt is None:
            return None
        holder = self._attempts.find(submission.parent, submission.parent_attempt)
        if holder is not None and holder.state is not CANCELLING:
            return None
        name = id_text(submission.parent)
        why = "is being cancelled" if holder is not None else f"is not held by attempt {submission.parent_attempt}"
        return refused(FAILED_PRECONDITION, f"Job {name}, which submits this one, {why}")


def _overridden(policy: Policy, overrides: bytes) -> Policy:
    try:
        return override(policy, JobOverrides.FromString(overrides))
    except DecodeError:
        raise PolicyError("the overrides are no portcall.v1.JobOverrides") from None


def refused(status: int, details: str, reason: str = "") -> Submitted:
    """Return what becomes of a submission that is not stored."""
    return Submitted(None, None, False, status, details, reason)


def result_of(row: NewJob | Submitted, written: Written, refusing: Container[int], *, is_plain: bool) -> Submitted:
    """Return what became of a submission, now that the batch is stored; `is_plain` if all rows are as they were."""
    if isinstance(row, Submitted):
        return row
    if is_plain:
        return row_of(Submitted, (row.id, STATES[row.state], False, 0, "", ""))
    existing = written.existing.get(row.id)
    if existing is not None:
        if row.id in refusing:
            words = f"Job {id_text(existing.id)} has the key {row.key!r} already"
            return refused(ALREADY_EXISTS, words)
        return Submitted(existing.id, existing.state, existed=True)
    bad = written.refused.get(row.id)
    if bad is not None:
        relation = "submits this one" if bad.parent == row.parent else "this one should wait for"
        why = "is not there (any more)" if bad.state is None else _WHY_BAD[bad.state]
        return refused(FAILED_PRECONDITION, f"Job {id_text(bad.parent)}, which {relation}, {why}")
    return Submitted(row.id, WAITING if row.id in written.waiting else STATES[row.state])


def is_stored(row: NewJob, written: Written) -> bool:
    """Return whether a row has become a job of its own."""
    return row.id not in written.existing and row.id not in written.refused


def flow_of(row: NewJob) -> Flow:
    """Return the flow that a new job belongs to."""
    return row_of(Flow, (row.method, row.rank, row.value))


def _fault(submission: Submission) -> Submitted | None:
    """Return the refusal of a submission that contradicts itself."""
    _, _, key, _, priority, waits_for, parent, _, step, labels, _, _ = submission
    words = ""
    if key is None and step is None and not labels and not waits_for and -PRIORITY_MAX <= priority <= PRIORITY_MAX:
        return None
    if not -PRIORITY_MAX <= priority <= PRIORITY_MAX:
        words = f"priority is {priority}; it must be {-PRIORITY_MAX} to {PRIORITY_MAX}"
    elif step is not None and (parent is None or key is not None):
        words = "a step has a name within the job that submits it: it needs a parent, and cannot have a key as well"
    elif _is_bad_name(key, KEY_LENGTH_MAX):
        words = f"a key has 1 to {KEY_LENGTH_MAX} characters, none of them a control character"
    elif _is_bad_name(step, KEY_LENGTH_MAX):
        words = f"a step's name has 1 to {KEY_LENGTH_MAX} characters, none of them a control character"
    elif len(waits_for) > AFTER_MAX:
        words = f"it should wait for {len(waits_for)} jobs; at most {AFTER_MAX} may be"
    elif len(labels) > LABELS_MAX or any(len(text) > LABEL_LENGTH_MAX for label in labels for text in label):
        words = f"at most {LABELS_MAX} labels may be, of at most {LABEL_LENGTH_MAX} characters each"
    return refused(INVALID_ARGUMENT, words) if words else None


def _is_bad_name(name: str | None, length_max: int) -> bool:
    if name is None:
        return False
    return not 0 < len(name) <= length_max or _CONTROL.search(name) is not None
