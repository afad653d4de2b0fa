"""An engine on a store in memory, with a fleet that is only a number of slots, and a clock that only the test moves."""

from collections.abc import Iterable
from random import Random
from typing import Any

from google.protobuf import text_format

from portcall.core.jobs.batch import AttemptOutcome, Batch
from portcall.core.jobs.dispatch import Capacity
from portcall.core.jobs.effects import Effects, Start, Submitted
from portcall.core.jobs.engine import JobEngine
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.rows import JobRow
from portcall.core.jobs.schedules import parse_schedule
from portcall.core.jobs.submissions import Submission
from portcall.core.jobs.verdicts import Ending
from portcall.core.refusals import UNAVAILABLE
from portcall.protos.portcall.v1.jobs_pb2 import ScheduleSpec
from portcall.protos.portcall.v1.options_pb2 import JobOptions
from tests.store.model import ModelStore

METHOD = "/test.Service/Method"
OTHER = "/test.Service/Other"
NOW = 1_750_000_000.0

Pair = tuple[int, int]


class Stand:
    """Time stands still unless `wait` is called; what `do` is asked for is done to the end, batch by batch."""

    def __init__(self, slots: int = 0, *, limits: JobLimits | None = None, is_early: bool = False) -> None:
        """`is_early` if no worker has brought a contract yet."""
        self.now = NOW
        self.slots = slots
        self.served = {METHOD, OTHER}
        self.limits = limits or JobLimits()
        self.store = ModelStore()
        self.options: dict[str, JobOptions] = {} if is_early else {METHOD: JobOptions(), OTHER: JobOptions()}
        self.batches: list[Batch] = []
        self._tokens = 0
        self.restart()

    def restart(self) -> None:
        """Another hub takes over what the store holds. Nobody has come back to it yet."""
        self.running: dict[Pair, Start] = {}
        self.effects = Effects()
        self.engine = JobEngine(self.store.stored(), self.now, Random(1), self.limits)
        for method, options in self.options.items():
            self.know(method, options)

    def know(self, method: str, options: JobOptions | str = "") -> None:
        """Take a contract; values are the requests themselves."""
        if isinstance(options, str):
            options = text_format.Parse(options, JobOptions())
        self.options[method] = options
        self.engine.know(method, options, bytes.decode if options.by.field else None, self.now)

    # --- doing --------------------------------------------------------------------------------------------------------

    def capacities(self) -> list[Capacity]:
        return [Capacity(methods=frozenset(self.served), free=self.slots - len(self.running))]

    def batch(self) -> Batch | None:
        """Plan a batch, and perform what there is to do at once."""
        batch = self.engine.plan(self.capacities(), self.now)
        self.take()
        return batch

    def settle(self, batch: Batch) -> None:
        """Let the store write a batch."""
        self.batches.append(batch)
        self.engine.settle(self.store.write(batch), self.now)
        self.take()

    def do(self) -> Effects:
        """Write until there is nothing to do; return all that is to be done because of it."""
        batch = self.batch()
        while batch is not None:
            self.settle(batch)
            batch = self.batch()
        effects, self.effects = self.effects, Effects()
        return effects

    def take(self) -> None:
        effects = self.engine.take_effects()
        for name in Effects.__dataclass_fields__:
            getattr(self.effects, name).extend(getattr(effects, name))
        for job, attempt in effects.recorded:
            self.running.pop((job, attempt), None)
        self.running |= {(start.job, start.attempt): start for start in effects.starts}

    def wait(self, seconds: float) -> Effects:
        self.now += seconds
        return self.do()

    # --- what people and workers do -----------------------------------------------------------------------------------

    def put(self, *submissions: Submission) -> int:
        """Submit without writing; return the token."""
        self._tokens += 1
        self.engine.submit(self._tokens, submissions, self.now)
        return self._tokens

    def submit(self, *submissions: Submission) -> list[Submitted]:
        """Submit and write; return the answers."""
        token = self.put(*submissions)
        self.do_keeping()
        [answer] = [answer for answer in self.effects.answers if answer.token == token]
        return list(answer.jobs)

    def do_keeping(self) -> None:
        """Write until there is nothing to do, and keep the effects for `do`."""
        self.effects = self.do()

    def job(self, **fields: Any) -> int:
        """Submit one job; return its id."""
        [submitted] = self.submit(submission(**fields))
        assert submitted.id is not None, submitted.details
        return submitted.id

    def jobs(self, count: int, **fields: Any) -> list[int]:
        answers = self.submit(*[submission(**fields) for _ in range(count)])
        assert all(answer.id is not None for answer in answers)
        return [answer.id for answer in answers if answer.id is not None]

    def end(self, pair: Pair, **fields: Any) -> None:
        self.engine.ended(*pair, Ending(**{"outcome": AttemptOutcome.SUCCEEDED, "worker": "w", **fields}), self.now)

    def fail(self, pair: Pair, status: int = UNAVAILABLE) -> None:
        self.end(pair, outcome=AttemptOutcome.FAILED, status=status, details="no luck")

    def end_all(self) -> None:
        for pair in list(self.running):
            self.end(pair)

    def row(self, job: int) -> JobRow:
        [row] = self.store.get([job])
        return row

    def started(self) -> list[int]:
        """The jobs that run, in the order in which they were started."""
        return [job for job, _ in self.running]


def submission(method: str = METHOD, request: bytes = b"", **fields: Any) -> Submission:
    return Submission(method, request, **fields)


def schedule(name: str = "nightly", **fields: Any):
    spec = ScheduleSpec(**{"every_s": 60.0, **fields})
    spec.job.method = METHOD
    return parse_schedule(name, spec)


def values(stand: Stand, jobs: Iterable[int]) -> list[str]:
    return [stand.store.jobs[job].value for job in jobs]
