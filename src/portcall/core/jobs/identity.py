"""Ids of jobs: 63 bits, of which the upper 41 are the time of submission.

So ids sort as jobs were submitted, and new jobs land at the end of a store's tables, where it is cheap. And a store
that was set back to a backup does not give the id of a lost job to another one, as a plain counter would.
"""

from portcall.errors import PortcallError
from portcall.protos.job_ids import ALPHABET, TEXT_LENGTH, id_text

__all__ = ["BadJobIdError", "IdSequence", "first_id_at", "id_text", "parse_id", "submitted_at"]

EPOCH_S = 1_735_689_600
"""The beginning of 2025; 41 bits of milliseconds last until 2094."""

COUNTER_BITS = 22

_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}


class BadJobIdError(PortcallError):
    """A text is not the id of a job. Blames the caller."""


class IdSequence:
    """Gives ids that rise, whatever the clock does."""

    __slots__ = ("_last",)

    def __init__(self, last: int) -> None:
        self._last = last

    def next(self, now: float) -> int:
        """Return the next id."""
        self._last = job_id = max(self._last + 1, int((now - EPOCH_S) * 1_000) << COUNTER_BITS)
        return job_id


def parse_id(text: str) -> int:
    """Return the id that a text stands for.

    Raises:
        BadJobIdError: it stands for none; the message shows it.
    """
    lowered = text.lower()
    if len(lowered) != TEXT_LENGTH or not _VALUES.keys() >= set(lowered):
        raise BadJobIdError(f"{text[:40]!r} is not the id of a job: it should be {TEXT_LENGTH} letters and digits")
    job = 0
    for letter in lowered:
        job = job << 5 | _VALUES[letter]
    if job >= 1 << 63:
        raise BadJobIdError(f"{text!r} is not the id of a job: it is beyond the last one")
    return job


def submitted_at(job: int) -> float:
    """Return the time that an id tells; a little late where many were submitted within a millisecond."""
    return (job >> COUNTER_BITS) / 1_000 + EPOCH_S


def first_id_at(at: float) -> int:
    """Return the lowest id that a job submitted at this time or later can have."""
    return max(0, int((at - EPOCH_S) * 1_000)) << COUNTER_BITS
