"""The attempts that hold a job: who runs what, until when, and how they end.

A job's lease is its entry here, and its number is what the store has recorded. It begins when a claim is committed and
ends when the outcome is, so there is never a moment at which two attempts hold one job. Nothing here has a term that
must be extended: liveness comes from the link to the worker.
"""

import heapq
from collections.abc import Iterable, Sequence

from portcall.core.jobs.backoff import Chance
from portcall.core.jobs.batch import Again, AttemptOutcome, End, Flow, HeldJob, row_of
from portcall.core.jobs.causes import ASKED
from portcall.core.jobs.policy import Policy
from portcall.core.jobs.ranks import priority_of, rank_of
from portcall.core.jobs.states import CANCELLING, ENDED, RUNNING, SUCCEEDED, JobState, after
from portcall.core.jobs.verdicts import Ending, judge, lost, timed_out
from portcall.core.refusals import OK

_SUCCEEDED = int(SUCCEEDED)

NOTE_BITS = 20
"""A note's number is its attempt's, and below it the note's own in the attempt: so numbers rise within a job, and those
of events that no store keeps (an attempt's start and end) can be told. See `history`."""


class Attempt:
    """One execution of a job."""

    __slots__ = (
        "cause",
        "deadline",
        "deaths",
        "ending",
        "failures",
        "flow",
        "is_counted",
        "is_orphan",
        "is_timed_out",
        "job",
        "note",
        "number",
        "policy",
        "progress",
        "reply_count",
        "started_at",
        "state",
    )

    def __init__(self, job: int, number: int, flow: Flow, policy: Policy, started_at: float) -> None:
        self.job = job
        self.number = number
        self.flow = flow
        self.policy = policy
        self.started_at = started_at
        self.deadline = None if policy.timeout_s is None else started_at + policy.timeout_s
        self.failures = 0
        self.deaths = 0
        self.state = RUNNING
        """As the store has it."""
        self.cause = ASKED
        """Why it is to stop, if it is CANCELLING."""
        self.is_counted = True
        """Whether it counts against the limits of its method."""
        self.is_orphan = False
        """It ran when the hub was started, and no worker has come back with it yet."""
        self.is_timed_out = False
        self.ending: Ending | None = None
        """How it has ended, once it has; the store may not know yet."""
        self.note = number << NOTE_BITS
        """Number of its last note."""
        self.progress: tuple[float, bytes] | None = None
        """The latest, and when it came; to be stored."""
        self.reply_count = 0
        """Replies that it, or those before it, gave so far."""


class Attempts:
    """All attempts that hold a job, and all that they tell."""

    def __init__(self, held: Iterable[tuple[HeldJob, Policy]]) -> None:
        self.by_job: dict[int, Attempt] = {}
        self.over: list[Attempt] = []
        """Those that have ended, in order; the store does not know yet."""
        self._deadlines: list[tuple[float, int, int]] = []
        self.orphans: set[int] = set()
        for row, policy in held:
            attempt = Attempt(row.id, row.attempt, Flow(row.method, row.rank, row.value), policy, row.started_at)
            attempt.failures, attempt.deaths, attempt.state = row.failures, row.deaths, row.state
            if row.state is CANCELLING:
                attempt.cause = row.details or ASKED
            attempt.note = max(attempt.note, row.notes)
            attempt.reply_count = row.replies
            attempt.is_orphan = True
            self.orphans.add(row.id)
            self.begin(attempt)

    def begin(self, attempt: Attempt) -> None:
        """Let an attempt hold its job."""
        self.by_job[attempt.job] = attempt
        if attempt.deadline is not None:
            heapq.heappush(self._deadlines, (attempt.deadline, attempt.job, attempt.number))

    def find(self, job: int, number: int) -> Attempt | None:
        """Return the attempt of this number if it holds the job and has not ended."""
        attempt = self.by_job.get(job)
        if attempt is None or attempt.number != number or attempt.ending is not None:
            return None
        return attempt

    def holds(self, job: int, number: int) -> bool:
        """Return whether the attempt of this number holds the job, be it that it has ended and is not recorded yet."""
        attempt = self.by_job.get(job)
        return attempt is not None and attempt.number == number

    def end_if_held(self, job: int, number: int, ending: Ending) -> bool:
        """Note how the attempt of this number has ended, if it holds the job and had not ended; return whether."""
        attempt = self.by_job.get(job)
        if attempt is None or attempt.number != number or attempt.ending is not None:
            return False
        self.end(attempt, ending)
        return True

    def end(self, attempt: Attempt, ending: Ending) -> None:
        """Note how an attempt has ended. It holds its job until that is stored."""
        if attempt.is_timed_out and ending.outcome is AttemptOutcome.FAILED:
            assert attempt.policy.timeout_s is not None
            ending = timed_out(ending, attempt.policy.timeout_s)
        attempt.ending = ending
        self.orphans.discard(attempt.job)
        self.over.append(attempt)

    def release(self, attempts: Iterable[Attempt]) -> None:
        """Let jobs go whose attempts' ends are stored."""
        by_job = self.by_job
        for attempt in attempts:
            del by_job[attempt.job]

    # --- clocks -------------------------------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float | None:
        """Return when `pop_late` may have something to do."""
        return self._deadlines[0][0] if self._deadlines else None

    def pop_late(self, now: float) -> list[Attempt]:
        """Return the attempts whose time is up, each once."""
        late = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, job, number = heapq.heappop(self._deadlines)
            attempt = self.find(job, number)
            if attempt is not None:
                attempt.is_timed_out = True
                late.append(attempt)
        return late

    def give_up_orphans(self) -> None:
        """End the attempts that no worker has come back with."""
        for job in sorted(self.orphans):
            self.end(self.by_job[job], lost())

    # --- rows ---------------------------------------------------------------------------------------------------------

    def take_over(self, count: int) -> list[Attempt]:
        """Remove and return up to so many of those that have ended."""
        taken, self.over = self.over[:count], self.over[count:]
        return taken


def rows_of_ends(attempts: Sequence[Attempt], now: float, rng: Chance) -> tuple[list[End], list[Again]]:
    """Return what to record of attempts that have ended."""
    ends: list[End] = []
    agains: list[Again] = []
    for attempt in attempts:
        ending = attempt.ending
        assert ending is not None
        if ending.outcome is AttemptOutcome.SUCCEEDED and not ending.details:
            ends.append(_success(attempt, ending))
            continue
        verdict = judge(ending, attempt.state, attempt.failures, attempt.deaths, attempt.policy, rng, attempt.cause)
        state = after(attempt.state, verdict.event, attempt.job)
        was = int(attempt.state)
        flow, job, number = attempt.flow, attempt.job, attempt.number
        failures, deaths, status, details = verdict.failures, verdict.deaths, verdict.status, verdict.details
        if state in ENDED:
            reply = ending.reply if state is JobState.SUCCEEDED else None
            ends.append(
                End(
                    job,
                    number,
                    flow.method,
                    was,
                    int(state),
                    failures,
                    deaths,
                    status,
                    details,
                    ending.worker,
                    reply,
                    ending.trailers,
                )
            )
            continue
        rank = rank_of(priority_of(flow.rank), deaths)
        agains.append(
            Again(
                job,
                number,
                flow.method,
                was,
                int(state),
                now + verdict.wait_s,
                rank,
                failures,
                deaths,
                attempt.started_at,
                ending.outcome,
                status,
                details,
                ending.worker,
            )
        )
    return ends, agains


def _success(attempt: Attempt, ending: Ending) -> End:
    """Return the end of a job whose attempt did what it should: the case that has to be fast. See `judge`."""
    job, number, method, was = attempt.job, attempt.number, attempt.flow.method, int(attempt.state)
    failures, deaths, worker = attempt.failures, attempt.deaths, ending.worker
    row = (job, number, method, was, _SUCCEEDED, failures, deaths, OK, "", worker, ending.reply, ending.trailers)
    return row_of(End, row)


def is_wanted(attempt: Attempt) -> bool:
    """Return whether anybody still wants the attempt to go on."""
    return attempt.state is not CANCELLING and not attempt.is_timed_out
