"""What a hub's shell does round the engine: links to workers, the store's thread, the clock, and those who wait."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from portcall.core.jobs.batch import Batch
from portcall.core.jobs.dispatch import Capacity
from portcall.core.jobs.effects import Effects, Start
from portcall.core.jobs.engine import JobEngine
from portcall.core.jobs.requests import Request
from portcall.core.jobs.submissions import Submission
from portcall.core.jobs.verdicts import Ending

from .profile import BY_SITE, METHODS, RATED
from .workers import Pair, SimWorker

if TYPE_CHECKING:
    from .world import World


class SimHub:
    """A hub. After a death it is another one that knows what the store knows."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.is_up = True
        self.life = 0
        self.links: dict[int, SimWorker] = {}
        self.waiting: list[Start] = []
        """Attempts that have begun, for the engine, and wait for a worker to have a slot."""
        self.assigned: dict[Pair, SimWorker] = {}
        self._tick_at: float | None = None
        self._writing: Batch | None = None
        self.begin()

    @property
    def now(self) -> float:
        """What the hub's clock says."""
        return self._world.schedule.now + self._world.clock_error

    # --- living -------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start on what the store holds."""
        self.is_up = True
        self.links, self.waiting, self.assigned, self._tick_at = {}, [], {}, None
        self.engine = JobEngine(
            self._world.disk.stored(), self.now, self._world.schedule.rng, self._world.profile.limits
        )
        self.know_contract()
        self.poke()

    def die(self) -> None:
        """Go, with everything that was not in the store."""
        self.is_up = False
        self.life += 1
        batch, self._writing = self._writing, None
        if batch is not None and self._world.schedule.chance(0.5):
            self._world.committed(batch, self._world.disk.write(batch))

    def know_contract(self) -> None:
        """Take the options that the contract has now."""
        for method in METHODS:
            reader = bytes.decode if method in (BY_SITE, RATED) else None
            self.engine.know(method, self._world.options[method], reader, self.now)

    # --- the store's thread -------------------------------------------------------------------------------------------

    def poke(self) -> None:
        """Do what there is to do, and give the store a batch if it is free."""
        if not self.is_up:
            return
        batch = self.engine.plan(self.capacities(), self.now)
        self.perform(self.engine.take_effects())
        if batch is not None:
            life, self._writing = self.life, batch
            self._world.schedule.soon(
                self._world.profile.flush_mean_s, lambda: life == self.life and self._flush(batch)
            )
        self._wake()

    def _flush(self, batch: Batch) -> None:
        """Commit. If the hub has died meanwhile, whether it is committed was a matter of luck."""
        self._writing, life = None, self.life
        if self._world.store_fails():
            self.engine.store_failed("the disk is full", self.now, is_full=True)
            self.perform(self.engine.take_effects())
            self.poke()
            return
        written = self._world.disk.write(batch)
        self._world.committed(batch, written)
        self._world.schedule.soon(0.0005, lambda: life == self.life and self._settle(written))

    def _settle(self, written) -> None:
        self.engine.settle(written, self.now)
        self.perform(self.engine.take_effects())
        self.poke()

    def _wake(self) -> None:
        tick = self.engine.next_tick
        if tick is not None and (self._tick_at is None or tick < self._tick_at):
            self._tick_at = tick
            life = self.life
            self._world.schedule.after(max(0.001, tick - self.now), lambda: self._tick(life, tick))

    def _tick(self, life: int, tick: float) -> None:
        if life == self.life and self._tick_at == tick:
            self._tick_at = None
            self.poke()

    def capacities(self) -> list[Capacity]:
        """The free slots, less those that somebody waits for already."""
        free = sum(self._free(worker) for worker in self.links.values()) - len(self.waiting)
        return [Capacity(methods=frozenset(METHODS), free=free)]

    def _free(self, worker: SimWorker) -> int:
        if worker.is_draining:
            return 0
        return worker.slots - sum(one is worker for one in self.assigned.values())

    # --- effects ------------------------------------------------------------------------------------------------------

    def perform(self, effects: Effects) -> None:
        """Do what the engine wants."""
        world = self._world
        for job, attempt in effects.recorded:
            for worker in self._workers_of((job, attempt)):
                world.send(lambda worker=worker, pair=(job, attempt): worker.recorded(pair))
            self.assigned.pop((job, attempt), None)
        for answer in effects.answers:
            world.send(lambda answer=answer: world.answered(answer))
        for stop in effects.stops:
            for worker in self._workers_of((stop.job, stop.attempt)):
                world.send(lambda worker=worker, stop=stop: worker.stop(stop))
            unsent = [start for start in self.waiting if (start.job, start.attempt) == (stop.job, stop.attempt)]
            for start in unsent:
                self.waiting.remove(start)
                self.engine.hand_back("hub", [(start.job, start.attempt)], self.now)
        self.waiting += effects.starts
        self._assign()

    def _workers_of(self, pair: Pair) -> list[SimWorker]:
        """The worker that runs an attempt, or all that might."""
        worker = self.assigned.get(pair)
        return [worker] if worker is not None else list(self.links.values())

    def _assign(self) -> None:
        """Send attempts to workers that have slots."""
        life = self.life
        for start in list(self.waiting):
            free = [(link, worker) for link, worker in self.links.items() if self._free(worker) > 0]
            if not free:
                return
            link, worker = self._world.schedule.rng.choice(free)
            self.waiting.remove(start)
            self.assigned[start.job, start.attempt] = worker
            self._world.send(
                lambda worker=worker, start=start, link=link: (
                    life == self.life and self.links.get(link) is worker and worker.start(start)
                )
            )

    # --- what others say ----------------------------------------------------------------------------------------------

    def attach(self, worker: SimWorker, link: int, pairs: Iterable[Pair]) -> None:
        """Take a worker's link."""
        if not self.is_up:
            worker.link_lost()
            return
        if not worker.is_alive or worker.link != link:
            return
        self.links[link] = worker
        known = list(pairs)
        for pair in known:
            self.assigned[pair] = worker
        self.engine.attached(known, self.now)
        for pair in known:
            if not self.engine._attempts.holds(*pair):
                del self.assigned[pair]
        for pair, ending in worker.unrecorded.items():
            self.engine.ended(*pair, ending, self.now)
        self._assign()
        self.poke()

    def lose(self, link: int) -> None:
        """Give a worker up whose link has been away for too long."""
        worker = self.links.pop(link, None)
        if worker is not None:
            pairs = [pair for pair, one in self.assigned.items() if one is worker]
            for pair in pairs:
                del self.assigned[pair]
            self.engine.died(worker.name, pairs, self.now)
            self.poke()

    def ended(self, pair: Pair, ending: Ending) -> None:
        """Note the end of an attempt."""
        self.engine.ended(*pair, ending, self.now)
        self.assigned.pop(pair, None)
        self._assign()
        self.poke()

    def tell(self, pair: Pair) -> None:
        """Take what an attempt tells."""
        engine = self.engine
        engine.progressed(*pair, b"p", self.now)
        engine.logged(*pair, b"l", self.now)
        engine.replied(*pair, [b"r"], self.now)
        if self._world.schedule.chance(0.5):
            engine.checkpointed(*pair, b"c", self.now)
        self.poke()

    def submit(self, token: object, submissions: list[Submission]) -> None:
        """Take submissions."""
        if self.is_up:
            self.engine.submit(token, submissions, self.now)
            self.poke()

    def request(self, request: Request) -> None:
        """Do what somebody asks."""
        if self.is_up:
            self.engine.request(request)
            self.poke()
