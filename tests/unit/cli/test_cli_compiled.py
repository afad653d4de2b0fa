"""How the compiler's words are shown."""

import pytest

from portcall.cli.compiled import LINE_CELLS_MAX, show_diagnostics
from portcall.contract.protoc import Diagnostic, Severity

LONG = "message " + "A" * 300


def shown(capsys: pytest.CaptureFixture[str], source: str, column: int) -> list[str]:
    diagnostic = Diagnostic(severity=Severity.ERROR, words="No.", path="a.proto", line=3, column=column, source=source)
    show_diagnostics([diagnostic])
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == f"a.proto:3:{column}: error: No."
    return rest


@pytest.mark.parametrize(
    ("source", "column", "expected"),
    [
        ("message A {", 9, ["  message A {", "          ^"]),
        ("message A {", 1, ["  message A {", "  ^"]),
        ("message A", 10, ["  message A", "           ^"]),
        ("\tmessage A", 2, ["          message A", "          ^"]),
        ("a\tb", 3, ["  a       b", "          ^"]),
        ("항구 x", 4, ["  항구 x", "       ^"]),
        (LONG, 1, [f"  {LONG[:LINE_CELLS_MAX]}", "  ^"]),
        (LONG, 290, [f"  {LONG[289 - LINE_CELLS_MAX // 2 :]}", f"  {' ' * (LINE_CELLS_MAX // 2)}^"]),
    ],
)
def test_mark_stands_below_the_place(
    capsys: pytest.CaptureFixture[str], source: str, column: int, expected: list[str]
) -> None:
    assert shown(capsys, source, column) == expected


def test_place_may_be_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    show_diagnostics(
        [
            Diagnostic(severity=Severity.WARNING, words="Old."),
            Diagnostic(severity=Severity.ERROR, words="Gone.", path="a.proto"),
        ]
    )
    assert capsys.readouterr().err == "warning: Old.\na.proto: error: Gone.\n"
