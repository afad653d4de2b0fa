"""What a job engine asks of a store, and what the store answers.

A `Batch` is one transaction: a store performs all of it or nothing, in the order of the fields below, and answers with
a `Written`. Everything comes in columns and lists, since a batch of 500 jobs is as common as one of one. Rows are named
tuples, because they are made by the ten thousand each second and go into a database as they are. For the same reason
the states in rows that an engine makes are plain numbers of `JobState`: binding a member of an enum takes five times as
long as binding an `int`.

Fencing. Rows that speak for an attempt carry its number and take effect only while that very attempt holds the job,
which is then RUNNING or CANCELLING; those that end it name which of the two (`was`). The jobs of rows that had no
effect are in `Written.stale` and `Written.unheard`; nothing else tells.

Ready jobs have an order within their *flow*: a flow is all ready jobs of one method, rank and value, oldest first.
Whose turn it is among the flows is the engine's to say; a store only ever takes the first jobs of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

from portcall.core.jobs.states import JobState

row_of: Final = tuple.__new__
"""Makes a named tuple from a tuple of its fields, in half the time that its own constructor takes. For rows that are
made by the ten thousand each second."""

UNSORTED: Final = "\x1f"
"""The value of a job that was submitted before its method's contract was known. It gets its own before it starts, so
nothing ever runs under this one; no request has it (`values`)."""


class Flow(NamedTuple):
    """Names a flow. The method is a store's number for it."""

    method: int
    rank: int
    value: str


# --- what an engine asks ----------------------------------------------------------------------------------------------


class MethodOptionsRow(NamedTuple):
    """A method and its serialised `JobOptions`, to be numbered, and to count as the method's newest."""

    name: str
    options: bytes


class Note(NamedTuple):
    """Something that an attempt told: progress or a line of its log."""

    job: int
    attempt: int
    number: int
    at: float
    kind: int
    body: bytes


class Reply(NamedTuple):
    """One reply of a server-streaming job. An offset that is there already is replaced."""

    job: int
    attempt: int
    offset: int
    message: bytes


class Checkpoint(NamedTuple):
    """Where a later attempt may go on. Replaces the one before."""

    job: int
    attempt: int
    at: float
    replies: int
    """Replies before this offset stay when a later attempt begins; those from it on are dropped."""
    state: bytes


class End(NamedTuple):
    """The recorded outcome of a job: SUCCEEDED, FAILED or CANCELLED."""

    job: int
    attempt: int
    method: int
    was: int
    state: int
    failures: int
    deaths: int
    status: int
    details: str
    worker: str
    reply: bytes | None
    trailers: bytes | None


class AttemptOutcome(IntEnum):
    """How an attempt ended. The numbers are those of `portcall.v1.Attempt.Outcome` and of every store."""

    SUCCEEDED = 1
    FAILED = 2
    DIED = 3
    LOST = 4
    HANDED_BACK = 5


class Again(NamedTuple):
    """An attempt is over and another one may follow: the job is READY, or SCHEDULED until `due_at`.

    Of a job's attempts that were handed back the latest is kept: workers that come and go may hand it back without end.
    """

    job: int
    attempt: int
    method: int
    was: int
    state: int
    due_at: float
    rank: int
    failures: int
    deaths: int
    started_at: float
    outcome: AttemptOutcome
    status: int
    details: str
    worker: str


class Revival(NamedTuple):
    """A FAILED or CANCELLED job to be run again, with all its attempts. Others are left alone."""

    job: int
    rank: int


class ScheduleRow(NamedTuple):
    """A schedule as it is stored, by name."""

    name: str
    spec: bytes
    next_at: float | None
    last_at: float | None
    last_job: int | None


class NewJob(NamedTuple):
    """A job to be stored, in the state that it is to have: SCHEDULED, READY, or RUNNING with its first attempt."""

    id: int
    method: int
    state: int
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
    request: bytes | None


class Dependency(NamedTuple):
    """`job`, of this batch, waits for `parent`; it then must be SCHEDULED or READY, and is stored as WAITING."""

    job: int
    parent: int


class Label(NamedTuple):
    """A label of a job of this batch."""

    job: int
    name: str
    value: str


class Claim(NamedTuple):
    """Start the first `most` ready jobs of a flow, or as many as it has."""

    flow: Flow
    most: int


class Look(NamedTuple):
    """Read the requests of the first ready jobs of a flow, `most` of them and about `bytes_max` bytes; one at least."""

    flow: Flow
    most: int
    bytes_max: int


class NewValue(NamedTuple):
    """The value of a job that is READY and UNSORTED. Others are left alone."""

    job: int
    value: str


class FlowPage(NamedTuple):
    """List the flows of a method that have ready jobs, in order of (rank, value), behind the one given."""

    method: int
    after: tuple[int, str] | None
    limit: int


class Purge(NamedTuple):
    """Forget up to `limit` ended jobs that expire by a time, the first to expire first.

    Steps whose parent has not ended stay: it may run again, and ask for their results.
    """

    expired_by: float
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One transaction, performed in the order of these fields."""

    now: float
    methods: Sequence[MethodOptionsRow] = ()
    notes: Sequence[Note] = ()
    replies: Sequence[Reply] = ()
    checkpoints: Sequence[Checkpoint] = ()
    ends: Sequence[End] = ()
    """At most one of `ends` and `agains` for a job. Afterwards, jobs that waited for a job that succeeded wait for one
    less, and those that waited for one that did not are cancelled, with all that wait for them."""
    agains: Sequence[Again] = ()
    cancels: Sequence[int] = ()
    """Jobs to be cancelled, with all their descendants by `parent`. Those that are held become CANCELLING; the others
    are CANCELLED, with all that wait for them."""
    revivals: Sequence[Revival] = ()
    forget: Sequence[int] = ()
    """Jobs to be purged now; those that have not ended are left alone."""
    purge: Purge | None = None
    schedules: Sequence[ScheduleRow] = ()
    schedules_removed: Sequence[str] = ()
    promote_max: int = 0
    """Make so many SCHEDULED jobs READY whose time has come, the earliest first."""
    values: Sequence[NewValue] = ()
    appends: Sequence[NewJob] = ()
    dependencies: Sequence[Dependency] = ()
    labels: Sequence[Label] = ()
    replaceable: frozenset[int] = frozenset()
    """Jobs of `appends` that take over the key of one that has FAILED or was CANCELLED."""
    claims: Sequence[Claim] = ()
    looks: Sequence[Look] = ()
    flow_pages: Sequence[FlowPage] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.purge is None and not (
            self.appends
            or self.ends
            or self.claims
            or self.agains
            or self.methods
            or self.notes
            or self.replies
            or self.checkpoints
            or self.cancels
            or self.revivals
            or self.forget
            or self.schedules
            or self.schedules_removed
            or self.promote_max
            or self.values
            or self.looks
            or self.flow_pages
        )


# --- what a store answers ---------------------------------------------------------------------------------------------


class MethodIds(NamedTuple):
    """The numbers of a method and of its options."""

    method: int
    policy: int


class Existing(NamedTuple):
    """The job that has the key of one that was to be appended."""

    id: int
    state: JobState


class BadParent(NamedTuple):
    """Why a job is not stored.

    One that it was to wait for has failed, was cancelled, or (None) is not there; or the one that submits it is being
    cancelled, was cancelled, or is not there.
    """

    parent: int
    state: JobState | None


class Change(NamedTuple):
    """A job is in another state, because something else happened."""

    job: int
    method: int
    attempt: int
    state: JobState
    details: str = ""
    """Why, if it has ended by this or is to stop."""


class ClaimedJob(NamedTuple):
    """A job that was started, with what it takes to run it."""

    id: int
    attempt: int
    failures: int
    deaths: int
    policy: int
    parent: int | None
    overrides: bytes | None
    metadata: bytes | None
    request: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a committed batch has come to. Durable when a store returns it."""

    methods: Mapping[str, MethodIds] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    """Jobs of `ends` and `agains` that the attempt given does not hold."""
    unheard: frozenset[int] = frozenset()
    """Jobs of `notes`, `replies` and `checkpoints` that the attempt given does not hold."""
    changes: Sequence[Change] = ()
    """Jobs that were cancelled (or are CANCELLING) because of `cancels` or of a parent, and those revived."""
    purged: int = 0
    """By `forget` and `purge` together."""
    promoted: int = 0
    released: frozenset[Flow] = frozenset()
    """Flows that have got ready jobs otherwise than by `appends` and `agains`."""
    next_due_at: float | None = None
    """The earliest time of a SCHEDULED job."""
    ended: int = 0
    """Ended jobs that the store holds now."""
    existing: Mapping[int, Existing] = field(default_factory=dict)
    """Jobs of `appends` that were not stored, because their key is taken."""
    refused: Mapping[int, BadParent] = field(default_factory=dict)
    """Jobs of `appends` that were not stored, because of a job that they were to wait for, or that submits them."""
    waiting: frozenset[int] = frozenset()
    """Jobs of `appends` that were stored as WAITING."""
    claims: Sequence[Sequence[ClaimedJob]] = ()
    """For each of `claims`, in order."""
    checkpoints: Mapping[int, Checkpoint] = field(default_factory=dict)
    """Of claimed jobs that have one."""
    looks: Sequence[Sequence[tuple[int, bytes]]] = ()
    """For each of `looks`, in order: jobs and their requests; none if the flow has no ready jobs."""
    flow_pages: Sequence[Sequence[tuple[int, str]]] = ()
    """For each of `flow_pages`, in order; a page that is not full is the last."""


# --- what a store holds when it is opened -----------------------------------------------------------------------------


class MethodRow(NamedTuple):
    """A method that the store knows, with its newest options."""

    id: int
    name: str
    policy: int


class HeldJob(NamedTuple):
    """A job that is RUNNING or CANCELLING."""

    id: int
    method: int
    state: JobState
    rank: int
    value: str
    attempt: int
    failures: int
    deaths: int
    policy: int
    parent: int | None
    overrides: bytes | None
    started_at: float
    notes: int
    """Number of its last note, 0 if there is none."""
    replies: int
    details: str = ""
    """If it is CANCELLING, why; else whatever its last attempt has left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What an engine has to know of a store to begin with. Its size does not depend on how many jobs are stored."""

    methods: Sequence[MethodRow] = ()
    policies: Mapping[int, bytes] = field(default_factory=dict)
    """Serialised `JobOptions`, by number."""
    held: Sequence[HeldJob] = ()
    ready_methods: Sequence[int] = ()
    """Methods that have READY jobs."""
    next_due_at: float | None = None
    last_job: int = 0
    ended: int = 0
    schedules: Sequence[ScheduleRow] = ()
    live_scheduled: frozenset[int] = frozenset()
    """Those of the schedules' last jobs that have not ended."""
