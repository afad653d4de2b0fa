"""The job engine: what happens goes in, batches for the store and effects for the shell come out.

Theory of operation. Everything that happens gathers. `plan` turns it into one batch for the store; while that is being
written, more gathers; `settle` takes the store's answer, and only then does anybody hear of it: submitters are
answered, attempts start, outcomes are told. If the store could not write, `store_failed` puts everything back and
refuses what is new. There is never more than one batch under way, so a decision always rests on what the store is known
to hold.

The engine keeps attempts that run, names of flows that have ready jobs, limits that are in use, and schedules. It never
keeps a job that waits: its size is that of the work under way, and not of what is stored.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from portcall.core.durations import duration
from portcall.core.jobs.attempts import Attempt, Attempts, is_wanted, rows_of_ends
from portcall.core.jobs.backoff import Chance
from portcall.core.jobs.batch import Batch, Flow, MethodOptionsRow, Purge, Revival, Stored, Written
from portcall.core.jobs.dispatch import Capacity, Dispatch, Slots
from portcall.core.jobs.effects import Adopted, Effects, Recorded, Stop, StopReason, Submitted
from portcall.core.jobs.flight import Flight, ScheduleStep
from portcall.core.jobs.identity import IdSequence
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.methods import Methods
from portcall.core.jobs.ranks import priority_of, rank_of, suspicion_of
from portcall.core.jobs.requests import CancelJobs, PurgeJobs, PutSchedule, RemoveSchedule, Request, RetryJobs
from portcall.core.jobs.rows import JobRow
from portcall.core.jobs.schedules import Schedule, ScheduleError, TooManySchedulesError
from portcall.core.jobs.settling import Settling
from portcall.core.jobs.states import READY, SCHEDULED, WAITING
from portcall.core.jobs.submissions import Draft, Intake, Submission, Submissions, Ticket
from portcall.core.jobs.telling import Tellings
from portcall.core.jobs.timetable import Timetable, submission
from portcall.core.jobs.verdicts import Ending, died, handed_back
from portcall.core.refusals import RESOURCE_EXHAUSTED, STORE_UNAVAILABLE, UNAVAILABLE
from portcall.protos.portcall.v1.options_pb2 import JobOptions


class JobEngine:
    """Decides about all jobs of a store. `docs/internals.md` says what a shell has to call when.

    `now` is wall-clock time, since schedules and delays mean that, but read from a clock that does not jump while the
    process lives. A reading that is behind an earlier one counts as that one.
    """

    def __init__(self, stored: Stored, now: float, rng: Chance, limits: JobLimits | None = None) -> None:
        self._limits = limits = limits or JobLimits()
        self._rng = rng
        self._now = now
        self._effects = Effects()
        self._dispatch = Dispatch(limits)
        self._methods = Methods(self._dispatch, stored, now)
        self._attempts = Attempts([(row, self._methods.policy_of(row.policy, row.overrides)) for row in stored.held])
        for attempt in self._attempts.by_job.values():
            flow = attempt.flow
            self._dispatch.by_id[flow.method].gate.count(flow.value, suspicion_of(flow.rank))
        self._tellings = Tellings(limits, self._attempts, now)
        self._ids = IdSequence(stored.last_job)
        self._intake = Intake(limits, self._dispatch, self._attempts, self._ids)
        self._timetable = Timetable(stored.schedules, stored.live_scheduled)
        self._requests: list[Request] = []
        self._adopt_until = now + limits.adopt_s
        self._next_due_at = stored.next_due_at
        self._ended, self._purge_at = stored.ended, now
        self._store_back_at = -math.inf
        self._flight: Flight | None = None

    # --- what a shell asks --------------------------------------------------------------------------------------------

    @property
    def next_tick(self) -> float | None:
        """Return when `plan` has something to do that no event will tell of; None for never."""
        if self._flight is not None:
            return None
        if self._store_back_at > self._now:
            return self._store_back_at
        ticks = [
            self._next_due_at,
            self._attempts.next_deadline,
            self._adopt_until if self._attempts.orphans else None,
            self._dispatch.next_wake,
            self._timetable.next_at,
            self._tellings.progress_at,
            self._purge_at if self._ended else None,
            self._now if self._requests else None,
        ]
        return min((tick for tick in ticks if tick is not None), default=None)

    @property
    def is_writing(self) -> bool:
        """Whether a batch is under way."""
        return self._flight is not None

    @property
    def running(self) -> int:
        """Return how many jobs somebody holds."""
        return len(self._attempts.by_job)

    @property
    def has_ready(self) -> bool:
        """Whether a free slot might be of use."""
        return any(True for _ in self._dispatch.awake())

    def seeking(self, now: float) -> frozenset[str]:
        """Return the methods whose jobs wait for nothing but a free slot."""
        now = self._tock(now)
        return frozenset(self._dispatch.seeking(now)) if now >= self._store_back_at else frozenset()

    def holds(self, job: int, attempt: int) -> bool:
        """Return whether an attempt holds its job, be it that it has ended and that is not recorded yet."""
        return self._attempts.holds(job, attempt)

    def held(self, job: int) -> tuple[str, int]:
        """Return the method of a job that somebody holds, and how many replies it has given so far."""
        attempt = self._attempts.by_job[job]
        return self._dispatch.by_id[attempt.flow.method].name, attempt.reply_count

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Return the schedules that can be used, by name."""
        return {name: entry.schedule for name, entry in self._timetable.entries.items()}

    @property
    def broken_schedules(self) -> dict[str, str]:
        """Return why stored schedules cannot be used, by name."""
        return self._timetable.broken

    def take_effects(self) -> Effects:
        """Remove and return what is to be done now."""
        effects, self._effects = self._effects, Effects()
        return effects

    def why_waiting(self, job: JobRow, *, has_worker: bool) -> str:
        """Return in words why a job does not run; empty if there is nothing to say."""
        if job.state is WAITING:
            return f"waits for {job.pending} other job{'s' if job.pending > 1 else ''} to succeed"
        if job.state is SCHEDULED:
            wait = f"waits {duration(math.ceil(max(0.0, job.due_at - self._now)))} more"
            return f"{wait}, after a failed attempt" if job.attempt else wait
        if job.state is not READY:
            return ""
        if self._store_back_at > self._now:
            return "the store cannot write"
        if not has_worker:
            return f"no worker serves {job.method.removeprefix('/')}"
        return self._dispatch.why_closed(job.method, job.rank, job.value, self._now) or "waits for a free slot"

    # --- contracts ----------------------------------------------------------------------------------------------------

    def know(self, method: str, options: JobOptions, read_value: Callable[[bytes], str] | None, now: float) -> None:
        """Take the options of a method from a contract; the newest count.

        `read_value` is what `values.value_reader` returns for `options.by.field`, or None without one.

        Raises:
            PolicyError: they cannot be; those before count on.
        """
        self._methods.know(method, options, read_value, self._tock(now))

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def submit(self, token: Any, submissions: Submissions, now: float) -> None:
        """Store jobs; answered by an `Answer`, when all of them are on the disk or some are refused."""
        self._tock(now)
        answer = self._intake.put(token, submissions)
        if answer is not None:
            self._effects.answers.append(answer)

    def fault_of(self, submission: Submission) -> Submitted | None:
        """Return how a submission would be refused if it were made now, as far as that can be told."""
        return self._intake.fault_of(submission)

    def request(self, request: Request) -> None:
        """Do what somebody asks; its token is in `Effects.done` when it is on the disk.

        Raises:
            TooManySchedulesError: it is a new schedule, and there is no room for it.
        """
        entries, schedules_max = self._timetable.entries, self._limits.schedules_max
        is_new = isinstance(request, PutSchedule) and request.schedule.name not in entries
        if is_new and len(entries) >= schedules_max:
            raise TooManySchedulesError(f"there are {schedules_max:,} schedules already; remove some first")
        self._requests.append(request)

    def trigger(self, token: Any, name: str, now: float) -> None:
        """Submit the job of a schedule now; answered like any submission.

        Raises:
            ScheduleError: there is no such schedule.
        """
        entry = self._timetable.entries.get(name)
        if entry is None:
            raise ScheduleError(f"there is no schedule {name!r}")
        self.submit(token, [submission(entry.schedule, self._tock(now))], now)

    # --- attempts -----------------------------------------------------------------------------------------------------

    def ended(self, job: int, attempt: int, ending: Ending, now: float) -> None:
        """Note how an attempt has ended; answered by a `Recorded` when that is on the disk, or counts for nothing."""
        self._tock(now)
        if not self._attempts.end_if_held(job, attempt, ending) and not self._attempts.holds(job, attempt):
            self._effects.recorded.append(Recorded(job, attempt))

    def ended_many(self, ended: Iterable[tuple[int, int, Ending]], now: float) -> None:
        """Do what `ended` does for each (job, attempt, ending)."""
        self._tock(now)
        for job, attempt, ending in ended:
            if not self._attempts.end_if_held(job, attempt, ending):
                self.ended(job, attempt, ending, now)

    def died(self, worker: str, attempts: Iterable[tuple[int, int]], now: float) -> None:
        """Note that a worker is gone for good, which ran these (job, attempt) pairs."""
        for job, attempt in attempts:
            self.ended(job, attempt, died(worker), now)

    def hand_back(self, worker: str, attempts: Iterable[tuple[int, int]], now: float) -> None:
        """Note that a worker has given these back, and has not begun them."""
        for job, attempt in attempts:
            self.ended(job, attempt, handed_back(worker), now)

    def attached(self, attempts: Iterable[tuple[int, int]], now: float) -> None:
        """Note that a worker has come (back) that holds these.

        Each is answered: by an `Adopted` if it goes on, a `Stop` if it counts for nothing or nobody wants it any more,
        and by its `Recorded` alone if its end is known and on its way to the disk.
        """
        now = self._tock(now)
        for job, number in attempts:
            found = self._attempts.find(job, number)
            if found is None:
                if not self._attempts.holds(job, number):
                    self._effects.stops.append(Stop(job, number, StopReason.FENCED))
                continue
            found.is_orphan = False
            self._attempts.orphans.discard(job)
            method = self._dispatch.by_id[found.flow.method].name
            timeout_s = None if found.deadline is None else max(0.0, found.deadline - now)
            self._effects.adopted.append(Adopted(job, number, method, timeout_s, found.reply_count))
            if not is_wanted(found):
                reason = StopReason.TIMED_OUT if found.is_timed_out else StopReason.CANCELLED
                self._effects.stops.append(Stop(job, number, reason))

    def progressed(self, job: int, attempt: int, body: bytes, now: float) -> None:
        """Keep an attempt's progress, a serialised `Progress`; of what comes within a second, the latest."""
        self._tellings.progressed(job, attempt, body, self._tock(now))

    def logged(self, job: int, attempt: int, body: bytes, now: float) -> None:
        """Keep a line of an attempt's log, a serialised `LogLine`."""
        self._tellings.logged(job, attempt, body, self._tock(now))

    def replied(self, job: int, attempt: int, messages: Sequence[bytes], now: float) -> None:
        """Keep replies of a server-streaming job; told of by `Told` when they are on the disk."""
        self._tock(now)
        self._tellings.replied(job, attempt, messages)

    def checkpointed(self, job: int, attempt: int, state: bytes, now: float) -> None:
        """Keep where an attempt is; later attempts begin there, with the replies so far. Told of by `Told`."""
        self._tellings.checkpointed(job, attempt, state, self._tock(now))

    # --- batches ------------------------------------------------------------------------------------------------------

    def plan(self, capacities: Iterable[Capacity], now: float) -> Batch | None:
        """Return the next batch for the store, given the free slots of the fleet.

        None if a batch is under way, or there is nothing to do. After a batch, call `settle` or `store_failed`.
        """
        now = self._tock(now)
        if self._flight is not None or now < self._store_back_at:
            return None
        self._look_at_clock(now)
        slots = Slots(capacities)
        over = self._take_over(now)
        ends, agains = rows_of_ends(over, now, self._rng)
        tellings = self._tellings.take(over, now)
        requests = self._take_requests()
        self._dispatch.seek(slots, now)
        draft = self._intake.draft(slots, now)
        steps = self._step_schedules(requests, draft, slots, now)
        schedules = [step for step in steps.values() if step is not None]
        announcements = self._methods.announce()
        values = self._dispatch.unsorted.take_values()
        cancels = [job for request in requests if isinstance(request, CancelJobs) for job in request.jobs]
        batch = Batch(
            now=now,
            methods=[MethodOptionsRow(one.method.name, one.options) for one in announcements],
            notes=[note for telling in tellings for note in telling.notes],
            replies=[reply for telling in tellings for reply in telling.replies],
            checkpoints=[telling.checkpoint for telling in tellings if telling.checkpoint is not None],
            ends=ends,
            agains=agains,
            cancels=cancels + [step.replaces for step in schedules if step.replaces is not None],
            revivals=_revivals(requests),
            forget=[job for request in requests if isinstance(request, PurgeJobs) for job in request.jobs],
            purge=self._purge(now),
            schedules=[step.row for step in schedules],
            schedules_removed=[name for name, step in steps.items() if step is None],
            promote_max=self._promote_max(now),
            values=[value for value, _ in values],
            appends=draft.rows,
            dependencies=draft.dependencies,
            labels=draft.labels,
            replaceable=frozenset(draft.replaceable),
            claims=self._dispatch.choose(slots, now, self._limits.batch_jobs_max),
            looks=self._dispatch.unsorted.looks(self._dispatch.by_id),
            flow_pages=self._dispatch.pages(),
        )
        flight = Flight(
            batch=batch,
            over=over,
            tellings=tellings,
            announcements=announcements,
            requests=requests,
            draft=draft,
            values=values,
            schedules=steps,
        )
        if batch.is_empty:
            self._settling(flight, Written(next_due_at=self._next_due_at, ended=self._ended), now).answer()
            return None
        self._flight = flight
        return batch

    def settle(self, written: Written, now: float) -> None:
        """Take the store's answer to the batch that was under way."""
        now = self._tock(now)
        flight = self._landed()
        self._settling(flight, written, now).settle()
        self._next_due_at, self._ended = written.next_due_at, written.ended
        purge = flight.batch.purge
        if purge is not None:
            is_rest_left = written.purged >= purge.limit
            self._purge_at = now if is_rest_left else now + self._limits.purge_every_s

    def store_failed(self, words: str, now: float, *, is_full: bool = False, reason: str = STORE_UNAVAILABLE) -> None:
        """Note that the batch under way has not happened: refuse what is new, and try the rest again a little later."""
        now = self._tock(now)
        flight = self._landed()
        self._store_back_at = now + self._limits.store_retry_s
        status = RESOURCE_EXHAUSTED if is_full else UNAVAILABLE
        self._attempts.over[:0] = flight.over
        self._tellings.put_back(flight.tellings)
        self._settling(flight, Written(), now).put_back(status, words, reason)
        self._refuse_submissions(status, words, reason)

    def refuse_waiting(self, words: str, reason: str) -> None:
        """Refuse what waits for a batch to come, since none will: jobs that were submitted, and what else was asked."""
        self._refuse_submissions(UNAVAILABLE, words, reason)
        requests, self._requests = self._requests, []
        self._effects.failed += [(request.token, words) for request in requests]

    # --- within -------------------------------------------------------------------------------------------------------

    def _tock(self, now: float) -> float:
        """Return the time, which never goes back."""
        self._now = max(self._now, now)
        return self._now

    def _refuse_submissions(self, status: int, words: str, reason: str) -> None:
        for ticket in self._intake.take_all():
            self._effects.answers.append(ticket.refuse(status, words, reason))

    def _landed(self) -> Flight:
        flight, self._flight = self._flight, None
        if flight is None:
            raise RuntimeError("no batch is under way")
        return flight

    def _settling(self, flight: Flight, written: Written, now: float) -> Settling:
        return Settling(
            flight=flight,
            written=written,
            now=now,
            effects=self._effects,
            attempts=self._attempts,
            dispatch=self._dispatch,
            methods=self._methods,
            timetable=self._timetable,
        )

    def _look_at_clock(self, now: float) -> None:
        """Do what is due, other than by the store."""
        self._dispatch.wake(now)
        for attempt in self._attempts.pop_late(now):
            if not attempt.is_orphan:
                self._effects.stops.append(Stop(attempt.job, attempt.number, StopReason.TIMED_OUT))
        if now >= self._adopt_until:
            self._attempts.give_up_orphans()

    def _promote_max(self, now: float) -> int:
        is_due = self._next_due_at is not None and self._next_due_at <= now
        return self._limits.batch_jobs_max if is_due else 0

    def _take_over(self, now: float) -> list[Attempt]:
        """Return attempts whose ends go into this batch, and count them no more: others may start in their place."""
        over = self._attempts.take_over(self._limits.batch_jobs_max)
        stopped: dict[Flow, int] = {}
        for attempt in over:
            if attempt.is_counted:
                attempt.is_counted = False
                stopped[attempt.flow] = stopped.get(attempt.flow, 0) + 1
        for flow, jobs in stopped.items():
            self._dispatch.end(flow, jobs, now)
        return over

    def _take_requests(self) -> list[Request]:
        """Return what was asked, as far as one batch takes it; the rest is for the next."""
        jobs = count = 0
        for request in self._requests:
            if count and jobs >= self._limits.request_jobs_max:
                break
            jobs += 1 if isinstance(request, PutSchedule | RemoveSchedule) else len(request.jobs)
            count += 1
        requests, self._requests = self._requests[:count], self._requests[count:]
        return requests

    def _purge(self, now: float) -> Purge | None:
        if not self._ended or now < self._purge_at:
            return None
        excess = self._ended - self._limits.ended_max
        if excess > 0:
            return Purge(math.inf, min(excess, self._limits.purge_jobs_max))
        return Purge(now, self._limits.purge_jobs_max)

    def _step_schedules(
        self, requests: Sequence[Request], draft: Draft, slots: Slots, now: float
    ) -> dict[str, ScheduleStep | None]:
        """Return where schedules will stand (None: nowhere), and add the jobs of those that are due to the draft."""
        steps: dict[str, ScheduleStep | None] = {}
        for request in requests:
            if isinstance(request, PutSchedule):
                row = self._timetable.new_row(request.schedule, now)
                steps[request.schedule.name] = ScheduleStep(schedule=request.schedule, row=row)
            elif isinstance(request, RemoveSchedule):
                steps[request.name] = None
        for firing in self._timetable.due(now):
            schedule = firing.entry.schedule
            if schedule.name in steps:
                continue
            if firing.times and not self._intake.are_numbered([submission(schedule, now)], now):
                continue
            last_job = firing.entry.row.last_job
            for _ in firing.times:
                ticket = Ticket(None, [submission(schedule, now)])
                self._intake.add(draft, ticket, slots, now)
                self._effects.missed += [
                    (schedule.name, job.details) for job in ticket.jobs if isinstance(job, Submitted)
                ]
                last_job = ticket.job_ids[-1] if ticket.job_ids else last_job
            steps[schedule.name] = ScheduleStep(schedule=schedule, row=firing.row(last_job), replaces=firing.replaces)
        return steps


def _revivals(requests: Sequence[Request]) -> list[Revival]:
    return [
        Revival(job, rank_of(priority_of(rank)))
        for request in requests
        if isinstance(request, RetryJobs)
        for job, rank in request.jobs
    ]
