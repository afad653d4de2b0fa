"""What follows from a batch that is stored, or could not be: leases begin and end, and everybody is told."""

from dataclasses import dataclass

from portcall.core import refusals
from portcall.core.jobs.attempts import Attempt, Attempts
from portcall.core.jobs.batch import ClaimedJob, Flow, NewJob, Written, row_of
from portcall.core.jobs.dispatch import Dispatch
from portcall.core.jobs.effects import Answer, Effects, Outcome, Recorded, Start, Stop, StopReason, Told
from portcall.core.jobs.flight import Flight
from portcall.core.jobs.methods import Methods
from portcall.core.jobs.states import CANCELLED, CANCELLING, READY, RUNNING, STATES, JobState
from portcall.core.jobs.submissions import flow_of, is_stored, result_of
from portcall.core.jobs.timetable import Timetable

_READY, _RUNNING = int(READY), int(RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """One batch, and all that it touches."""

    flight: Flight
    written: Written
    now: float
    effects: Effects
    attempts: Attempts
    dispatch: Dispatch
    methods: Methods
    timetable: Timetable

    def settle(self) -> None:
        """Take it that the batch is stored."""
        self.methods.take(self.flight.announcements, self.written.methods)
        self._tell_told()
        self._end()
        self._change()
        # Sorted, since the order of a set is another one in each process, and turns follow from it.
        for flow in sorted(self.written.released):
            self.dispatch.has_ready(flow)
        for _, flow in self.flight.values:
            self.dispatch.has_ready(flow)
        self._begin_appended()
        self._begin_claimed()
        self.dispatch.settle(self.flight.batch.claims, self.written.claims, self.now)
        self.dispatch.take_pages(self.flight.batch.flow_pages, self.written.flow_pages)
        self.dispatch.unsorted.take(self.flight.batch.looks, self.written.looks, self.dispatch.by_id)
        self._step_schedules()
        self.answer()

    def answer(self) -> None:
        """Answer submitters and others."""
        written, refusing = self.written, self.flight.draft.refusing
        is_plain = not (written.existing or written.refused or written.waiting)
        for ticket in self.flight.draft.tickets:
            if ticket.token is not None:
                self.effects.answers.append(
                    Answer(ticket.token, [result_of(job, written, refusing, is_plain=is_plain) for job in ticket.jobs])
                )
        self.effects.done += [request.token for request in self.flight.requests]

    def put_back(self, status: int, words: str, reason: str) -> None:
        """Take it that nothing is stored: give back what was reserved, and refuse what is new."""
        batch = self.flight.batch
        for row in batch.appends:
            if row.state == _RUNNING:
                self.dispatch.undo(flow_of(row), 1, self.now)
        for flow, count in batch.claims:
            self.dispatch.undo(flow, count, self.now)
        self.dispatch.unsorted.put_back(self.flight.values)
        for ticket in self.flight.draft.tickets:
            if ticket.token is not None:
                self.effects.answers.append(ticket.refuse(status, words, reason))
        self.effects.failed += [(request.token, words) for request in self.flight.requests]

    # --- parts --------------------------------------------------------------------------------------------------------

    def _tell_told(self) -> None:
        for telling in self.flight.tellings:
            attempt = telling.attempt
            if attempt.job not in self.written.unheard:
                last_note = telling.notes[-1].number if telling.notes else 0
                last_reply = telling.replies[-1].offset + 1 if telling.replies else 0
                has_checkpoint = telling.checkpoint is not None
                self.effects.told.append(Told(attempt.job, attempt.number, last_note, last_reply, has_checkpoint))

    def _end(self) -> None:
        """Release the jobs whose attempts' ends are recorded."""
        stale, now, methods = self.written.stale, self.now, self.dispatch.by_id
        over, ends = self.flight.over, self.flight.batch.ends
        self.attempts.release(over)
        self.effects.recorded += [row_of(Recorded, (attempt.job, attempt.number)) for attempt in over]
        self.effects.outcomes += [
            row_of(Outcome, (job, methods[method].name, STATES[state], attempt, now, status, details, reply, trailers))
            for job, attempt, method, _, state, _, _, status, details, _, reply, trailers in ends
            if job not in stale
        ]
        self.timetable.jobs_ended([end.job for end in ends if end.job not in stale])
        values = {attempt.job: attempt.flow.value for attempt in self.flight.over}
        for again in self.flight.batch.agains:
            if again.job in stale:
                continue
            if again.state == _READY:
                self.dispatch.has_ready(Flow(again.method, again.rank, values[again.job]))
            self._tell(again.job, again.method, STATES[again.state], again.attempt, again.status, again.details)

    def _change(self) -> None:
        """Note what became of jobs because of others, or because somebody asked."""
        for change in self.written.changes:
            if change.state is CANCELLING:
                attempt = self.attempts.by_job.get(change.job)
                if attempt is not None:
                    attempt.state, attempt.cause = CANCELLING, change.details
                    if attempt.ending is None and not attempt.is_orphan:
                        self.effects.stops.append(Stop(change.job, change.attempt, StopReason.CANCELLED))
            elif change.state is CANCELLED:
                self.timetable.jobs_ended([change.job])
            status = refusals.CANCELLED if change.state is CANCELLED else refusals.OK
            self._tell(change.job, change.method, change.state, change.attempt, status, change.details)

    def _begin_appended(self) -> None:
        """Let new jobs run that were stored as running, and remember the flows of those that are ready."""
        written, dispatch = self.written, self.dispatch
        is_plain = not (written.existing or written.refused or written.waiting)
        ready: dict[Flow, None] = {}
        for row in self.flight.batch.appends:
            if not is_plain and not is_stored(row, written):
                if row.state == _RUNNING:
                    dispatch.undo(flow_of(row), 1, self.now)
            elif row.state == _RUNNING:
                self._begin_new(row)
            elif row.state == _READY and row.id not in written.waiting:
                ready[flow_of(row)] = None
        for flow in ready:
            dispatch.has_ready(flow)

    def _begin_new(self, row: NewJob) -> None:
        policy = self.methods.policy_of(row.policy, row.overrides)
        attempt = Attempt(row.id, 1, flow_of(row), policy, self.now)
        self.attempts.begin(attempt)
        assert row.request is not None
        name = self.dispatch.by_id[row.method].name
        start = (row.id, 1, name, row.request, row.metadata, policy.timeout_s, None, 0)
        self.effects.starts.append(row_of(Start, start))

    def _begin_claimed(self) -> None:
        for (flow, _), jobs in zip(self.flight.batch.claims, self.written.claims, strict=True):
            name = self.dispatch.by_id[flow.method].name
            for job in jobs:
                self._begin_stored(job, flow, name)

    def _begin_stored(self, job: ClaimedJob, flow: Flow, name: str) -> None:
        policy = self.methods.policy_of(job.policy, job.overrides)
        attempt = Attempt(job.id, job.attempt, flow, policy, self.now)
        attempt.failures, attempt.deaths = job.failures, job.deaths
        state, replies = None, 0
        checkpoint = self.written.checkpoints.get(job.id)
        if checkpoint is not None:
            state, replies = checkpoint.state, checkpoint.replies
            attempt.reply_count = replies
        self.attempts.begin(attempt)
        start = (job.id, job.attempt, name, job.request, job.metadata, policy.timeout_s, state, replies)
        self.effects.starts.append(row_of(Start, start))

    def _step_schedules(self) -> None:
        for name, step in self.flight.schedules.items():
            if step is None:
                self.timetable.remove(name)
                continue
            last_job = step.row.last_job
            old = self.timetable.entries.get(name)
            is_same_job = old is not None and old.row.last_job == last_job
            is_live = old.is_live if old is not None and is_same_job else last_job is not None
            self.timetable.take(step.schedule, step.row, is_live=is_live)

    def _tell(self, job: int, method: int, state: JobState, attempt: int, status: int, details: str) -> None:
        name = self.dispatch.by_id[method].name
        self.effects.outcomes.append(Outcome(job, name, state, attempt, self.now, status, details, None, None))
