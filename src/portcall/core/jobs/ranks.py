"""The order in which the ready jobs of a method start: one number, the lower the earlier.

A rank holds the priority that a submitter gave and, before it, how suspect the job is. A job that was running when its
worker died is a suspect: perhaps it killed the worker, perhaps it was merely there. Suspects go first but few at a
time, so that the next death tells more: of thousands that died together only some are at risk together again, and the
third time each is alone. Without this, a worker of 2,000 slots would drag all its jobs into the grave of one.
"""

from collections.abc import Sequence
from typing import Final

PRIORITY_MAX: Final = 100

SUSPECTS_AT_ONCE: Final[Sequence[int]] = (0, 50, 1)
"""How many jobs of one method may run at once over the fleet, by how suspect they are; the first has no limit."""

_STEP = 1_000
_HALF = _STEP // 2


def rank_of(priority: int, deaths: int = 0) -> int:
    """Return the rank of a job with this priority whose workers have died so often."""
    return -priority - _STEP * min(deaths, len(SUSPECTS_AT_ONCE) - 1)


def priority_of(rank: int) -> int:
    """Return the priority in a rank."""
    return -((rank + _HALF) % _STEP - _HALF)


def suspicion_of(rank: int) -> int:
    """Return how suspect jobs of this rank are: 0 for not at all."""
    return -((rank + _HALF) // _STEP)
