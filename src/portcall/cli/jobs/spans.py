"""Times and spans as people write them: 90, 5m, 2h, 7d; 2026-11-22T10:00."""

import re
from datetime import datetime

import click

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)")


def span(text: object) -> float:
    """Read a span of time in seconds; s, m, h, d and w are units. A type for `click.option`."""
    found = _SPAN.fullmatch(str(text).strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is not a span of time, as in 90, 5m, 2h or 7d")
    return float(found[1]) * _UNITS[found[2] or "s"]


def moment(text: object) -> float:
    """Read a time in seconds since 1970: ISO 8601, local unless it names a zone. A type for `click.option`."""
    try:
        return datetime.fromisoformat(str(text).strip()).timestamp()
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time, as in 2026-11-22T10:00 or 2026-11-22T10:00:00Z") from None


def number(text: object) -> int:
    """Read the number of an event. A type for `click.option`."""
    if not str(text).isdecimal():
        raise click.BadParameter(f"{text!r} is not a whole number, 0 or more")
    return int(str(text))


def label(text: str) -> tuple[str, str]:
    """Read NAME=VALUE. A type for `click.option`."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value
