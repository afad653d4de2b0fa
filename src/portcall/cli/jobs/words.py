"""What options of jobs say: times as in 2026-11-22T10:00, numbers of events, labels."""

from datetime import datetime

import click


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
