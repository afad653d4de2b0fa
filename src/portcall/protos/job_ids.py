"""Ids of jobs as texts: how people, programs and other languages see them. Hub and workers write them alike."""

from functools import lru_cache
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that looks like a digit, and in the order of the characters."""

TEXT_LENGTH: Final = 13


_PAIRS: Final = [first + second for first in ALPHABET for second in ALPHABET]


def id_text(job: int) -> str:
    """Return an id as people and other languages see it."""
    # Ids are written by the ten thousand each second: two letters at a time, and what neighbours share only once.
    return f"{_upper_text(job >> 20)}{_PAIRS[job >> 10 & 1023]}{_PAIRS[job & 1023]}"


@lru_cache(maxsize=256)
def _upper_text(upper: int) -> str:
    """Return the letters of all but the last 20 bits."""
    pairs = _PAIRS
    return f"{ALPHABET[upper >> 40]}{''.join(pairs[upper >> shift & 1023] for shift in (30, 20, 10, 0))}"
