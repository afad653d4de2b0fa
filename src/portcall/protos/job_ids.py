"""Ids of jobs as texts: how people, programs and other languages see them. Hub and workers write them alike."""

from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that looks like a digit, and in the order of the characters."""

TEXT_LENGTH: Final = 13


_PAIRS: Final = [first + second for first in ALPHABET for second in ALPHABET]


def id_text(job: int) -> str:
    """Return an id as people and other languages see it."""
    # Two letters at a time, since ids are written by the ten thousand each second.
    pairs = _PAIRS
    return (
        f"{ALPHABET[job >> 60]}{pairs[job >> 50 & 1023]}{pairs[job >> 40 & 1023]}{pairs[job >> 30 & 1023]}"
        f"{pairs[job >> 20 & 1023]}{pairs[job >> 10 & 1023]}{pairs[job & 1023]}"
    )
