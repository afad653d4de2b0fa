"""One world: who is in it, what goes wrong in it, and how it is run to its end."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from portcall.core.jobs.batch import Batch, Written
from portcall.core.jobs.effects import Answer
from portcall.core.jobs.requests import CancelJobs, PurgeJobs, PutSchedule, RemoveSchedule, RetryJobs
from portcall.core.jobs.schedules import parse_schedule
from portcall.core.jobs.submissions import Submission
from portcall.protos.portcall.v1.jobs_pb2 import ScheduleSpec
from portcall.protos.portcall.v1.jobs_pb2 import Submission as SubmissionMessage
from portcall.protos.portcall.v1.options_pb2 import JobOptions, JobOverrides
from tests.simulation.schedule import Action, Schedule
from tests.store.model import ModelStore

from .hub import SimHub
from .invariants import Watch
from .ledger import Ledger
from .profile import HASTY, METHODS, PLAIN, draw_profile, options_of
from .workers import Pair, SimWorker

STEPS_ACTIVE_MAX = 4_000
"""Steps in which things go wrong; then all is let run."""

STEPS_MAX = 20_000
"""Steps in which a world has to come to rest."""

TRACE_LENGTH = 25

CLOCK_BASE_S = 1_750_000_000.0
"""What the hub's clock is ahead of the world's, if it has not jumped."""


class SimulationError(AssertionError):
    """A world in which something happened that must not. `str()` says how to see it again."""


class Pending(NamedTuple):
    """A submission that nobody has answered yet."""

    submissions: list[Submission]
    sent_at: float


class World:
    """Everything that a seed makes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.schedule = Schedule(seed)
        self.profile = draw_profile(self.schedule.rng)
        self.ledger = Ledger()
        self.disk = ModelStore()
        self.options: dict[str, JobOptions] = {method: options_of(method, self.schedule.rng) for method in METHODS}
        self.is_contract_steady = True
        self.is_settling = False
        self.is_store_failing = False
        self.clock_error = CLOCK_BASE_S
        self.latest_hub_now = 0.0
        self.steps = 0
        self.pending: dict[int, Pending] = {}
        self.asked: set[object] = set()
        """Tokens of requests that the hub has not answered."""
        self._names = 0
        self._tokens = 0
        self._links = 0
        self._trace: deque[tuple[float, Action]] = deque(maxlen=TRACE_LENGTH)
        self.workers: list[SimWorker] = []
        self.watch = Watch(self)
        self.hub = SimHub(self)
        for _ in range(self.profile.workers):
            self._add_worker()
        self.schedule.soon(self.profile.think_mean_s, self._submit_some)
        self.schedule.soon(self.profile.think_mean_s, self._meddle)
        for fault in self.profile.faults:
            self._plan_fault(fault)

    # --- what those who live here ask ---------------------------------------------------------------------------------

    def send(self, action: Action) -> None:
        """Do this after the time that a message takes."""
        self.schedule.soon(self.profile.latency_mean_s, action)

    def new_link(self) -> int:
        self._links += 1
        return self._links

    def store_fails(self) -> bool:
        return self.is_store_failing and not self.is_settling

    def options_of_policy(self, policy: int) -> JobOptions:
        return JobOptions.FromString(self.disk.policies[policy])

    def worker_died(self, worker: SimWorker) -> None:
        """Let the hub find out, and another worker come."""
        life = self.hub.life
        for link in [link for link, one in self.hub.links.items() if one is worker]:
            self.schedule.soon(0.02, lambda link=link: life == self.hub.life and self.hub.lose(link))
        self.workers.remove(worker)
        if self.is_settling or self.schedule.chance(0.9) or not self.workers:
            self.schedule.soon(0.05, self._add_worker)

    def commit(self, batch: Batch) -> Written:
        """Let the store perform a batch."""
        self.watch.look_before(batch)
        written = self.disk.write(batch)
        self.latest_hub_now = max(self.latest_hub_now, batch.now)
        self.watch.check_commit(batch, written)
        return written

    def done(self, token: object) -> None:
        """Note that a request was answered."""
        assert token in self.asked, f"request {token} was answered twice"
        self.asked.remove(token)

    def hub_died(self) -> None:
        """Forget what only the hub knew."""
        self.asked.clear()
        self.watch.forget_untold()

    def _new_token(self) -> int:
        self._tokens += 1
        return self._tokens

    def answered(self, answer: Answer) -> None:
        """Note what became of submissions. What was refused may be tried again."""
        pending = self.pending.pop(answer.token, None)
        if pending is None:
            return
        for submission, result in zip(pending.submissions, answer.jobs, strict=True):
            if result.id is None:
                assert result.details, "refused without a word"
                continue
            record = self.ledger.jobs.get(result.id)
            assert record is not None, f"job {result.id} was acknowledged and is not stored"
            record.is_acknowledged = True
            if submission.key is not None and result.id in self.disk.jobs:
                assert self.disk.jobs[result.id].method == self.disk.methods[submission.method].method

    # --- submitting ---------------------------------------------------------------------------------------------------

    def _submit_some(self) -> None:
        if self.is_settling or self.ledger.submitted >= self.profile.jobs_max:
            return
        count = self.schedule.rng.choice((1, 1, 2, 7))
        self._submit([self._submission() for _ in range(count)])
        self.schedule.soon(self.profile.think_mean_s, self._submit_some)

    def _submit(self, submissions: list[Submission]) -> None:
        self.ledger.submitted += len(submissions)
        token = self.ledger.submitted
        self.pending[token] = Pending(submissions, self.schedule.now)
        self.send(lambda: self.hub.submit(token, submissions))
        self.schedule.after(5.0, lambda: self.pending.pop(token, None))  # nobody waits for ever

    def _submission(self, parent: Pair | None = None) -> Submission:
        rng, troubles = self.schedule.rng, self.profile.troubles
        method = rng.choice(METHODS)
        site = b"site%d" % rng.randrange(self.profile.sites)
        is_poison = "poison" in troubles and method in (PLAIN, HASTY) and rng.random() < 0.05
        known = [job for job, record in self.ledger.jobs.items() if record.is_acknowledged]
        after = tuple(rng.sample(known, min(len(known), rng.randint(1, 2)))) if "after" in troubles else ()
        has_step = parent is not None and rng.random() < 0.5
        return Submission(
            method=method,
            request=b"poison" if is_poison else site,
            key=f"key{rng.randrange(20)}" if "key" in troubles and not has_step and rng.random() < 0.3 else None,
            due_at=self.hub.now + rng.uniform(0, 1) if "delay" in troubles and rng.random() < 0.3 else 0.0,
            priority=rng.choice((0, 0, 0, 5, -5)),
            after=after if rng.random() < 0.3 else (),
            parent=parent[0] if parent else None,
            parent_attempt=parent[1] if parent else None,
            step="one" if has_step else None,
            labels=(("seed", "x"),) if rng.random() < 0.1 else (),
            overrides=JobOverrides(attempts=2).SerializeToString() if rng.random() < 0.1 else None,
        )

    def submit_child(self, parent: Pair) -> None:
        """Let an attempt submit a job."""
        if not self.is_settling and self.ledger.submitted < 2 * self.profile.jobs_max:
            self.ledger.submitted += 1
            token = self.ledger.submitted
            self.pending[token] = Pending([self._submission(parent)], self.schedule.now)
            self.hub.submit(token, self.pending[token].submissions)
            self.schedule.after(5.0, lambda: self.pending.pop(token, None))

    def _meddle(self) -> None:
        """Let people cancel, retry, purge and schedule."""
        rng, troubles = self.schedule.rng, self.profile.troubles
        if self.is_settling:
            return
        jobs = list(self.disk.jobs)
        chosen = rng.sample(jobs, min(len(jobs), rng.randint(1, 3)))
        kind = rng.choice(("cancel", "retry", "purge", "schedule"))
        if kind in troubles and chosen:
            match kind:
                case "cancel":
                    self.hub.request(CancelJobs(token=self._new_token(), jobs=chosen))
                case "retry":
                    ranks = [(job, self.disk.jobs[job].rank) for job in chosen]
                    self.hub.request(RetryJobs(token=self._new_token(), jobs=ranks))
                case "purge":
                    for job in chosen:
                        self.ledger.jobs[job].is_forgettable = True
                    self.hub.request(PurgeJobs(token=self._new_token(), jobs=chosen))
                case "schedule":
                    self._schedule_something()
        self.schedule.soon(10 * self.profile.think_mean_s, self._meddle)

    def _schedule_something(self) -> None:
        rng = self.schedule.rng
        name = rng.choice(("first", "second"))
        if rng.random() < 0.2:
            self.hub.request(RemoveSchedule(token=self._new_token(), name=name))
            return
        overlap = rng.choice((ScheduleSpec.SKIP, ScheduleSpec.ALLOW, ScheduleSpec.REPLACE))
        catch_up = rng.choice((ScheduleSpec.ONCE, ScheduleSpec.NONE))
        job = SubmissionMessage(method=rng.choice(METHODS), request=b"site0")
        spec = ScheduleSpec(every_s=1.0, overlap=overlap, catch_up=catch_up, job=job, is_paused=rng.random() < 0.1)
        self.hub.request(PutSchedule(token=self._new_token(), schedule=parse_schedule(name, spec)))

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run to the end.

        Raises:
            SimulationError: something happened that must not, or something did not happen that has to.
        """
        try:
            while self.steps < STEPS_ACTIVE_MAX and (self.ledger.submitted < self.profile.jobs_max or self.pending):
                self._step()
            self._settle()
            self.watch.check_end()
        except SimulationError:
            raise
        except Exception as error:
            raise SimulationError(self._describe(f"{type(error).__name__}: {error}")) from error

    def _settle(self) -> None:
        """Let nothing more go wrong, and wait until nothing moves that has to."""
        self.is_settling = True
        for worker in self.workers:
            worker.cut_off_until = 0.0
        self._add_worker()
        while self.hub.engine.schedules or not self.watch.is_at_rest():
            if self.hub.engine.schedules and not (self.steps % 100 and len(self.schedule)):
                for name in list(self.hub.engine.schedules):
                    self.hub.request(RemoveSchedule(token=self._new_token(), name=name))
            if self.steps > STEPS_MAX or not len(self.schedule):
                live = [job for job in self.disk.jobs.values() if job.state not in (6, 7, 8)]
                raise SimulationError(self._describe(f"it never came to rest; these jobs live: {live[:3]}"))
            self._step()

    def _step(self) -> None:
        self.steps += 1
        action = self.schedule.step()
        self._trace.append((self.schedule.now, action))
        self.watch.check()

    def _describe(self, what: str) -> str:
        trace = "\n  ".join(
            f"{at:.6f} {getattr(action, '__qualname__', action)} of {getattr(action, '__self__', 'the world')}"
            for at, action in self._trace
        )
        return (
            f"{what}\nin step {self.steps} of seed {self.seed}, at {self.schedule.now:.6f}, in {self.profile}\n"
            f"The last steps were:\n  {trace}\n"
            f"To see it again: PORTCALL_SEED={self.seed} pytest tests/simulation/jobs"
        )

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _add_worker(self) -> None:
        self._names += 1
        self.workers.append(SimWorker(self, f"worker{self._names}", self.schedule.rng.randint(1, 5)))

    def _plan_fault(self, fault: str) -> None:
        action: Callable[[], None] = getattr(self, f"_fault_{fault}")

        def happen() -> None:
            if not self.is_settling:
                action()
                self._plan_fault(fault)

        self.schedule.soon(self.profile.fault_mean_s, happen)

    def _some_worker(self) -> SimWorker | None:
        return self.schedule.rng.choice(self.workers) if self.workers else None

    def _fault_hub_dies(self) -> None:
        if self.hub.is_up and self.schedule.chance(0.3):
            self.hub.die()
            for worker in self.workers:
                if worker.link:
                    worker.link_lost()
            self.schedule.soon(0.1, self.hub.begin)

    def _fault_worker_dies(self) -> None:
        worker = self._some_worker()
        if worker is not None and self.schedule.chance(0.4):
            worker.die()

    def _fault_link_drops(self) -> None:
        """A link is away, mostly for longer than the grace period, so that its worker is given up though it lives."""
        worker = self._some_worker()
        if worker is None or not worker.link:
            return
        if self.schedule.chance(0.3):
            worker.link_lost()  # and it is back before the hub has noticed
            return
        link, life = worker.link, self.hub.life
        worker.link = 0
        worker.cut_off_until = self.schedule.now + 2 * self.profile.grace_s

        def give_up() -> None:
            if life == self.hub.life:
                self.hub.lose(link)
            if worker.is_alive and not worker.link:
                worker.link_lost()

        self.schedule.after(self.profile.grace_s, give_up)

    def _fault_worker_drains(self) -> None:
        worker = self._some_worker()
        if worker is not None and self.schedule.chance(0.3):
            worker.drain()

    def _fault_store_fails(self) -> None:
        self.is_store_failing = not self.is_store_failing and self.schedule.chance(0.5)

    def _fault_clock_jumps(self) -> None:
        self.clock_error += self.schedule.rng.choice((-5.0, -0.3, 0.3, 5.0))

    def _fault_contract_changes(self) -> None:
        method = self.schedule.rng.choice(METHODS)
        self.is_contract_steady = False
        self.options[method] = options_of(method, self.schedule.rng)
        if self.hub.is_up and self.hub.knows_contract:
            self.hub.know_contract()
            self.hub.poke()

    def _fault_slots(self) -> None:
        worker = self._some_worker()
        if worker is not None:
            worker.slots = self.schedule.rng.randint(1, 5)


def run_seed(seed: int) -> World:
    """Run one world; return it as it was at its end."""
    world = World(seed)
    world.run()
    return world
