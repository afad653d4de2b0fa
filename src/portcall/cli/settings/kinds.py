"""Which TOML values a setting takes."""

from datetime import date, datetime, time
from typing import Any, Final, NamedTuple

import click

from portcall.cli.settings.setting import Setting


class Kind(NamedTuple):
    """A kind of TOML values."""

    types: tuple[type, ...]
    words: str
    """What to write, for those who have written something else."""


BOOLEAN: Final = Kind((bool,), "true or false")
WHOLE_NUMBER: Final = Kind((int,), "a whole number, without quotes")
NUMBER: Final = Kind((int, float), "a number, without quotes")
SECONDS: Final = Kind((int, float, str), 'a number of seconds, or a span in quotes, as in "5m"')
STRING: Final = Kind((str,), "a string, in quotes")

BY_TYPE: Final = {
    "seconds": SECONDS,
    "span": SECONDS,
    "hub_place": STRING,
    "count": WHOLE_NUMBER,
    "size": Kind((int, str), 'a number of bytes, or a size in quotes, as in "512M"'),
    "image_name": Kind((str,), "the name of an image, in quotes"),
    "platforms": Kind((str,), 'platforms in quotes, as in "linux/amd64,linux/arm64"'),
    "process_count": Kind((int, str), 'a whole number, or "auto"'),
    "integer": WHOLE_NUMBER,
    "integer range": WHOLE_NUMBER,
    "float": NUMBER,
    "float range": NUMBER,
    "boolean": BOOLEAN,
}
"""Kinds by the names of click's types; those of our own are named after their functions."""

NAMES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "true or false"),
    (str, "a string"),
    (int, "a whole number"),
    (float, "a number"),
    (list, "an array"),
    (dict, "a table"),
    (datetime, "a date and time"),
    (date, "a date"),
    (time, "a time"),
)
"""What TOML's values are called. The first that fits: a bool is an int to Python, and a datetime a date."""


def kind_of(setting: Setting) -> Kind:
    """Return what a setting takes; of one that takes several, each."""
    if setting.is_flag:
        return BOOLEAN
    if isinstance(setting.type, click.Choice):
        return Kind((str,), "one of " + ", ".join(f'"{choice}"' for choice in setting.type.choices))
    return BY_TYPE.get(setting.type.name, STRING)


def fits(kind: Kind, value: Any) -> bool:
    """Whether a TOML value is of a kind. True and false are no numbers."""
    return isinstance(value, kind.types) and (bool in kind.types or not isinstance(value, bool))


def name_of(value: Any) -> str:
    """Return what a TOML value is."""
    return next(name for kind, name in NAMES if isinstance(value, kind))
