"""Workers with free slots, and which of them has the most."""

from collections import OrderedDict, deque
from collections.abc import Iterable

from portcall.core.calls import WorkerPort
from portcall.core.waiting import Turns, WaitingLine


class Route:
    """One method: the pools that serve it and the calls that wait for it."""

    __slots__ = ("line", "method", "pools")

    def __init__(self, method: str) -> None:
        self.method = method
        self.pools: list[Pool] = []
        """Those with workers; an empty pool is taken out."""
        self.line = WaitingLine()

    @property
    def has_worker(self) -> bool:
        """Whether any worker serves this method now, free or not."""
        return bool(self.pools)

    def join(self, pool: "Pool") -> None:
        """Let a pool with workers serve this method."""
        self.pools.append(pool)
        self.line.attach(pool.turns)

    def leave(self, pool: "Pool") -> None:
        """Let a pool that has lost its last worker go."""
        self.pools.remove(pool)
        self.line.detach(pool.turns)

    def best_worker(self) -> WorkerPort | None:
        """Return the worker with the most free slots, or None if no worker has one."""
        if len(self.pools) == 1:
            return self.pools[0].best_worker()
        best, its_pool = None, None
        for pool in self.pools:
            worker = pool.best_worker()
            if worker is not None and (best is None or worker.free > best.free):
                best, its_pool = worker, pool
        if its_pool is not None:
            # Last among equals the next time.
            self.pools.remove(its_pool)
            self.pools.append(its_pool)
        return best


class Pool:
    """The workers that serve the same methods, in buckets by the number of their free slots.

    A slot taken or freed moves a worker by one bucket, so finding the best costs the same for three workers and for
    three thousand. In a bucket, the worker that has been there longest is first: equals take turns. The best worker is
    kept outside the buckets for as long as it has more free slots than all others, and then costs nothing to find.
    """

    __slots__ = (
        "_best",
        "_buckets",
        "_most",
        "apart",
        "freed",
        "is_granted",
        "offered",
        "owed",
        "round",
        "routes",
        "turns",
        "workers",
    )

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self.workers: set[WorkerPort] = set()
        self.turns = Turns()
        self._best: WorkerPort | None = None
        self._buckets: dict[int, OrderedDict[WorkerPort, None]] = {}
        """Those with free slots, but for the best. No bucket is empty."""
        self._most = 0
        """The highest bucket there is, or one that was above it; 0 if there never was one."""
        # What jobs get where calls wait; see `portcall.core.attempts`.
        self.apart: deque[WorkerPort] = deque()
        """Workers with a slot that is kept for an attempt, one entry for each slot; it counts as taken."""
        self.offered = 0
        """How many of these, from the left, attempts were offered."""
        self.owed = 0
        """How many of the next slots that become free are to be kept."""
        self.freed = 0
        """Slots that have become free in this round."""
        self.round = 0
        """How many make a round."""
        self.is_granted = False
        """Whether attempts have had the share of this round before its end."""

    @property
    def free_slots(self) -> int:
        """Return how many slots of these workers are free. It costs as much as there are different numbers of them."""
        best = self._best
        free = best.free if best is not None and best.free > 0 else 0
        return free + sum(free * len(bucket) for free, bucket in self._buckets.items())

    def best_worker(self) -> WorkerPort | None:
        """Return the worker with the most free slots, or None if none has a free slot."""
        best = self._best
        if best is not None and best.free > self._most:
            return best
        return self._choose_best()

    def add(self, worker: WorkerPort) -> None:
        """Let calls go to this worker."""
        self.workers.add(worker)
        if worker.free > 0:
            self._enter(worker, worker.free)

    def remove(self, worker: WorkerPort) -> None:
        """Let no calls go to this worker. Idempotent."""
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        if worker is self._best:
            self._best = None
        elif worker.free > 0:
            self._leave(worker, worker.free)

    def change_free(self, worker: WorkerPort, change: int) -> None:
        """Note that slots of this worker were taken or freed."""
        free = worker.free
        worker.free = now_free = free + change
        if worker is self._best or worker not in self.workers:
            return
        if free > 0:
            self._leave(worker, free)
        if now_free > 0:
            self._enter(worker, now_free)

    def _choose_best(self) -> WorkerPort | None:
        """Put the best so far among the others, behind its equals, and take the best of all out."""
        buckets, old = self._buckets, self._best
        if old is not None:
            self._best = None
            if old.free > 0:
                self._enter(old, old.free)
        most = self._highest(self._most)
        if not most:
            self._most = 0
            return None
        bucket = buckets[most]
        best = self._best = next(iter(bucket))
        self._leave(best, most)
        self._most = self._highest(most)
        return best

    def _highest(self, bound: int) -> int:
        """Return the highest bucket, which is not above this bound; 0 if there is none."""
        # A slot that was taken leads one bucket down; only workers that leave or change their slots lead further.
        for most in (bound, bound - 1):
            if most in self._buckets:
                return most
        return max(self._buckets, default=0)

    def _enter(self, worker: WorkerPort, free: int) -> None:
        bucket = self._buckets.get(free)
        if bucket is None:
            bucket = self._buckets[free] = OrderedDict()
        bucket[worker] = None
        if free > self._most:  # noqa: PLR1730  # hot
            self._most = free

    def _leave(self, worker: WorkerPort, free: int) -> None:
        bucket = self._buckets[free]
        del bucket[worker]
        if not bucket:
            del self._buckets[free]
