"""Jobs beside calls that never stop waiting: the engine and the switchboard together, with a store in memory."""

from collections.abc import Sequence
from random import Random

import pytest

from portcall.core.attempts import AttemptPort, AttemptSwitchboard
from portcall.core.calls import ClientPort, WorkerPort
from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.dispatch import Capacity
from portcall.core.jobs.engine import JobEngine
from portcall.core.jobs.states import JobState
from portcall.core.jobs.submissions import Submission
from portcall.core.jobs.verdicts import Ending
from portcall.core.limits import CallLimits
from portcall.protos.portcall.v1.link_pb2 import End, Frame, JobAttempt, Open
from portcall.protos.portcall.v1.options_pb2 import JobOptions
from tests.store.model import ModelStore

METHOD = "/sim.Jobs/Plain"
CALL_S = 0.010
FLUSH_S = 0.005
NOW = 1_750_000_000.0


class NoSink:
    """Where frames go that nobody reads."""

    bytes_held = 0

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        pass

    def send_ahead(self, frame: Frame, /) -> None:
        pass

    def drop_chunks(self, call_id: int, /) -> None:
        pass


class Overload:
    """One worker, callers that always have more for it than it can do, and a hub's jobs."""

    def __init__(self, slots: int, *, job_s: float, share: int, waiting: int, seed: int) -> None:
        self.now = NOW
        self.slots = slots
        self.rng = Random(seed)
        self.job_s = job_s
        self.board = AttemptSwitchboard(CallLimits(job_share=share), self.now)
        self.client, self.jobs_port = ClientPort("client", NoSink()), AttemptPort("jobs", self)  # type: ignore[arg-type]
        self.worker = WorkerPort("worker", NoSink(), slots)
        self.engine = JobEngine(ModelStore().stored(), self.now, self.rng)
        self.store = ModelStore()
        self.engine.know(METHOD, JobOptions(), None, self.now)
        self.board.add_worker(self.worker, [METHOD], self.now)
        self.wanted = slots + waiting
        """Calls that are always under way or waiting."""
        self.ends_at: dict[int, float] = {}
        """When the worker is done with what it runs."""
        self.calls_ended = 0
        self.jobs_running_most = 0
        self.pairs: dict[int, tuple[int, int]] = {}
        self.lands_at = 0.0
        self.batch = None
        self._ids = 0

    # --- the sink of attempts -----------------------------------------------------------------------------------------

    bytes_held = 0

    def placed(self, call_id: int, worker: WorkerPort, /) -> None:
        pass

    def lost(self, call_ids: Sequence[int], worker: WorkerPort | None, /, *, is_begun: bool) -> None:
        assert worker is None
        self.engine.hand_back("", [self.pairs.pop(call_id) for call_id in call_ids], self.now)

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        job, attempt = self.pairs.pop(frame.call_id)
        self.engine.ended(job, attempt, Ending(outcome=AttemptOutcome.SUCCEEDED, worker="worker"), self.now)

    # --- time ---------------------------------------------------------------------------------------------------------

    def submit(self, count: int) -> None:
        self.engine.submit("t", [Submission(METHOD, b"")] * count, self.now)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.001
            self._call()
            self._work()
            self._turn()

    @property
    def jobs_ended(self) -> int:
        return sum(job.state is JobState.SUCCEEDED for job in self.store.jobs.values())

    @property
    def attempts(self) -> int:
        return sum(job.attempt for job in self.store.jobs.values())

    def _call(self) -> None:
        while len(self.client.calls) < self.wanted:
            self._ids += 1
            opening = Open(method=METHOD, half_close=True)
            self.board.from_client(self.client, [Frame(call_id=self._ids, open=opening)], self.now)

    def _work(self) -> None:
        for call_id, call in self.worker.calls.items():
            if call_id not in self.ends_at:
                mean_s = self.job_s if call.client is self.jobs_port else CALL_S
                self.ends_at[call_id] = self.now + self.rng.uniform(0.5, 1.5) * mean_s
        for call_id, at in list(self.ends_at.items()):
            if at <= self.now:
                self.calls_ended += self.worker.calls[call_id].client is self.client
                del self.ends_at[call_id]
                self.board.from_worker(self.worker, [Frame(call_id=call_id, end=End())], self.now)
        running = sum(call.client is self.jobs_port for call in self.worker.calls.values())
        self.jobs_running_most = max(self.jobs_running_most, running)

    def _turn(self) -> None:
        """What `hub.jobs.keeper` does."""
        if self.batch is not None and self.now >= self.lands_at:
            batch, self.batch = self.batch, None
            self.engine.settle(self.store.write(batch), self.now)
        if self.batch is not None:
            return
        for start in self.engine.take_effects().starts:
            self._ids += 1
            self.pairs[self._ids] = (start.job, start.attempt)
            attempt = JobAttempt(job=start.job, number=start.attempt)
            opening = Open(method=METHOD, half_close=True, attempt=attempt)
            self.board.from_client(self.jobs_port, [Frame(call_id=self._ids, open=opening)], self.now)
        self.board.take_back(self.now)
        free = [Capacity(methods=methods, free=free) for methods, free in self.board.free_slots()]
        self.batch, self.lands_at = self.engine.plan(free, self.now), self.now + FLUSH_S
        if self.batch is None:
            self.board.take_back(self.now)
        self.board.sought = self.engine.seeking(self.now)


SHAPES = [
    pytest.param(slots, job_s, waiting, id=f"{slots} slots, jobs of {job_s:g} s, {waiting} calls wait")
    for slots in (1, 3, 16, 50)
    for job_s in (0.005, 0.2)
    for waiting in (0, 20)
]
"""Without calls in the line, each that ends is followed by another before a job can be stored as started."""


@pytest.mark.parametrize(("slots", "job_s", "waiting"), SHAPES)
def test_jobs_go_on_beside_calls_that_never_stop(slots: int, job_s: float, waiting: int) -> None:
    world = Overload(slots, job_s=job_s, share=8, waiting=waiting, seed=slots)
    world.submit(400)
    world.run(10.0)
    assert world.jobs_ended >= 30, f"{world.jobs_ended} jobs have ended"
    if waiting:
        assert world.jobs_running_most <= max(1, slots // 8)
    # A slot of one worker is a large share, if a job takes twenty times as long as a call.
    least = 0.7 if slots >= 8 or job_s < CALL_S else 0.2
    possible = slots * 10.0 / CALL_S
    assert world.calls_ended > least * possible, f"{world.calls_ended} calls of {possible:.0f}"
    assert world.attempts <= 9 * (world.jobs_ended + slots), f"{world.attempts} attempts, mostly handed back"


def test_without_the_share_jobs_would_starve() -> None:
    world = Overload(16, job_s=0.005, share=0, waiting=20, seed=1)
    world.submit(10)
    world.run(5.0)
    assert world.jobs_ended == 0


def test_the_share_is_kept_of_workers_alone_whose_methods_have_jobs_that_wait() -> None:
    world = Overload(8, job_s=0.005, share=8, waiting=20, seed=1)
    world.run(2.0)
    alone = world.calls_ended
    assert alone > 0.8 * 8 * 2.0 / CALL_S
    world.submit(1)
    world.run(1.0)
    assert world.jobs_ended == 1
    assert not world.worker.pool.apart  # type: ignore[union-attr]
