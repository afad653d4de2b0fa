"""What happens next: actions by time, and the one source of chance."""

import heapq
from collections.abc import Callable
from random import Random

Action = Callable[[], None]


class Schedule:
    """Actions that wait for their time. The clock stands still while one runs, and jumps to the next."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 1_000.0
        self._waiting: list[tuple[float, int, Action]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def after(self, delay_s: float, action: Action) -> None:
        """Do this so much later; what is due at the same time is done in the order of asking."""
        self._order += 1
        heapq.heappush(self._waiting, (self.now + delay_s, self._order, action))

    def soon(self, mean_s: float, action: Action) -> None:
        """Do this later, by a delay of chance with this mean."""
        self.after(min(self.rng.expovariate(1.0 / mean_s), 10 * mean_s), action)

    def step(self) -> Action:
        """Do the next action; return it."""
        at, _, action = heapq.heappop(self._waiting)
        self.now = max(self.now, at)
        action()
        return action

    def chance(self, probability: float) -> bool:
        """Throw a dice."""
        return self.rng.random() < probability
