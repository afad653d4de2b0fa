"""How results are shown: on the terminal, as JSON, and as the table in the documentation."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rows import Row

COLUMNS = ("what", "how", "figure", "median", "min … max", "ratio", "bar", "")
BEGIN = "<!-- python -m bench --markdown: begin -->"
END = "<!-- python -m bench --markdown: end -->"
WIDTH = 180
"""Of the table, where standard output is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the figures were taken on."""

    processor: str
    cores: int
    system: str
    python: str
    grpcio: str
    protobuf: str
    portcall: str

    def __str__(self) -> str:
        return (
            f"{self.processor}, {self.cores} cores, {self.system}; Python {self.python}, grpcio {self.grpcio},"
            f" protobuf {self.protobuf}, portcall {self.portcall}"
        )


def this_machine() -> Machine:
    """Return what can be learnt about this machine."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        grpcio=version("grpcio"),
        protobuf=version("protobuf"),
        portcall=version("portcall"),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def note(words: str) -> None:
    """Say on standard error what is being done."""
    print(words, file=sys.stderr, flush=True)


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows; on a terminal, in colour."""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    table = Table(title=str(this_machine()), title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in ("median", "min … max", "ratio", "bar") else "left")
    case = ""
    for row in rows:
        if case and row.case != case:
            table.add_section()
        style = {True: "green", False: "bold red", None: None}[row.has_passed]
        table.add_row(*_cells(row, is_new_case=row.case != case), style=style)
        case = row.case
    console.print(table)


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write every value of every round."""
    document = {
        "machine": str(this_machine()),
        "rows": [
            {
                "group": row.group,
                "case": row.case,
                "contender": row.contender,
                "figure": row.figure,
                "unit": row.unit,
                "values": row.values,
                "median": row.median,
                "ratio": row.ratio,
                "bars": [str(bar) for bar in row.bars],
                "errors": row.errors,
                "has_passed": row.has_passed,
            }
            for row in rows
        ],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write_markdown(rows: Sequence[Row], path: Path, command: str) -> None:
    """Put the table between the two markers of a document.

    Raises:
        ValueError: the document has no such place.
    """
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the table: it needs the lines {BEGIN!r} and {END!r}")
    lines = [f"`{command}` on {this_machine()}:", "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
    case = ""
    for row in rows:
        lines.append(_line(_cells(row, is_new_case=row.case != case)))
        case = row.case
    path.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row, *, is_new_case: bool) -> tuple[str, ...]:
    spread = f"{_number(min(row.values))} … {_number(max(row.values))}" if len(row.values) > 1 else ""
    return (
        row.case if is_new_case else "",
        row.contender,
        row.figure,
        f"{_number(row.median)} {row.unit}",
        spread,
        "" if row.ratio is None else f"{row.ratio:.2f}x",
        " and ".join(str(bar) for bar in row.bars),
        _verdict(row),
    )


def _verdict(row: Row) -> str:
    if row.errors:
        return f"FAIL: {row.errors:,} calls"
    return {True: "pass", False: "FAIL", None: ""}[row.has_passed]


def _number(value: float) -> str:
    """Return a number with three digits, or all of those before the point."""
    places = 0 if value == int(value) else max(0, 3 - len(str(int(abs(value)))))
    return f"{value:,.{places}f}"
