"""Workers with free slots, and which of them has the most."""

from collections import OrderedDict
from collections.abc import Iterable

from portcall.core.calls import WorkerPort
from portcall.core.waiting import WaitingLine


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

    def best_worker(self) -> WorkerPort | None:
        """Return the worker with the most free slots, or None if no worker has one."""
        if len(self.pools) == 1:
            return self.pools[0].best_worker()
        candidates = [worker for pool in self.pools if (worker := pool.best_worker()) is not None]
        return max(candidates, key=lambda worker: worker.free, default=None)


class Pool:
    """The workers that serve the same methods, in buckets by the number of their free slots.

    A slot taken or freed moves a worker by one bucket, so finding the best costs the same for three workers and for
    three thousand. In a bucket, the worker that has been there longest is first: equals take turns.
    """

    __slots__ = ("_buckets", "_most", "routes", "workers")

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self.workers: set[WorkerPort] = set()
        self._buckets: dict[int, OrderedDict[WorkerPort, None]] = {}
        self._most = 0

    def best_worker(self) -> WorkerPort | None:
        """Return the worker with the most free slots, or None if none has a free slot."""
        buckets = self._buckets
        while self._most > 0:
            bucket = buckets.get(self._most)
            if bucket:
                return next(iter(bucket))
            buckets.pop(self._most, None)
            self._most -= 1
        return None

    def waiting_route(self) -> Route | None:
        """Return the route whose first waiting call is due next, or None if no call waits for these workers."""
        waiting = [route for route in self.routes if route.line]
        if len(waiting) > 1:
            return min(waiting, key=lambda route: route.line.first_tag())
        return waiting[0] if waiting else None

    def add(self, worker: WorkerPort) -> None:
        """Let calls go to this worker."""
        self.workers.add(worker)
        if worker.free > 0:
            self._enter(worker, worker.free)

    def remove(self, worker: WorkerPort) -> None:
        """Let no calls go to this worker. Idempotent."""
        if worker in self.workers:
            self.workers.remove(worker)
            if worker.free > 0:
                del self._buckets[worker.free][worker]

    def change_free(self, worker: WorkerPort, change: int) -> None:
        """Note that slots of this worker were taken or freed."""
        free = worker.free
        worker.free = now_free = free + change
        if worker not in self.workers:
            return
        if free > 0:
            del self._buckets[free][worker]
        if now_free > 0:
            self._enter(worker, now_free)

    def _enter(self, worker: WorkerPort, free: int) -> None:
        bucket = self._buckets.get(free)
        if bucket is None:
            bucket = self._buckets[free] = OrderedDict()
        bucket[worker] = None
        self._most = max(self._most, free)
