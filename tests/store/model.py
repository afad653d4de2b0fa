"""A store in memory that is clear rather than fast: what a batch means, step by step, in the words of the core.

Other stores are held to it in lockstep; the simulation runs the engine on it.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from portcall.core.jobs.attempts import NOTE_BITS
from portcall.core.jobs.batch import (
    UNSORTED,
    Again,
    AttemptOutcome,
    BadParent,
    Batch,
    Change,
    Checkpoint,
    ClaimedJob,
    End,
    Existing,
    Flow,
    HeldJob,
    Look,
    MethodIds,
    MethodRow,
    NewJob,
    Note,
    Reply,
    ScheduleRow,
    Stored,
    Written,
)
from portcall.core.jobs.causes import ASKED, PARENT_UNSUCCESSFUL, WITH_PARENT
from portcall.core.jobs.rows import AttemptRow, Backlog, JobFilter, JobRow, NoteRow, Page, ReplyRow, Tally
from portcall.core.jobs.states import ENDED, HELD, JobEvent, JobState, after


@dataclass(kw_only=True)
class ModelJob:
    """All that a store keeps of a job."""

    id: int
    method: int
    state: JobState
    rank: int
    attempt: int
    policy: int
    keep_s: float
    due_at: float
    started_at: float | None
    value: str
    key: str | None
    parent: int | None
    step: str | None
    overrides: bytes | None
    metadata: bytes | None
    request: bytes
    failures: int = 0
    deaths: int = 0
    parents: set[int] = field(default_factory=set)
    ended_at: float | None = None
    expires_at: float | None = None
    status: int | None = None
    details: str = ""
    worker: str = ""
    reply: bytes | None = None
    trailers: bytes | None = None
    labels: dict[str, str] = field(default_factory=dict)
    attempts: dict[int, AttemptRow] = field(default_factory=dict)
    notes: dict[int, NoteRow] = field(default_factory=dict)
    replies: dict[int, ReplyRow] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None

    @property
    def flow(self) -> Flow:
        return Flow(self.method, self.rank, self.value)

    def move(self, event: JobEvent) -> None:
        self.state = after(self.state, event, self.id)


class ModelStore:
    """A `Store`, and its own `Reader`."""

    def __init__(self) -> None:
        self.jobs: dict[int, ModelJob] = {}
        self.methods: dict[str, MethodIds] = {}
        self.policies: dict[int, bytes] = {}
        self.schedule_rows: dict[str, ScheduleRow] = {}
        self.last_forgotten = 0

    # --- Store --------------------------------------------------------------------------------------------------------

    def stored(self) -> Stored:
        held = [self._held(job) for job in self._by_id() if job.state in HELD]
        last_jobs = {row.last_job for row in self.schedule_rows.values()}
        ready = {job.method for job in self.jobs.values() if job.state is JobState.READY}
        return Stored(
            methods=[MethodRow(ids.method, name, ids.policy) for name, ids in self.methods.items()],
            policies=dict(self.policies),
            held=held,
            ready_methods=[ids.method for ids in self.methods.values() if ids.method in ready],
            next_due_at=self._next_due_at(),
            last_job=max([self.last_forgotten, *self.jobs]),
            ended=self._ended(),
            schedules=self.schedules(),
            live_scheduled=frozenset(
                job.id for job in self.jobs.values() if job.id in last_jobs and job.state not in ENDED
            ),
        )

    def write(self, batch: Batch) -> Written:
        return _Writing(self, batch).perform()

    def reader(self) -> "ModelStore":
        return self

    def backup(self, target: Path) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass

    # --- Reader -------------------------------------------------------------------------------------------------------

    def get(self, jobs: Sequence[int]) -> list[JobRow]:
        return [self._row(self.jobs[job], with_payloads=True) for job in jobs if job in self.jobs]

    def states(self, jobs: Sequence[int]) -> dict[int, JobState]:
        return {job: self.jobs[job].state for job in jobs if job in self.jobs}

    def find(self, wanted: JobFilter, *, before: int | None, limit: int, with_payloads: bool) -> Page:
        found = [
            job for job in reversed(self._by_id()) if self._matches(job, wanted) and (before is None or job.id < before)
        ]
        rows = [self._row(job, with_payloads=with_payloads) for job in found[:limit]]
        return Page(rows, rows[-1].id if len(found) > limit else None)

    def attempts(self, job: int) -> list[AttemptRow]:
        return [row for _, row in sorted(self.jobs[job].attempts.items())] if job in self.jobs else []

    def notes(self, job: int, *, after: int, limit: int) -> list[NoteRow]:
        notes = self.jobs[job].notes if job in self.jobs else {}
        return [row for number, row in sorted(notes.items()) if number > after][:limit]

    def replies(self, job: int, *, offset: int, limit: int) -> list[ReplyRow]:
        replies = self.jobs[job].replies if job in self.jobs else {}
        return [row for place, row in sorted(replies.items()) if place >= offset][:limit]

    def tallies(self) -> list[Tally]:
        counts = Counter((self._name(job), job.state) for job in self.jobs.values())
        return sorted(Tally(name, state, count) for (name, state), count in counts.items())

    def backlogs(self) -> list[Backlog]:
        heads: dict[Flow, ModelJob] = {}
        for job in self._by_id():
            if job.state is JobState.READY:
                heads.setdefault(job.flow, job)
        due = [job for job in self.jobs.values() if job.state is JobState.SCHEDULED]
        found = []
        for name, ids in sorted(self.methods.items()):
            retrying = sum(job.method == ids.method and job.attempt > 0 for job in due)
            since = min((job.due_at for job in heads.values() if job.method == ids.method), default=None)
            if retrying or since is not None:
                found.append(Backlog(name, retrying, since))
        return found

    def schedules(self) -> list[ScheduleRow]:
        return [row for _, row in sorted(self.schedule_rows.items())]

    # --- within -------------------------------------------------------------------------------------------------------

    def _by_id(self) -> list[ModelJob]:
        return [self.jobs[job] for job in sorted(self.jobs)]

    def _name(self, job: ModelJob) -> str:
        return next(name for name, ids in self.methods.items() if ids.method == job.method)

    def _next_due_at(self) -> float | None:
        return min((job.due_at for job in self.jobs.values() if job.state is JobState.SCHEDULED), default=None)

    def _ended(self) -> int:
        return sum(job.state in ENDED for job in self.jobs.values())

    def _matches(self, job: ModelJob, wanted: JobFilter) -> bool:
        return (
            (wanted.method is None or self._name(job) == wanted.method)
            and (not wanted.states or job.state in wanted.states)
            and (wanted.key is None or job.key == wanted.key)
            and (wanted.parent is None or job.parent == wanted.parent)
            and (wanted.label is None or wanted.label in job.labels)
            and (wanted.label is None or wanted.label_value is None or job.labels[wanted.label] == wanted.label_value)
            and wanted.id_min <= job.id <= wanted.id_max
        )

    def _row(self, job: ModelJob, *, with_payloads: bool) -> JobRow:
        trailers, reply, request, metadata = job.trailers, job.reply, job.request, job.metadata
        if not with_payloads:
            trailers = reply = request = metadata = None
        return JobRow(
            job.id, self._name(job), job.state, job.rank, job.attempt, job.failures, job.deaths, len(job.parents),
            job.due_at, job.started_at, job.ended_at, job.expires_at, job.status, job.details, job.worker, job.value,
            job.key, job.parent, job.step, trailers, reply, request, metadata, tuple(sorted(job.labels.items())),
            max(job.replies, default=-1) + 1,
        )  # fmt: skip

    def _held(self, job: ModelJob) -> HeldJob:
        assert job.started_at is not None
        last_note = max((number for number in job.notes if number >> NOTE_BITS == job.attempt), default=0)
        return HeldJob(
            job.id, job.method, job.state, job.rank, job.value, job.attempt, job.failures, job.deaths, job.policy,
            job.parent, job.overrides, job.started_at, last_note, max(job.replies, default=-1) + 1,
            job.details,
        )  # fmt: skip


class _Writing:
    """One batch."""

    def __init__(self, store: ModelStore, batch: Batch) -> None:
        self._store = store
        self._jobs = store.jobs
        self._batch = batch
        self._now = batch.now
        self._stale: set[int] = set()
        self._unheard: set[int] = set()
        self._changes: list[Change] = []
        self._released: set[Flow] = set()
        self._existing: dict[int, Existing] = {}
        self._refused: dict[int, BadParent] = {}
        self._waiting: set[int] = set()
        self._checkpoints: dict[int, Checkpoint] = {}

    def perform(self) -> Written:
        batch = self._batch
        numbered = {name: self._number(name, options) for name, options in batch.methods}
        for told in (*batch.notes, *batch.replies, *batch.checkpoints):
            self._tell(told)
        self._end(batch.ends)
        for again in batch.agains:
            self._repeat(again)
        self._cancel(batch.cancels, ASKED)
        for job, rank in batch.revivals:
            self._revive(job, rank)
        purged = self._purge()
        self._store.schedule_rows.update({row.name: row for row in batch.schedules})
        for name in batch.schedules_removed:
            self._store.schedule_rows.pop(name, None)
        promoted = self._promote(batch.promote_max)
        for job, value in batch.values:
            if job in self._jobs and (self._jobs[job].state, self._jobs[job].value) == (JobState.READY, UNSORTED):
                self._jobs[job].value = value
        for row in batch.appends:
            self._append(row)
        claims = [self._claim(claim.flow, claim.most) for claim in batch.claims]
        looks = [self._look(look) for look in batch.looks]
        pages = [self._flows(page.method, page.after)[: page.limit] for page in batch.flow_pages]
        return Written(
            methods=numbered,
            stale=frozenset(self._stale),
            unheard=frozenset(self._unheard),
            changes=self._changes,
            purged=purged,
            promoted=promoted,
            released=frozenset(self._released),
            next_due_at=self._store._next_due_at(),
            ended=self._store._ended(),
            existing=self._existing,
            refused=self._refused,
            waiting=frozenset(self._waiting),
            claims=claims,
            checkpoints=self._checkpoints,
            looks=looks,
            flow_pages=pages,
        )

    def _number(self, name: str, options: bytes) -> MethodIds:
        policies = self._store.policies
        policy = next((number for number, known in policies.items() if known == options), len(policies) + 1)
        policies[policy] = options
        old = self._store.methods.get(name)
        ids = MethodIds(old.method if old else len(self._store.methods) + 1, policy)
        self._store.methods[name] = ids
        return ids

    # --- attempts -----------------------------------------------------------------------------------------------------

    def _holder(self, job: int, attempt: int) -> ModelJob | None:
        found = self._jobs.get(job)
        is_held = found is not None and found.attempt == attempt and found.state in HELD
        return found if is_held else None

    def _tell(self, told: Note | Reply | Checkpoint) -> None:
        job = self._holder(told.job, told.attempt)
        if job is None:
            self._unheard.add(told.job)
            return
        match told:
            case Note():
                job.notes[told.number] = NoteRow(told.job, told.number, told.at, told.kind, told.body)
            case Reply():
                job.replies[told.offset] = ReplyRow(told.offset, told.attempt, told.message)
            case Checkpoint():
                job.checkpoint = told

    def _end(self, ends: Sequence[End]) -> None:
        recorded = []
        for end in ends:
            job = self._holder(end.job, end.attempt)
            if job is None or job.state != end.was:
                self._stale.add(end.job)
                continue
            job.state = JobState(end.state)
            job.failures, job.deaths, job.status, job.details = end.failures, end.deaths, end.status, end.details
            job.worker, job.reply, job.trailers = end.worker, end.reply, end.trailers
            self._close(job)
            recorded.append(job)
        self._let_go([job for job in recorded if job.state is JobState.SUCCEEDED])
        self._cancel_dependents([job for job in recorded if job.state is not JobState.SUCCEEDED])

    def _close(self, job: ModelJob) -> None:
        job.ended_at, job.expires_at = self._now, self._now + job.keep_s

    def _repeat(self, again: Again) -> None:
        job = self._holder(again.job, again.attempt)
        if job is None or job.state != again.was:
            self._stale.add(again.job)
            return
        job.state = JobState(again.state)
        job.due_at, job.rank, job.failures, job.deaths = again.due_at, again.rank, again.failures, again.deaths
        job.status, job.details, job.worker = again.status, again.details, again.worker
        if again.outcome is AttemptOutcome.HANDED_BACK:
            job.attempts = {number: row for number, row in job.attempts.items() if row.outcome is not again.outcome}
        job.attempts[again.attempt] = AttemptRow(
            job.id, again.attempt, again.started_at, self._now, again.outcome, again.status, again.details, again.worker
        )

    # --- what follows for others --------------------------------------------------------------------------------------

    def _dependents(self, jobs: Iterable[ModelJob]) -> list[ModelJob]:
        ids = {job.id for job in jobs}
        return [job for job in self._store._by_id() if job.parents & ids]

    def _let_go(self, succeeded: list[ModelJob]) -> None:
        for job in self._dependents(succeeded):
            job.parents -= {parent.id for parent in succeeded}
            if job.parents:
                continue
            if job.due_at > self._now:
                job.move(JobEvent.PARENTS_SUCCEEDED_EARLY)
            else:
                job.move(JobEvent.PARENTS_SUCCEEDED)
                self._released.add(job.flow)

    def _cancel_dependents(self, unsuccessful: list[ModelJob]) -> None:
        self._cancel([job.id for job in self._dependents(unsuccessful)], PARENT_UNSUCCESSFUL)

    def _cancel(self, ids: Iterable[int], cause: str) -> None:
        causes = deque([(ids, cause)])
        while causes:
            ids, cause = causes.popleft()
            jobs = [self._jobs[job] for job in sorted(set(ids)) if job in self._jobs]
            jobs = [job for job in jobs if job.state not in ENDED and job.state is not JobState.CANCELLING]
            event = JobEvent.PARENT_UNSUCCESSFUL if cause == PARENT_UNSUCCESSFUL else JobEvent.CANCEL_ASKED
            for job in jobs:
                job.move(event)
                if job.state is JobState.CANCELLED:
                    job.parents, job.status, job.details = set(), 1, cause
                    self._close(job)
                job.details = cause
                self._changes.append(Change(job.id, job.method, job.attempt, job.state, cause))
            if jobs:
                cancelled = [job for job in jobs if job.state is JobState.CANCELLED]
                causes.append(([job.id for job in self._dependents(cancelled)], PARENT_UNSUCCESSFUL))
                parents = {job.id for job in jobs}
                causes.append(([job.id for job in self._jobs.values() if job.parent in parents], WITH_PARENT))

    def _revive(self, id_: int, rank: int) -> None:
        job = self._jobs.get(id_)
        if job is None or job.state not in (JobState.FAILED, JobState.CANCELLED):
            return
        if job.attempt and job.attempt not in job.attempts:
            assert job.started_at is not None
            assert job.ended_at is not None
            assert job.status is not None
            job.attempts[job.attempt] = AttemptRow(
                id_,
                job.attempt,
                job.started_at,
                job.ended_at,
                AttemptOutcome.FAILED,
                job.status,
                job.details,
                job.worker,
            )
        job.move(JobEvent.RETRIED_BY_HAND)
        job.rank, job.due_at, job.failures, job.deaths = rank, self._now, 0, 0
        job.ended_at = job.expires_at = job.status = job.reply = job.trailers = None
        job.details = job.worker = ""
        self._changes.append(Change(id_, job.method, job.attempt, job.state))
        self._released.add(job.flow)

    def _purge(self) -> int:
        gone = {job for job in self._batch.forget if job in self._jobs and self._jobs[job].state in ENDED}
        for job in gone:
            self._forget(job)
        count = len(gone)
        if self._batch.purge is not None:
            ended = [job for job in self._jobs.values() if job.expires_at is not None and not self._is_asked_for(job)]
            expired = [(job.expires_at, job.id) for job in ended]
            due = sorted(entry for entry in expired if entry[0] <= self._batch.purge.expired_by)
            for _, job in due[: self._batch.purge.limit]:
                self._forget(job)
                count += 1
        return count

    def _is_asked_for(self, job: ModelJob) -> bool:
        parent = self._jobs.get(job.parent) if job.parent is not None else None
        return job.step is not None and parent is not None and parent.state not in ENDED

    def _forget(self, job: int) -> None:
        del self._jobs[job]
        self._store.last_forgotten = max(self._store.last_forgotten, job)

    # --- starting -----------------------------------------------------------------------------------------------------

    def _promote(self, count: int) -> int:
        due = [job for job in self._store._by_id() if job.state is JobState.SCHEDULED and job.due_at <= self._now]
        due = sorted(due, key=lambda job: (job.due_at, job.id))[:count]
        for job in due:
            job.move(JobEvent.TIME_CAME)
            self._released.add(job.flow)
        return len(due)

    def _append(self, row: NewJob) -> None:
        assert row.id not in self._jobs
        assert row.request is not None
        holder = next(
            (job for job in self._jobs.values() if row.key and (job.method, job.key) == (row.method, row.key)), None
        )
        if holder is not None:
            is_free = row.id in self._batch.replaceable and holder.state in (JobState.FAILED, JobState.CANCELLED)
            if not is_free:
                self._existing[row.id] = Existing(holder.id, holder.state)
                return
        if row.parent is not None:
            submitter = self._jobs.get(row.parent)
            if submitter is None or submitter.state in (JobState.CANCELLING, JobState.CANCELLED):
                self._refused[row.id] = BadParent(row.parent, submitter and submitter.state)
                return
        parents = [parent for job, parent in self._batch.dependencies if job == row.id]
        states = {parent: self._jobs[parent].state if parent in self._jobs else None for parent in parents}
        for parent in parents:
            if states[parent] in (None, JobState.FAILED, JobState.CANCELLED):
                self._refused[row.id] = BadParent(parent, states[parent])
                return
        if holder is not None:
            holder.key = None
        job = ModelJob(**row._asdict())
        job.state = JobState(row.state)
        job.parents = {parent for parent in parents if states[parent] is not JobState.SUCCEEDED}
        if job.parents:
            job.state = JobState.WAITING
            self._waiting.add(job.id)
        job.labels = {name: value for id_, name, value in self._batch.labels if id_ == job.id}
        self._jobs[job.id] = job

    def _claim(self, flow: Flow, count: int) -> list[ClaimedJob]:
        ready = [job for job in self._store._by_id() if job.state is JobState.READY and job.flow == flow]
        return [self._start(job) for job in ready[:count]]

    def _look(self, look: Look) -> list[tuple[int, bytes]]:
        found, size = [], 0
        for job in self._store._by_id():
            if job.state is JobState.READY and job.flow == look.flow and len(found) < look.most:
                found.append((job.id, job.request))
                size += len(job.request)
                if size >= look.bytes_max:
                    break
        return found

    def _start(self, job: ModelJob) -> ClaimedJob:
        job.move(JobEvent.CLAIMED)
        job.attempt += 1
        job.started_at = self._now
        if job.attempt > 1:
            kept = 0
            if job.checkpoint is not None:
                self._checkpoints[job.id] = job.checkpoint
                kept = job.checkpoint.replies
            job.replies = {place: row for place, row in job.replies.items() if place < kept}
        return ClaimedJob(
            job.id,
            job.attempt,
            job.failures,
            job.deaths,
            job.policy,
            job.parent,
            job.overrides,
            job.metadata,
            job.request,
        )

    def _flows(self, method: int, behind: tuple[int, str] | None) -> list[tuple[int, str]]:
        jobs = [job for job in self._jobs.values() if job.method == method and job.state is JobState.READY]
        flows = sorted({(job.rank, job.value) for job in jobs})
        return [flow for flow in flows if behind is None or flow > behind]


def copy_of(store: ModelStore) -> ModelStore:
    """Return a store that holds the same and shares nothing that changes."""
    copy = ModelStore()
    copy.jobs = {
        id_: replace(
            job,
            parents=set(job.parents),
            labels=dict(job.labels),
            attempts=dict(job.attempts),
            notes=dict(job.notes),
            replies=dict(job.replies),
        )
        for id_, job in store.jobs.items()
    }
    copy.methods, copy.policies = dict(store.methods), dict(store.policies)
    copy.schedule_rows, copy.last_forgotten = dict(store.schedule_rows), store.last_forgotten
    return copy
