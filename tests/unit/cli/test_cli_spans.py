"""Spans of time on the command line."""

import click
import pytest

from portcall.cli.options import seconds, span


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("90", 90), ("0.5", 0.5), ("90s", 90), ("5m", 300), (" 2h ", 7_200), ("1.5d", 129_600), ("1w", 604_800)],
)
def test_spans_are_seconds_or_have_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_numbers_of_a_settings_file_are_seconds() -> None:
    assert seconds(2) == 2.0
    assert span(0.25) == 0.25


@pytest.mark.parametrize("text", ["", "m", "soon", "-1", "-5m", "5x", "5 minutes", "nan", "inf", "infd", "1e999"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a span of time, as in 90, 5m, 2h or 7d"):
        seconds(text)


@pytest.mark.parametrize("text", ["0", "0m"])
def test_nothing_is_no_span_where_there_has_to_be_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not above 0 seconds"):
        span(text)
