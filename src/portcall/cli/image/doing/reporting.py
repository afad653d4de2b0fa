"""How `portcall image` shows what takes long: bars on a terminal, plain lines elsewhere; always on stderr."""

import sys
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from portcall.cli.image.doing.bars import Bars

LINES_OF = 4
"""How often a transfer is told of where there is no terminal: at each quarter."""

LINES_FROM_BYTES = 1 << 23
"""What is smaller is not told of there."""


class PlainProgress:
    """Lines, for logs."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is under way."""

    def step(self, words: str) -> None:
        """Say what begins."""
        click.echo(words, err=True)

    def moved(self, what: str, done: int, total: int) -> None:
        """Say it for every quarter of what is large."""
        quarter = LINES_OF * done // total if total else LINES_OF
        if total >= LINES_FROM_BYTES and quarter > self._told.get(what, 0):
            self._told[what] = quarter
            click.echo(f"{what}: {done >> 20} of {total >> 20} MiB", err=True)


def progress_of_command() -> "Bars | PlainProgress":
    """Return what fits stderr."""
    if not sys.stderr.isatty():
        return PlainProgress()
    from portcall.cli.image.doing.bars import Bars  # noqa: PLC0415  # takes long to import, and scripts need none

    return Bars()


def amount(count: int) -> str:
    """Write a size for people, as in 41.3 MB; powers of 1000, as registries show them."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1_000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} GB"
