"""Timeouts of calls that have to be cut off while their handler runs, on a machine however slow."""

from collections.abc import Callable, Iterator

FIRST_S = 0.2
LAST_S = 30.0


def timeouts(has_begun: Callable[[], bool]) -> Iterator[float]:
    """Yield timeouts for one call after the other, each twice the last, until a handler has begun.

    The deadline of a call may pass before the call has reached its handler, which then never begins. Such a call tells
    nothing of the handler, and another follows it.
    """
    timeout_s = FIRST_S
    while not has_begun():
        assert timeout_s < LAST_S, f"no handler has begun, of calls that had up to {timeout_s / 2:g} s"
        yield timeout_s
        timeout_s *= 2
