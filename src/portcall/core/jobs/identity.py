"""Ids of jobs: 63 bits, of which the upper 41 are the time of submission.

So ids sort as jobs were submitted, and new jobs land at the end of a store's tables, where it is cheap. And a store
that was set back to a backup does not give the id of a lost job to another one, as a plain counter would.
"""

from collections.abc import Sequence

from portcall.errors import PortcallError
from portcall.protos.job_ids import ALPHABET, TEXT_LENGTH, id_text

__all__ = ["BadJobIdError", "IdSequence", "first_id_at", "id_text", "parse_id", "parse_ids", "submitted_at"]

EPOCH_S = 1_735_689_600
"""The beginning of 2025; 41 bits of milliseconds last until 2094."""

COUNTER_BITS = 22

_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}

_PAIR_VALUES = {first + second: high << 5 | low for first, high in _VALUES.items() for second, low in _VALUES.items()}


_DIGITS = bytearray(b"!" * 256)
"""From our letters to the digits that `int` knows in base 32; whatever else there is becomes what it does not know."""
for _letter, _digit in zip(ALPHABET, b"0123456789abcdefghijklmnopqrstuv", strict=True):
    _DIGITS[ord(_letter)] = _DIGITS[ord(_letter.upper())] = _digit
_DIGITS[ord(",")] = ord(",")


class BadJobIdError(PortcallError):
    """A text is not the id of a job. Blames the caller."""


class IdSequence:
    """Gives ids that rise, whatever the clock does."""

    __slots__ = ("_last", "_now")

    def __init__(self, last: int) -> None:
        self._last = last
        self._now = 0.0

    def next(self, now: float) -> int:
        """Return the next id."""
        return self.take(1, now)[0]

    def take(self, count: int, now: float) -> range:
        """Return the next ids."""
        first = self._last + 1
        if now != self._now:
            self._now = now
            first = max(first, int((now - EPOCH_S) * 1_000) << COUNTER_BITS)
        self._last = first + count - 1
        return range(first, first + count)


def parse_id(text: str) -> int:
    """Return the id that a text stands for.

    Raises:
        BadJobIdError: it stands for none; the message shows it.
    """
    lowered, pairs = text.lower(), _PAIR_VALUES
    try:
        # Two letters at a time, since ids are read by the ten thousand each second.
        job = (
            _VALUES[lowered[0]] << 60
            | pairs[lowered[1:3]] << 50
            | pairs[lowered[3:5]] << 40
            | pairs[lowered[5:7]] << 30
            | pairs[lowered[7:9]] << 20
            | pairs[lowered[9:11]] << 10
            | pairs[lowered[11:]]
        )
    except (KeyError, IndexError):
        words = f"{text[:40]!r} is not the id of a job: it should be {TEXT_LENGTH} letters and digits"
        raise BadJobIdError(words) from None
    if job >= 1 << 63:
        raise BadJobIdError(f"{text!r} is not the id of a job: it is beyond the last one")
    return job


def parse_ids(texts: Sequence[str]) -> list[int]:
    """Return the ids that texts stand for.

    Raises:
        BadJobIdError: one of them stands for none; the message shows it.
    """
    try:
        # All at once, since ids are read by the ten thousand each second.
        parts = ",".join(texts).encode("ascii").translate(_DIGITS).split(b",")
        jobs = [int(part, 32) for part in parts]
    except ValueError:
        jobs = []
    if len(jobs) == len(texts) and set(map(len, texts)) == {TEXT_LENGTH} and max(jobs) < 1 << 63:
        return jobs
    return [parse_id(text) for text in texts]


def submitted_at(job: int) -> float:
    """Return the time that an id tells; a little late where many were submitted within a millisecond."""
    return (job >> COUNTER_BITS) / 1_000 + EPOCH_S


def first_id_at(at: float) -> int:
    """Return the lowest id that a job submitted at this time or later can have."""
    return max(0, int((at - EPOCH_S) * 1_000)) << COUNTER_BITS
