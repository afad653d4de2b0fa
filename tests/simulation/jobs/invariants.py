"""What must hold after every step, counted anew from what is really there."""

import math
from typing import TYPE_CHECKING

from portcall.core.jobs.batch import UNSORTED, AttemptOutcome, Batch, Flow, Written
from portcall.core.jobs.effects import Effects
from portcall.core.jobs.policy import override, parse_policy
from portcall.core.jobs.ranks import SUSPECTS_AT_ONCE, suspicion_of
from portcall.core.jobs.states import ENDED, HELD, TRANSITIONS, JobState
from portcall.protos.portcall.v1.options_pb2 import JobOverrides
from tests.store.model import ModelJob

from .ledger import JobRecord
from .profile import BY_SITE, RATED
from .workers import reply_of

if TYPE_CHECKING:
    from .world import World

REACHABLE: dict[JobState, set[JobState]] = {state: {state} for state in JobState}
for (_before, _), _then in TRANSITIONS.items():
    REACHABLE[_before].add(_then)


def site_of(method: str, job: ModelJob) -> str:
    """What a job is limited by, whatever the store says."""
    return job.request.decode() if method in (BY_SITE, RATED) else ""


class Watch:
    """Looks at a world after every step, and at the store after every commit."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._failures: dict[int, int] = {}
        """Of jobs that have another attempt, before the batch that is being written."""
        self._ended: set[int] = set()
        self._untold: dict[int, JobState] = {}
        """Jobs that have ended, and nobody has been told yet."""

    # --- before a commit ----------------------------------------------------------------------------------------------

    def look_before(self, batch: Batch) -> None:
        """Remember what `check_commit` compares with."""
        jobs = self._world.disk.jobs
        self._failures = {again.job: jobs[again.job].failures for again in batch.agains if again.job in jobs}
        self._ended = {job.id for job in jobs.values() if job.state in ENDED}

    # --- after a commit -----------------------------------------------------------------------------------------------

    def check_commit(self, batch: Batch, written: Written) -> None:
        """Assert that a batch has changed nothing that it must not, and that the limits hold."""
        assert not written.stale, f"the engine tried to end attempts that do not hold their jobs: {written.stale}"
        assert not written.unheard, f"the engine let attempts tell that do not hold their jobs: {written.unheard}"
        jobs = self._world.disk.jobs
        revived = {change.job for change in written.changes if change.state is JobState.READY}
        for job in jobs.values():
            self._check_record(job, is_revived=job.id in revived)
        gone = {end.job: (end.state, end.attempt, end.reply) for end in batch.ends}
        gone |= {change.job: (int(change.state), change.attempt, None) for change in written.changes}
        for id_, record in self._world.ledger.jobs.items():
            if id_ not in jobs:
                # It may have been purged by the batch that ended it.
                record.outcome = record.outcome or gone.get(id_)
            if id_ not in jobs and record.outcome is None:
                raise AssertionError(f"job {id_} is gone and never ended")
            if id_ not in jobs and not (record.is_forgettable or self._may_be_purged(record, batch)):
                raise AssertionError(f"job {id_} was purged before its time")
        for again in batch.agains:
            is_spent = again.outcome is not AttemptOutcome.HANDED_BACK
            assert again.failures == self._failures[again.job] + is_spent, f"job {again.job} was charged wrongly"
        self._untold |= {job.id: job.state for job in jobs.values() if job.state in ENDED and job.id not in self._ended}
        self._check_keys()
        self._check_children(jobs)
        self._check_limits(jobs.values())
        self._note_starts(batch, written)

    def _check_keys(self) -> None:
        keys = [(job.method, job.key) for job in self._world.disk.jobs.values() if job.key is not None]
        assert len(keys) == len(set(keys)), "two jobs have one key"

    def _check_children(self, jobs: dict[int, ModelJob]) -> None:
        """Nothing goes on below a job that is to stop, unless somebody has revived it."""
        for job in jobs.values():
            parent = jobs.get(job.parent) if job.parent is not None else None
            if parent is not None and parent.state is JobState.CANCELLING and not self._record(job).revivals:
                is_stopping = job.state in ENDED or job.state is JobState.CANCELLING
                assert is_stopping, f"job {job.id} is {job.state.name} below {parent.id}, which is to stop"

    def _record(self, job: ModelJob) -> JobRecord:
        return self._world.ledger.jobs[job.id]

    def check_told(self, effects: Effects) -> None:
        """Assert that everybody is told of every end, and of nothing that is not so."""
        jobs = self._world.disk.jobs
        latest = {outcome.job: outcome for outcome in effects.outcomes}
        for id_, outcome in latest.items():
            if id_ in jobs and outcome.state in ENDED:
                assert (outcome.state, outcome.attempt) == (jobs[id_].state, jobs[id_].attempt)
                assert (outcome.reply, outcome.details) == (jobs[id_].reply, jobs[id_].details)
        untold = {id_: state for id_, state in self._untold.items() if id_ not in latest or latest[id_].state != state}
        assert not untold, f"nobody was told of these ends: {untold}"
        self._untold = {}

    def forget_untold(self) -> None:
        """Note that the hub is gone that would have told."""
        self._untold = {}

    def _may_be_purged(self, record: JobRecord, batch: Batch) -> bool:
        is_over = record.expires_at is not None and record.expires_at <= self._world.latest_hub_now
        return is_over or self._world.profile.limits.ended_max < 1_000

    def _check_record(self, job: ModelJob, *, is_revived: bool) -> None:
        ledger = self._world.ledger
        record = ledger.jobs.get(job.id)
        if record is None:
            record = ledger.jobs[job.id] = JobRecord(id=job.id, method=self._world.disk._name(job))
        outcome = (int(job.state), job.attempt, job.reply) if job.state in ENDED else None
        if record.outcome is not None and record.outcome != outcome:
            assert is_revived, f"job {job.id} ended as {record.outcome} and is {outcome} now"
            assert record.outcome[0] != JobState.SUCCEEDED, "a job that succeeded was run again"
        record.revivals += is_revived
        record.outcome, record.expires_at = outcome, job.expires_at
        if job.state is JobState.SUCCEEDED:
            execution = ledger.executions.get((job.id, job.attempt))
            assert execution is not None, f"job {job.id} succeeded in an attempt that nobody made"
            assert job.reply == execution.reply, f"job {job.id} has the reply of another attempt"
        policy = parse_policy(self._world.options_of_policy(job.policy))
        if job.overrides is not None:
            policy = override(policy, JobOverrides.FromString(job.overrides))
        assert job.failures <= policy.attempts_max, f"job {job.id} had {job.failures} failures of {policy.attempts_max}"
        assert job.deaths <= policy.deaths_max, f"job {job.id} has killed {job.deaths} workers of {policy.deaths_max}"
        self._check_replies(job)

    def _check_replies(self, job: ModelJob) -> None:
        """A stream's replies have no gap, each is from an attempt that was made, and the last one made its own."""
        assert sorted(job.replies) == list(range(len(job.replies))), f"job {job.id} has gaps: {sorted(job.replies)}"
        for offset, row in job.replies.items():
            assert row.message == reply_of((job.id, row.attempt), offset)
        execution = self._world.ledger.executions.get((job.id, job.attempt))
        if job.state is JobState.SUCCEEDED and execution is not None:
            assert len(job.replies) == execution.total, (
                f"job {job.id} has {len(job.replies)} of {execution.total} replies"
            )
            assert all(row.attempt == job.attempt for row in job.replies.values() if row.offset >= execution.first)

    def _check_limits(self, jobs) -> None:
        held = [job for job in jobs if job.state in HELD]
        for name, ids in self._world.disk.methods.items():
            policy = parse_policy(self._world.options[name])
            mine = [job for job in held if job.method == ids.method]
            if self._world.is_contract_steady and policy.limit.running is not None:
                assert len(mine) <= policy.limit.running, f"{len(mine)} of {name} are held"
            for value in {site_of(name, job) for job in mine}:
                count = sum(site_of(name, job) == value for job in mine)
                if self._world.is_contract_steady and policy.limit_each.running is not None:
                    assert count <= policy.limit_each.running, f"{count} of {name} {value!r} are held"
            for level, at_once in enumerate(SUSPECTS_AT_ONCE):
                count = sum(suspicion_of(job.rank) == level for job in mine)
                assert not level or count <= at_once, f"{count} suspects of {name} are held"

    def _note_starts(self, batch: Batch, written: Written) -> None:
        disk = self._world.disk
        started = [job.id for jobs in written.claims for job in jobs]
        started += [row.id for row in batch.appends if row.state == JobState.RUNNING and row.id in disk.jobs]
        for id_ in started:
            job = disk.jobs[id_]
            name = disk._name(job)
            rate = parse_policy(self._world.options[name]).limit_each.rate
            if rate is None or not self._world.is_contract_steady or "clock_jumps" in self._world.profile.faults:
                continue
            starts = self._world.ledger.starts.setdefault((name, site_of(name, job)), [])
            starts.append(batch.now)
            recent = [at for at in starts if at > batch.now - rate.per_s]
            assert len(recent) <= rate.starts + rate.burst, (
                f"{len(recent)} of {name} {job.value!r} within {rate.per_s} s"
            )

    # --- after a step -------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Assert what always holds."""
        self._check_leases()
        hub = self._world.hub
        if hub.is_up and not hub.engine.is_writing:
            self._check_engine()

    def _check_leases(self) -> None:
        """No job is held by two live attempts."""
        live: dict[int, str] = {}
        for worker in self._world.workers:
            for job, attempt in (*worker.running, *worker.unstarted):
                stored = self._world.disk.jobs.get(job)
                if stored is not None and stored.attempt == attempt and stored.state in HELD:
                    assert job not in live, f"job {job} is held by {live[job]} and {worker.name}"
                    live[job] = worker.name

    def _check_engine(self) -> None:
        """While no batch is under way, the engine knows exactly what the store holds."""
        engine, disk = self._world.hub.engine, self._world.disk
        attempts = engine._attempts.by_job
        held = {job.id: job for job in disk.jobs.values() if job.state in HELD}
        assert attempts.keys() == held.keys(), (
            f"leases: engine {attempts.keys() - held.keys()}, store {held.keys() - attempts.keys()}"
        )
        for id_, attempt in attempts.items():
            job = held[id_]
            assert (attempt.number, attempt.state) == (job.attempt, job.state)
            assert (attempt.flow, attempt.failures, attempt.deaths) == (job.flow, job.failures, job.deaths)
        for method in engine._dispatch.methods.values():
            running = [one for one in attempts.values() if one.flow.method == method.id and one.is_counted]
            assert method.gate.running == len(running), f"{method.name} counts {method.gate.running}"
            assert sum(method.gate.running_by.values()) == len(running)
        assert engine._next_due_at == disk._next_due_at()
        self._check_flows({job.flow for job in disk.jobs.values() if job.state is JobState.READY})

    def _check_flows(self, ready: set[Flow]) -> None:
        """No ready job is forgotten."""
        engine = self._world.hub.engine
        dispatch = engine._dispatch
        for method in dispatch.methods.values():
            flows = method.flows
            is_in = {(rank, value) for rank, ring in flows._open.items() for value in ring}
            parked = {(rank, value) for value, ranks in flows._parked.items() for rank in ranks}
            assert not is_in & parked
            assert len(flows) == len(is_in) + len(parked) <= self._world.profile.limits.flows_max
            missing = {flow for flow in ready if flow.method == method.id} - {
                Flow(method.id, *place) for place in is_in | parked
            }
            missing -= {Flow(method.id, rank, UNSORTED) for rank in dispatch.unsorted._ranks.get(method.id, ())}
            assert not missing or not flows.is_whole, f"the engine has forgotten {missing}"
            for value in flows._parked:
                opens_at = method.gate.opens_for(value, engine._now)
                wakes_at = method.sleeps.get(value, math.inf)
                rate = method.policy.limit_each.rate
                # Where values are too many to remember them all, one that finds no room looks again after an interval.
                look_s = rate.per_s / rate.starts if rate else 0.0
                assert opens_at is None or wakes_at <= max(opens_at, engine._now + look_s) + 1e-6, (
                    f"{method.name} {value!r} sleeps too long"
                )
            if len(flows) or not flows.is_whole:
                assert method.id in dispatch._turns, f"{method.name} never gets a turn"

    def check_end(self) -> None:
        """Assert what holds once everything has come to rest."""
        for job in self._world.disk.jobs.values():
            assert job.state in ENDED, f"job {job.id} is still {job.state.name}"
        for id_, record in self._world.ledger.jobs.items():
            assert record.outcome is not None or not record.is_acknowledged, (
                f"job {id_} was acknowledged and never ended"
            )

    def is_at_rest(self) -> bool:
        """Whether every stored job has ended, for everybody."""
        world = self._world
        return world.hub.is_up and not (
            any(job.state not in ENDED for job in world.disk.jobs.values())
            or world.hub.engine.is_writing
            or world.hub.engine._intake
            or world.pending
            or world.asked
            or any(worker.running or worker.unstarted for worker in world.workers)
        )
