"""How many jobs have failed lately, by method: counted as they do, since no store could tell without looking at all."""

from collections import Counter, deque
from collections.abc import Iterable

from portcall.core.jobs.effects import Outcome
from portcall.core.jobs.states import FAILED

LATELY_S = 3_600.0
_BUCKET_S = 60.0


class FailedLately:
    """Counts of the last hour, to the minute; of this hub's life, if that is shorter."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[float, Counter[str]]] = deque()
        """By the time at which they begin, the oldest first."""

    def note(self, outcomes: Iterable[Outcome], now: float) -> None:
        """Count those of these jobs that have failed."""
        failed = [outcome.method for outcome in outcomes if outcome.state is FAILED]
        if failed:
            self._forget(now)
            if not self._buckets or now - self._buckets[-1][0] >= _BUCKET_S:
                self._buckets.append((now, Counter()))
            self._buckets[-1][1].update(failed)

    def counts(self, now: float) -> Counter[str]:
        """Return how many have failed, by method."""
        self._forget(now)
        return sum((counts for _, counts in self._buckets), Counter())

    def _forget(self, now: float) -> None:
        while self._buckets and now - self._buckets[0][0] >= LATELY_S:
            self._buckets.popleft()
