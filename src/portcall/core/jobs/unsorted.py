"""Ready jobs that were submitted before their method's contract was known, on their way to the values that they have.

Which of a request's fields counts is the contract's to say, and a contract comes with a worker. A job that is submitted
before is stored as UNSORTED, and is never claimed so: once the contract is known, the store reads the requests of such
jobs, a few with each batch, and the next batch gives them their values. Nothing of this is kept but in the store, so it
goes on wherever a crash has left it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from portcall.core.jobs.batch import UNSORTED, Flow, Look, NewValue
from portcall.core.jobs.policy import PolicyError

if TYPE_CHECKING:
    from portcall.core.jobs.dispatch import Method

LOOK_JOBS_MAX = 500
LOOK_BYTES_MAX = 4_194_304
"""What one batch reads of one method's."""


class Unsorted:
    """Which flows have such jobs, and what was read of them."""

    def __init__(self) -> None:
        self._ranks: dict[int, set[int]] = {}
        """By method."""
        self._read: list[tuple[NewValue, Flow]] = []
        """Values to be stored, and the flows that their jobs are in then."""

    def has(self, method: int) -> bool:
        """Return whether a method has jobs of which nobody knows yet where they belong."""
        return method in self._ranks

    def add(self, method: int, rank: int) -> None:
        """Note that a method has such jobs."""
        self._ranks.setdefault(method, set()).add(rank)

    def looks(self, methods: Mapping[int, "Method"]) -> list[Look]:
        """Return what to read next: of each method whose contract is known, those that are to go first."""
        return [
            Look(Flow(id_, min(ranks), UNSORTED), LOOK_JOBS_MAX, LOOK_BYTES_MAX)
            for id_, ranks in self._ranks.items()
            if methods[id_].is_known
        ]

    def take(
        self, asked: Sequence[Look], found: Iterable[Sequence[tuple[int, bytes]]], methods: Mapping[int, "Method"]
    ) -> None:
        """Take what was read. A flow of which nothing was is sorted."""
        for look, jobs in zip(asked, found, strict=True):
            id_, rank, _ = look.flow
            for job, request in jobs:
                value = _value(methods[id_], request)
                self._read.append((NewValue(job, value), Flow(id_, rank, value)))
            if not jobs:
                self._ranks[id_].discard(rank)
                if not self._ranks[id_]:
                    del self._ranks[id_]

    def take_values(self) -> list[tuple[NewValue, Flow]]:
        """Remove and return the values to be stored."""
        values, self._read = self._read, []
        return values

    def put_back(self, values: Sequence[tuple[NewValue, Flow]]) -> None:
        """Take back what could not be stored."""
        self._read[:0] = values


def _value(method: "Method", request: bytes) -> str:
    """Return a request's value; of one that cannot be read, the empty one, since its handler will say what is wrong."""
    if method.read_value is None:
        return ""
    try:
        return method.read_value(request)
    except PolicyError:
        return ""
