"""What a hub's shell does round the engine: links to workers, the store's thread, the clock, and those who wait."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from portcall.core.jobs.batch import Batch, Written
from portcall.core.jobs.dispatch import Capacity
from portcall.core.jobs.effects import Effects, Start, Stop
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
        world = self._world
        self.engine = JobEngine(world.disk.stored(), self.now, world.schedule.rng, world.profile.limits)
        self.knows_contract = False
        self.poke()

    def die(self) -> None:
        """Go, with everything that was not in the store."""
        self.is_up = False
        self.life += 1
        batch, self._writing = self._writing, None
        if batch is not None and self._world.schedule.chance(0.5):
            self._world.commit(batch)
        self._world.hub_died()

    def know_contract(self) -> None:
        """Take the options that the contract has now. The first worker brings it."""
        self.knows_contract = True
        for method in METHODS:
            reader = bytes.decode if method in (BY_SITE, RATED) else None
            self.engine.know(method, self._world.options[method], reader, self.now)

    # --- the store's thread -------------------------------------------------------------------------------------------

    def poke(self) -> None:
        """Do what there is to do, and give the store a batch if it is free."""
        if not self.is_up:
            return
        batch = self.engine.plan(self.capacities(), self.now)
        self._perform_all()
        if batch is not None:
            life, self._writing = self.life, batch
            flush_s = self._world.profile.flush_mean_s
            self._world.schedule.soon(flush_s, lambda: life == self.life and self._flush(batch))
        self._wake()

    def _flush(self, batch: Batch) -> None:
        """Commit. If the hub has died meanwhile, whether it is committed was a matter of luck."""
        self._writing, life = None, self.life
        if self._world.store_fails():
            self.engine.store_failed("the disk is full", self.now, is_full=True)
            self._perform_all()
            self.poke()
            return
        written = self._world.commit(batch)
        self._world.schedule.soon(0.0005, lambda: life == self.life and self._settle(written))

    def _settle(self, written: Written) -> None:
        self.engine.settle(written, self.now)
        effects = self.engine.take_effects()
        self._world.watch.check_told(effects)
        self.perform(effects)
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

    def _perform_all(self) -> None:
        self.perform(self.engine.take_effects())

    def perform(self, effects: Effects) -> None:
        """Do what the engine wants."""
        world = self._world
        for job, attempt in effects.recorded:
            self._tell_worker((job, attempt), lambda worker, pair=(job, attempt): worker.recorded(pair))
            self.assigned.pop((job, attempt), None)
        for answer in effects.answers:
            world.send(lambda answer=answer: world.answered(answer))
        for told in effects.told:
            self._tell_worker((told.job, told.attempt), lambda worker, told=told: worker.told(told))
        for token in effects.done:
            world.done(token)
        for token, words in effects.failed:
            assert words, "refused without a word"
            world.done(token)
        for adopted in effects.adopted:
            self._tell_worker((adopted.job, adopted.attempt), lambda worker, one=adopted: worker.adopted(one))
        for stop in effects.stops:
            self._stop(stop)
        self.waiting += effects.starts
        self._assign()

    def _stop(self, stop: Stop) -> None:
        """Stop an attempt, be it that no worker has it yet."""
        pair = (stop.job, stop.attempt)
        unsent = [start for start in self.waiting if (start.job, start.attempt) == pair]
        if unsent:
            self.waiting.remove(unsent[0])
            self.engine.hand_back("hub", [pair], self.now)
        self._tell_worker(pair, lambda worker: worker.stop(stop))

    def _tell_worker(self, pair: Pair, action) -> None:
        """Tell the worker that has an attempt, or all that might."""
        worker = self.assigned.get(pair)
        for one in [worker] if worker is not None else list(self.links.values()):
            one.hear(lambda one=one: action(one))

    def _assign(self) -> None:
        """Send attempts to workers that have slots."""
        for start in list(self.waiting):
            free = [worker for worker in self.links.values() if self._free(worker) > 0]
            if not free:
                return
            worker = self._world.schedule.rng.choice(free)
            self.waiting.remove(start)
            self.assigned[start.job, start.attempt] = worker
            worker.hear(lambda worker=worker, start=start: worker.start(start))

    # --- what others say ----------------------------------------------------------------------------------------------

    def attach(self, worker: SimWorker, link: int, pairs: Iterable[Pair]) -> None:
        """Take a worker's link. What it does not name any more of what it had on an earlier one is lost."""
        if not self.is_up:
            worker.link_lost()
            return
        if not worker.is_alive or worker.link != link:
            return
        if not self.knows_contract:
            self.know_contract()
        known = list(pairs)
        old = [number for number, one in self.links.items() if one is worker]
        for number in old:
            del self.links[number]
        self.links[link] = worker
        self._give_up([pair for pair, one in self.assigned.items() if one is worker and pair not in known], worker)
        for pair in known:
            if self.engine._attempts.holds(*pair):
                self.assigned[pair] = worker
        self.engine.attached(known, self.now)
        effects = self.engine.take_effects()
        for stop in effects.stops:
            worker.hear(lambda stop=stop: worker.stop(stop))
        effects.stops = []
        self.perform(effects)
        self.poke()

    def lose(self, link: int) -> None:
        """Give a worker up whose link has been away for too long."""
        worker = self.links.pop(link, None)
        if worker is not None:
            self._give_up([pair for pair, one in self.assigned.items() if one is worker], worker)
            self.poke()

    def _give_up(self, pairs: list[Pair], worker: SimWorker) -> None:
        for pair in pairs:
            del self.assigned[pair]
        self.engine.died(worker.name, pairs, self.now)

    def ended(self, pair: Pair, ending: Ending) -> None:
        """Note the end of an attempt."""
        self.engine.ended(*pair, ending, self.now)
        self.poke()

    def tell(self, pair: Pair) -> None:
        """Take progress and a line of a log."""
        self.engine.progressed(*pair, b"p", self.now)
        self.engine.logged(*pair, b"l", self.now)
        self.poke()

    def replied(self, pair: Pair, message: bytes) -> None:
        """Take a reply of a stream."""
        self.engine.replied(*pair, [message], self.now)
        self.poke()

    def checkpointed(self, pair: Pair, state: bytes) -> None:
        """Take a checkpoint."""
        self.engine.checkpointed(*pair, state, self.now)
        self.poke()

    def submit(self, token: object, submissions: list[Submission]) -> None:
        """Take submissions."""
        if self.is_up:
            self.engine.submit(token, submissions, self.now)
            self.poke()

    def request(self, request: Request) -> None:
        """Do what somebody asks."""
        if self.is_up:
            self._world.asked.add(request.token)
            self.engine.request(request)
            self.poke()
