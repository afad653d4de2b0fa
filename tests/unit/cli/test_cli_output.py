"""How values are printed."""

import io

import pytest
from rich.console import Console

from portcall.cli.demo.progress import Lines
from portcall.cli.output import fits, table
from portcall.core.durations import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m 00s"),
        (3_599, "59m 59s"),
        (3_600, "1h 00m"),
        (86_399, "23h 59m"),
        (86_400, "1d 00h"),
        (100 * 86_400 + 5 * 3_600, "100d 05h"),
    ],
)
def test_duration_shows_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("document_count", "lines"), [(1, 1), (3, 3), (10, 10), (11, 10), (12_345, 10)])
def test_plain_progress_takes_ten_lines_at_most_and_tells_the_end(document_count: int, lines: int) -> None:
    out = io.StringIO()
    with Lines(Console(file=out, width=100)) as show:
        show.begin(document_count)
        for _ in range(document_count):
            show.advance("somebody")
    said = out.getvalue().splitlines()
    assert len(said) == lines
    assert said[-1] == f"{document_count} of {document_count} documents"


@pytest.mark.parametrize(("width", "is_fitting"), [(8, False), (13, False), (14, True), (200, True)])
def test_table_fits_where_no_cell_has_to_be_folded(width: int, is_fitting: bool) -> None:
    made = table("NAME", "STATE")
    made.add_row("crane-1", "ready")
    assert fits(Console(file=io.StringIO(), width=width), made) is is_fitting
