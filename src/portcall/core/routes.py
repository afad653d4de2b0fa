"""Which methods a hub knows, and which workers serve them."""

from collections.abc import Sequence

from portcall.core.calls import WorkerPort
from portcall.core.pools import Pool, Route


class Routes:
    """Every method that a worker has brought, and those that callers wait for though nobody has brought them yet."""

    def __init__(self, methods_remembered_max: int) -> None:
        self._methods_remembered_max = methods_remembered_max
        self.known: dict[str, Route] = {}
        self.strange: dict[str, Route] = {}
        """Those that nobody has brought; only with calls in their lines."""
        self.pools: dict[frozenset[str], Pool] = {}
        """The workers that serve the same methods, by these."""

    def of(self, method: str) -> Route:
        """Return the route of a method that has calls."""
        return self.known.get(method) or self.strange[method]

    def wait_for(self, method: str) -> Route:
        """Return the route of a method that nobody has brought, made if need be; a call has to be put into its line."""
        route = self.strange.get(method)
        if route is None:
            route = self.strange[method] = Route(method)
        return route

    def forget_if_strange(self, method: str) -> None:
        """Forget a method that nobody has brought, and nobody waits for any more."""
        self.strange.pop(method, None)

    def know(self, method: str) -> Route:
        """Return the method's route, made if need be; calls that waited for it in the first seconds go along."""
        route = self.known.get(method)
        if route is None:
            route = self.known[method] = self.strange.pop(method) if method in self.strange else Route(method)
        return route

    def join(self, worker: WorkerPort) -> None:
        """Put a worker among those that serve the same methods."""
        pool = self.pools.get(worker.methods)
        if pool is None:
            pool = self.pools[worker.methods] = Pool(self.know(method) for method in sorted(worker.methods))
            for route in pool.routes:
                route.join(pool)
            self._forget_methods()
        worker.pool = pool
        pool.add(worker)

    def withdraw(self, worker: WorkerPort) -> Sequence[Route]:
        """Let no calls go to this worker; return the routes that have no worker any more. Idempotent."""
        pool = worker.pool
        if pool is None or worker not in pool.workers:
            return ()
        pool.remove(worker)
        if pool.workers:
            return ()
        del self.pools[worker.methods]
        for route in pool.routes:
            route.leave(pool)
        return [route for route in pool.routes if not route.has_worker]

    def _forget_methods(self) -> None:
        """Keep the number of methods bounded: forget those that nobody serves or waits for."""
        if len(self.known) > self._methods_remembered_max:
            for method in [method for method, route in self.known.items() if not (route.pools or route.line)]:
                del self.known[method]
