"""Whose turn it is: the flows of one method that have ready jobs, as far as the engine knows them.

Theory of operation. The store holds any number of ready jobs, in any number of flows; the engine holds names of flows
and no jobs. Flows of the lowest rank go first, those of one rank take turns. A flow whose value has reached a limit is
parked until the value opens again, so that a choice never walks past closed flows, however many there are.

A flow is here if it may have ready jobs; one that turns out to have none is dropped. At most `flows_max` are kept; if
there may be more in the store, `is_whole` is false, and they are read page by page when these run low.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from portcall.core.jobs.batch import UNSORTED

Place = tuple[int, str]
"""A flow's rank and value."""


class Flows:
    """The flows of one method."""

    __slots__ = ("_flows_max", "_has_missed", "_open", "_parked", "_size", "is_whole", "read_up_to")

    def __init__(self, flows_max: int, *, is_whole: bool) -> None:
        self._flows_max = flows_max
        self._open: dict[int, OrderedDict[str, None]] = {}
        """By rank, in order of their turns. None is empty."""
        self._parked: dict[str, set[int]] = {}
        """Ranks of the flows of values that are closed."""
        self._size = 0
        self._has_missed = False
        """Whether a flow found no room since the store was begun to be read."""
        self.is_whole = is_whole
        self.read_up_to: Place | None = None
        """How far the store has been read in the current pass."""

    def __len__(self) -> int:
        return self._size

    @property
    def has_open(self) -> bool:
        """Whether any flow could have its turn."""
        return bool(self._open)

    @property
    def wants_more(self) -> bool:
        """Whether it is time to read more flows from the store."""
        return not self.is_whole and 2 * self._size < self._flows_max

    def is_parked(self, value: str) -> bool:
        """Return whether this value is closed and has ready jobs."""
        return value in self._parked

    def add(self, rank: int, value: str) -> None:
        """Note that a flow has ready jobs. A new one gets the last turn of its rank."""
        parked = self._parked.get(value)
        if parked is not None:
            if rank not in parked and self._has_room_for(rank):
                parked.add(rank)
                self._size += 1
            return
        ring = self._open.get(rank)
        if ring is not None and value in ring:
            return
        if self._has_room_for(rank):
            self._open.setdefault(rank, OrderedDict())[value] = None
            self._size += 1

    def add_page(self, page: Iterable[Place], *, is_last: bool) -> None:
        """Take what was read from the store behind `read_up_to`."""
        last = None
        for last in page:
            if last[1] != UNSORTED:
                self.add(*last)
        self.read_up_to = None if is_last else last
        if is_last:
            # What found no room on the way is found by another pass.
            self.is_whole, self._has_missed = not self._has_missed, False

    def ranks(self) -> Iterator[int]:
        """Yield the ranks that have open flows, the first to go first."""
        return iter(sorted(self._open))

    def next(self, rank: int) -> str | None:
        """Return the value whose turn it is in a rank, or None; its flow gets the last turn."""
        ring = self._open.get(rank)
        if ring is None:
            return None
        value = next(iter(ring))
        ring.move_to_end(value)
        return value

    def park(self, value: str) -> None:
        """Keep the flows of a value back until `unpark`."""
        ranks = self._parked.setdefault(value, set())
        for rank in [rank for rank, ring in self._open.items() if value in ring]:
            self._take_out(rank, value)
            ranks.add(rank)

    def unpark(self, value: str) -> bool:
        """Let the flows of a value have their turns again; return whether there are any."""
        ranks = self._parked.pop(value, set())
        for rank in ranks:
            self._open.setdefault(rank, OrderedDict())[value] = None
        return bool(ranks)

    def unpark_all(self) -> None:
        """Let all flows have their turns again."""
        for value in list(self._parked):
            self.unpark(value)

    def drop(self, rank: int, value: str) -> None:
        """Forget a flow that has no ready jobs. Idempotent."""
        if value in self._open.get(rank, ()):
            self._take_out(rank, value)
            self._size -= 1
        elif rank in self._parked.get(value, ()):
            self._parked[value].remove(rank)
            if not self._parked[value]:
                del self._parked[value]
            self._size -= 1

    def reread(self) -> None:
        """Note that the store may have flows that are not here."""
        self.is_whole, self._has_missed = False, True

    def _take_out(self, rank: int, value: str) -> None:
        ring = self._open[rank]
        del ring[value]
        if not ring:
            del self._open[rank]

    def _has_room_for(self, rank: int) -> bool:
        """Return whether one more flow can be kept; one of a later rank may have to go for it."""
        if self._size < self._flows_max:
            return True
        self.reread()
        latest = max(self._open, default=rank)
        if latest <= rank:
            return False
        value = next(reversed(self._open[latest]))
        self._take_out(latest, value)
        self._size -= 1
        return True
