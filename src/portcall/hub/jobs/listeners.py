"""Who waits for jobs to end, and who wants to hear of all that happens to them."""

from collections.abc import Iterable
from typing import Protocol

from portcall.core.jobs.effects import Outcome, Start, Submitted, Told
from portcall.core.jobs.states import ENDED

FRESH_JOBS_MAX = 20_000


class Waiter(Protocol):
    """Waits for jobs to end."""

    def ended(self, outcome: Outcome) -> None:
        """Take the end of a job. It waits for this job no more."""


class Watcher(Protocol):
    """Follows what happens to jobs."""

    def changed(self, job: int) -> None:
        """Take note that there may be more to read of a job."""

    def begun(self, job: int, replies: int) -> None:
        """Take note that another attempt has begun, whose first reply has this offset."""


class Listeners:
    """Both, by job. Costs an ended job one look-up, and others nothing unless somebody watches."""

    def __init__(self) -> None:
        self._waiters: dict[int, tuple[Waiter, ...]] = {}
        self._watchers: dict[int, list[Watcher]] = {}
        self.waits = 0
        """How many ends are waited for."""
        self.watches = 0
        self.fresh: set[int] = set()
        """Some of the jobs that have not ended, for certain: of those that were stored a moment ago, up to
        `FRESH_JOBS_MAX`. Who waits for one of these need not ask the store whether it has ended already."""

    def stored(self, submitted: Iterable[Submitted]) -> None:
        """Take note of jobs that are new, before anybody is told of them."""
        if len(self.fresh) > FRESH_JOBS_MAX:
            self.fresh.clear()
        self.fresh.update([one.id for one in submitted if one.id is not None and not one.existed])

    def wait_for(self, jobs: Iterable[int], waiter: Waiter) -> None:
        """Tell a waiter when these end; of each once, unless it is forgotten before."""
        waiters, alone = self._waiters, (waiter,)
        for job in jobs:
            # Almost all jobs have one waiter, and share one tuple.
            waiters[job] = waiters[job] + alone if job in waiters else alone
            self.waits += 1

    def forget(self, jobs: Iterable[int], waiter: Waiter) -> None:
        """Tell a waiter no more of these. Idempotent."""
        for job in jobs:
            waiters = self._waiters.get(job, ())
            if waiter in waiters:
                self.waits -= 1
                others = tuple(other for other in waiters if other is not waiter)
                if others:
                    self._waiters[job] = others
                else:
                    del self._waiters[job]

    def watch(self, job: int, watcher: Watcher) -> None:
        """Tell a watcher of a job until it is told no more."""
        self._watchers.setdefault(job, []).append(watcher)
        self.watches += 1

    def unwatch(self, job: int, watcher: Watcher) -> None:
        """Tell a watcher of a job no more. Idempotent."""
        watchers = self._watchers.get(job, [])
        if watcher in watchers:
            watchers.remove(watcher)
            self.watches -= 1
            if not watchers:
                del self._watchers[job]

    # --- what happens -------------------------------------------------------------------------------------------------

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        """Tell of jobs in another state."""
        waiting, fresh = self._waiters, self.fresh
        for outcome in outcomes:
            if outcome.state in ENDED:
                fresh.discard(outcome.job)
                waiters = waiting.pop(outcome.job, None)
                if waiters is not None:
                    self.waits -= len(waiters)
                    for waiter in waiters:
                        waiter.ended(outcome)
            if self._watchers:
                self._changed(outcome.job)

    def tell_told(self, told: Iterable[Told]) -> None:
        """Tell of attempts that have told something."""
        if self._watchers:
            for one in told:
                self._changed(one.job)

    def tell_begun(self, starts: Iterable[Start]) -> None:
        """Tell of attempts that begin."""
        if self._watchers:
            for start in starts:
                for watcher in list(self._watchers.get(start.job, ())):
                    watcher.begun(start.job, start.replies)

    def _changed(self, job: int) -> None:
        for watcher in list(self._watchers.get(job, ())):
            watcher.changed(job)
