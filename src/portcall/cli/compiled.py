"""How what the compiler says and does is shown, by the commands that compile."""

from collections.abc import Iterable
from pathlib import Path

import click
from rich.cells import cell_len
from rich.text import Text

from portcall.cli.output import console
from portcall.contract.compile import Compilation, Update
from portcall.contract.protoc import TAB_COLUMNS, Diagnostic, Severity
from portcall.errors import ConfigurationError

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}

LINE_CELLS_MAX = 160
"""A longer line of source is shown in part."""


def show_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """Print what the compiler says to stderr, each with its line and a mark below the place."""
    screen = console(stderr=True)
    for diagnostic in diagnostics:
        style = STYLES[diagnostic.severity]
        words = Text.assemble(_place(diagnostic), (diagnostic.severity.value, style), f": {diagnostic.words}")
        if diagnostic.source:
            line, mark = _excerpt(diagnostic)
            words.append(f"\n  {line}\n  ").append(mark, style)
        screen.print(words, soft_wrap=True)


def check_compiled(compilation: Compilation) -> None:
    """Show what the compiler says.

    Raises:
        ConfigurationError: there were errors.
    """
    show_diagnostics(compilation.diagnostics)
    if compilation.is_failed:
        raise ConfigurationError("the .proto files have errors (above); nothing was written")


def say_update(update: Update) -> None:
    """Print what was written and removed, and what is left over."""
    out = update.compilation.out
    for path in update.written:
        click.echo(f"wrote {shown(out, path)}")
    for path in update.removed:
        click.echo(f"removed {shown(out, path)}")
    for path, name in update.difference.left_over.items():
        if path not in update.removed:
            click.echo(f"left over: {shown(out, path)}, made from {name}; --prune removes it", err=True)
    for name in update.compilation.sources.left_to_packages:
        click.echo(f"left out: {name}; its code comes with an installed package", err=True)
    sources = counted(len(update.compilation.sources.names), ".proto file")
    click.echo(f"{sources} compiled into {out}: {_counts(update)}")


def shown(out: Path, path: str) -> str:
    """Return a file of the output folder as the user would write it."""
    return str(out / path)


def counted(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number} {noun if number == 1 else f'{noun}s'}"


def _counts(update: Update) -> str:
    counts = {
        "written": len(update.written),
        "unchanged": len(update.difference.unchanged),
        "removed": len(update.removed),
    }
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count or words != "removed")


def _place(diagnostic: Diagnostic) -> str:
    if not diagnostic.path:
        return ""
    return f"{diagnostic.path}:{f'{diagnostic.line}:{diagnostic.column}:' if diagnostic.line else ''} "


def _excerpt(diagnostic: Diagnostic) -> tuple[str, str]:
    """Return the line, or the part of it around the place, and a line with the mark."""
    before = diagnostic.source[: diagnostic.column - 1].expandtabs(TAB_COLUMNS)
    line = diagnostic.source.expandtabs(TAB_COLUMNS).rstrip()
    start = max(0, len(before) - LINE_CELLS_MAX // 2) if len(line) > LINE_CELLS_MAX else 0
    cut = line[start : start + LINE_CELLS_MAX]
    return cut, " " * cell_len(before[start:]) + "^"
