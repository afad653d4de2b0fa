"""The clock that a fleet's jobs go by."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class MovableClock:
    """Wall-clock time that a test can move ahead. It runs on by itself as well.

    Delays, schedules, back-off, timeouts and retention of jobs follow it. Calls, links and grace periods do not.
    """

    def __init__(self, on_moved: Callable[[], None] = lambda: None) -> None:
        self._began = time.time() - time.monotonic()
        self._on_moved = on_moved

    def __call__(self) -> float:
        """Return the time in seconds since 1970."""
        return self._began + time.monotonic()

    @property
    def now(self) -> datetime:
        """Return the time."""
        return datetime.fromtimestamp(self(), UTC)

    def advance(self, seconds: float) -> None:
        """Move it ahead. What is due then happens soon, and not within this call: await what shows it.

        Raises:
            ValueError: `seconds` is below 0; time does not go back.
        """
        if seconds < 0:
            raise ValueError(f"the clock cannot be moved by {seconds:g} s: time does not go back")
        self._began += seconds
        self._on_moved()
