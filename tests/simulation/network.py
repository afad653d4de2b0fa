"""Streams between simulated processes: in order, with delays, until they stall or break."""

from collections import deque
from collections.abc import Callable

from .schedule import Action, Schedule

BATCHES_ON_THE_WAY_MAX = 2
"""Batches that a stream takes before its writer has to wait."""


def nothing() -> None:
    """Do nothing."""


def ignore(_: bytes) -> None:
    """Do nothing with a batch."""


class StreamEnd:
    """One side of a stream: what it writes arrives at the other, in order and later."""

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._on_the_way: deque[tuple[float, bytes]] = deque()
        self._is_moving = False
        self.other: StreamEnd
        self.on_batch: Callable[[bytes], None] = ignore
        self.on_room: Action = nothing
        self.on_lost: Action = nothing
        self.stalled_until = 0.0
        """Until then nothing of what this side writes arrives."""

    @property
    def has_room(self) -> bool:
        """Whether a batch may be written now."""
        return not self._stream.is_broken and len(self._on_the_way) < BATCHES_ON_THE_WAY_MAX

    def write(self, batch: bytes) -> None:
        """Send a batch on its way."""
        if self._stream.is_broken:
            return
        schedule = self._stream.schedule
        delay_s = min(schedule.rng.expovariate(1.0 / self._stream.latency_mean_s), 10 * self._stream.latency_mean_s)
        self._on_the_way.append((schedule.now + delay_s, batch))
        self._move()

    def close(self) -> None:
        """Leave the stream; the other side finds out. Idempotent."""
        self.on_batch, self.on_room, self.on_lost = ignore, nothing, nothing
        self._stream.break_off()

    def break_off(self) -> None:
        """Break the stream under both sides."""
        self._stream.break_off()

    def forget(self) -> None:
        """Lose what is on its way."""
        self._on_the_way.clear()

    def _move(self) -> None:
        if self._is_moving or not self._on_the_way:
            return
        self._is_moving = True
        schedule = self._stream.schedule
        ready_at = max(self._on_the_way[0][0], self.stalled_until)
        schedule.after(max(0.0, ready_at - schedule.now), self._deliver)

    def _deliver(self) -> None:
        self._is_moving = False
        if self._stream.is_broken or not self._on_the_way:
            return
        if self.stalled_until <= self._stream.schedule.now:
            _, batch = self._on_the_way.popleft()
            self.other.on_batch(batch)
            self.on_room()
        self._move()


class Stream:
    """Two sides: the one that dialled and the hub's."""

    def __init__(self, schedule: Schedule, latency_mean_s: float) -> None:
        self.schedule = schedule
        self.latency_mean_s = latency_mean_s
        self.is_broken = False
        self.dialler, self.hub = StreamEnd(self), StreamEnd(self)
        self.dialler.other, self.hub.other = self.hub, self.dialler

    def break_off(self) -> None:
        """Break; what is on its way is lost, and each side that has not left notices in its own time. Idempotent."""
        if self.is_broken:
            return
        self.is_broken = True
        for end in (self.dialler, self.hub):
            end.forget()
            self.schedule.soon(0.02, lambda end=end: end.on_lost())  # type: ignore[misc]
