"""When calls end by the clock."""

import heapq

from portcall.core.calls import RUNNING, WAITING, Call

_SLACK = 1_024


class Deadlines:
    """A heap of (time, call). Calls that end early stay in it until they are half of it, then all of them go."""

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Call]] = []
        self._order = 0

    @property
    def next(self) -> float | None:
        """Return the earliest time in the heap, or None."""
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, call: Call, calls_live: int) -> None:
        """Wake up for this call at this time. `calls_live` is how many calls there are now."""
        if len(self._heap) > 4 * calls_live + _SLACK:
            self._heap = [entry for entry in self._heap if entry[2].state in (WAITING, RUNNING)]
            heapq.heapify(self._heap)
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, call))

    def pop_due(self, now: float) -> list[Call]:
        """Remove and return the calls whose time has come, in the order of their times."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        return due
