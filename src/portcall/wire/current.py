"""Which job the code that runs now is an attempt at, for whatever it submits and calls.

A context variable: tasks and threads (`asyncio.to_thread`) that the handler of a job starts inherit it.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentAttempt:
    """An attempt at a job: the job's id as the hub tells it to people, and the attempt's number."""

    job: str
    number: int


current_attempt: Final[ContextVar[CurrentAttempt | None]] = ContextVar("portcall_current_attempt", default=None)
"""None outside of jobs."""
