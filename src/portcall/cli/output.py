"""How commands print: to a terminal with tables that fit it, elsewhere plain lines that programs can cut."""

from collections.abc import Container

from rich.console import Console
from rich.table import Table

WIDTH_ELSEWHERE = 1_000
"""Nobody folds what goes to a file or a program."""


def console(*, stderr: bool = False) -> Console:
    """Return stdout, or stderr. Colours and widths are the terminal's; NO_COLOR is respected."""
    screen = Console(highlight=False, markup=False, emoji=False, stderr=stderr)
    if not screen.is_terminal:
        screen.width = WIDTH_ELSEWHERE
    return screen


def table(*headings: str, right: Container[int] = ()) -> Table:
    """Return a table without lines, with a column for each heading; those of numbers are set to the right."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, heading in enumerate(headings):
        made.add_column(heading, justify="right" if index in right else "left", overflow="fold")
    return made


def fits(screen: Console, made: Table) -> bool:
    """Whether a table can be shown with no cell folded."""
    return screen.measure(made, options=screen.options.update_width(WIDTH_ELSEWHERE)).maximum <= screen.width
