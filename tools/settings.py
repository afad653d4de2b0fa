"""Write the table of all settings into the docs, or with `--check` say that it is stale."""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby

import click
from marked import put

from portcall.cli.main import cli
from portcall.cli.options import connect
from portcall.cli.settings.setting import CONNECT, Place, places_below

HEADINGS = ("key", "option", "variable", "default", "says")


def places() -> Iterator[Place]:
    """Yield every setting once, table by table."""
    ctx = click.Context(cli)
    yield from places_below(connect, (), ctx)
    seen = set()
    for place in places_below(cli, (), ctx):
        if place.table != CONNECT and place.setting.variable not in seen:
            seen.add(place.setting.variable)
            yield place


def row(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def described(place: Place) -> str:
    """Return the row of a setting."""
    setting = place.setting
    shape = "" if setting.is_flag else f" {setting.metavar}"
    cells = (f"`{setting.key}`", f"`{setting.flag}{shape}`", f"`{setting.variable}`", setting.said, setting.words)
    return row(cells)


def tables() -> str:
    """Return the settings of each table under a heading of its own."""
    parts = []
    for table, members in groupby(places(), lambda place: place.table):
        lines = [f"### `[{table}]`", "", row(HEADINGS), row("---" for _ in HEADINGS), *map(described, members)]
        parts.append("\n".join(lines))
    return "\n\n".join(["", *parts, ""])


if __name__ == "__main__":
    sys.exit(put({"configuration.md": {"settings": tables()}}, about=__doc__, script=__file__))
