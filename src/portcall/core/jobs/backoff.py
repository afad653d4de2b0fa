"""How long a job waits before its next attempt."""

from typing import Protocol

from portcall.core.jobs.policy import Backoff


class Chance(Protocol):
    """Where random numbers come from; a `random.Random` is one."""

    def random(self) -> float:
        """Return a number from 0 up to, and without, 1."""


def backoff_s(backoff: Backoff, failures: int, rng: Chance) -> float:
    """Return the wait after this many failed attempts (1 or more), by the random numbers of `rng`.

    Exponential with a ceiling, and a part of it left to chance: what failed together because a service was down should
    not come back together and bring it down again (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
    2015).
    """
    # Far before the power could overflow it has reached the ceiling.
    exponent = min(failures - 1, 1_000)
    try:
        wait_s = min(backoff.initial_s * backoff.multiplier**exponent, backoff.max_s)
    except OverflowError:
        wait_s = backoff.max_s
    return wait_s * (1 - backoff.jitter * rng.random())
