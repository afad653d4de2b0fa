"""How many attempts of a method may run at once, and start in a time: over the fleet, for each value, and of suspects.

Exact, and small: what is counted is what runs, which slots bound, and which values have started something lately.
Whatever could not be known after a restart is taken as used up: buckets begin empty, and jobs that may still be
running count.
"""

from collections.abc import Sequence

from portcall.core.jobs.policy import Limit, Policy, Rate
from portcall.core.jobs.ranks import SUSPECTS_AT_ONCE

_SWEEP_MIN = 1_024


class Buckets:
    """Token buckets of one rate, one for each value.

    The generic cell rate algorithm (ITU-T I.371, annex A): for each bucket one number says all, the time at which it
    will be full again. A bucket that is full need not be kept.
    """

    __slots__ = ("_born_full_at", "_full_at", "_interval_s", "_span_s", "_sweep_at", "_values_max")

    def __init__(self, rate: Rate, now: float, values_max: int) -> None:
        self._interval_s = rate.per_s / rate.starts
        self._span_s = rate.burst * self._interval_s
        self._born_full_at = now + self._span_s
        self._full_at: dict[str, float] = {}
        self._values_max = values_max
        self._sweep_at = _SWEEP_MIN

    def __len__(self) -> int:
        return len(self._full_at)

    def opens_at(self, value: str, now: float) -> float:
        """Return when the next token can be had, which may have been long ago."""
        full_at = self._full_at.get(value)
        if full_at is None:
            if len(self._full_at) >= self._values_max:
                self._sweep(now)
                if len(self._full_at) >= self._values_max:
                    # No room to remember one more. To let it start would break the limit; so it waits.
                    return now + self._interval_s
            full_at = self._born_full_at
        return full_at - self._span_s + self._interval_s

    def take(self, value: str, now: float) -> None:
        """Take a token that can be had."""
        if len(self._full_at) >= self._sweep_at:
            self._sweep(now)
            self._sweep_at = max(_SWEEP_MIN, 2 * len(self._full_at))
        self._full_at[value] = max(self._full_at.get(value, self._born_full_at), now) + self._interval_s

    def give_back(self, value: str) -> None:
        """Give back a token that nothing was started with."""
        full_at = self._full_at.get(value)
        if full_at is not None:
            self._full_at[value] = full_at - self._interval_s

    def _sweep(self, now: float) -> None:
        self._full_at = {value: full_at for value, full_at in self._full_at.items() if full_at > now}


class Gate:
    """The limits of one method, and what counts against them."""

    __slots__ = ("_all", "_all_rate", "_each", "_each_rate", "_suspects", "_values_max", "running", "running_by")

    def __init__(self, policy: Policy, now: float, values_max: int) -> None:
        self.running = 0
        self.running_by: dict[str, int] = {}
        self._suspects = [0] * len(SUSPECTS_AT_ONCE)
        self._values_max = values_max
        self._all, self._each = Limit(), Limit()
        self._all_rate: Buckets | None = None
        self._each_rate: Buckets | None = None
        self.change(policy, now)

    def change(self, policy: Policy, now: float) -> None:
        """Take the limits of a newer contract. A rate that has changed begins with an empty bucket."""
        rate, each_rate = policy.limit.rate, policy.limit_each.rate
        if rate != self._all.rate:
            self._all_rate = Buckets(rate, now, self._values_max) if rate else None
        if each_rate != self._each.rate:
            self._each_rate = Buckets(each_rate, now, self._values_max) if each_rate else None
        self._all, self._each = policy.limit, policy.limit_each

    @property
    def is_open(self) -> bool:
        """Whether there are no limits, but for suspects."""
        return not (self._all or self._each)

    # --- may one start? ---------------------------------------------------------------------------------------------

    def opens_at(self, now: float) -> float | None:
        """Return when any job may start, as far as the fleet's limits go; None for when one ends that runs."""
        if self._all.running is not None and self.running >= self._all.running:
            return None
        return self._all_rate.opens_at("", now) if self._all_rate is not None else now

    def opens_for(self, value: str, now: float) -> float | None:
        """Return when a job of this value may start, as far as the value's limits go; None for when one ends."""
        if self._each.running is not None and self.running_by.get(value, 0) >= self._each.running:
            return None
        return self._each_rate.opens_at(value, now) if self._each_rate is not None else now

    def lets_suspect(self, suspicion: int) -> bool:
        """Return whether one more job so suspect may run."""
        return suspicion == 0 or self._suspects[suspicion] < SUSPECTS_AT_ONCE[suspicion]

    # --- what runs --------------------------------------------------------------------------------------------------

    def start(self, value: str, suspicion: int, now: float) -> None:
        """Count a job that starts, and may."""
        self.count(value, suspicion)
        if self._all_rate is not None:
            self._all_rate.take("", now)
        if self._each_rate is not None:
            self._each_rate.take(value, now)

    def count(self, value: str, suspicion: int, jobs: int = 1) -> None:
        """Count jobs that run already, or that start where there are no limits."""
        self.running += jobs
        self.running_by[value] = self.running_by.get(value, 0) + jobs
        self._suspects[suspicion] += jobs

    def end(self, value: str, suspicion: int, jobs: int = 1) -> None:
        """Count jobs that have stopped running."""
        self.running -= jobs
        left = self.running_by[value] - jobs
        if left:
            self.running_by[value] = left
        else:
            del self.running_by[value]
        self._suspects[suspicion] -= jobs

    def undo(self, value: str, suspicion: int) -> None:
        """Forget a start that did not come to be."""
        self.end(value, suspicion)
        if self._all_rate is not None:
            self._all_rate.give_back("")
        if self._each_rate is not None:
            self._each_rate.give_back(value)

    @property
    def suspects(self) -> Sequence[int]:
        """Return how many jobs run, by how suspect they are."""
        return tuple(self._suspects)
