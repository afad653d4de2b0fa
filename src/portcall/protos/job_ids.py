"""Ids of jobs as texts: how people, programs and other languages see them. Hub and workers write them alike."""

from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that looks like a digit, and in the order of the characters."""

TEXT_LENGTH: Final = 13


def id_text(job: int) -> str:
    """Return an id as people and other languages see it."""
    return "".join([ALPHABET[job >> shift & 31] for shift in range(60, -5, -5)])
