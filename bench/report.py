"""How results are shown: on the terminal, as JSON, and as the table in the documentation."""

import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.rows import Row

COLUMNS = ("what", "how", "figure", "median", "min … max", "ratio", "bar", "")
SECTION = re.compile(r"^<!-- bench: (?P<groups>[a-z -]+) -->\n.*?^<!-- bench: end -->$", re.MULTILINE | re.DOTALL)
"""Where a document has the table of some groups."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is kept of a row."""

    group: str
    case: str
    contender: str
    figure: str
    unit: str
    values: Sequence[float]
    ratio: float | None
    bars: Sequence[str]
    errors: int
    has_passed: bool | None

    @property
    def median(self) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was measured in one run, by which command, and on what. No path of the machine is in it."""

    command: str
    machine: str
    results: Sequence[Result]


def run_of(command: str, rows: Sequence[Row]) -> Run:
    """Return a run on this machine."""
    results = [
        Result(
            group=row.group,
            case=row.case,
            contender=row.contender,
            figure=row.figure,
            unit=row.unit,
            values=row.values,
            ratio=row.ratio,
            bars=[str(bar) for bar in row.bars],
            errors=row.errors,
            has_passed=row.has_passed,
        )
        for row in rows
    ]
    return Run(command=command, machine=str(this_machine()), results=results)


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


def print_table(run: Run) -> None:
    """Print the results; on a terminal, in colour."""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    table = Table(title=run.machine, title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in ("median", "min … max", "ratio", "bar") else "left")
    case = ""
    for result in run.results:
        if case and result.case != case:
            table.add_section()
        style = {True: "green", False: "bold red", None: None}[result.has_passed]
        table.add_row(*_cells(result, is_new_case=result.case != case), style=style)
        case = result.case
    console.print(table)


def write_json(run: Run, path: Path) -> None:
    """Write every value of every round."""
    rows = [asdict(result) | {"median": result.median} for result in run.results]
    document = {"command": run.command, "machine": run.machine, "rows": rows}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Run:
    """Return what `write_json` has written."""
    document = json.loads(path.read_text())
    names = {field.name for field in fields(Result)}
    results = [Result(**{name: row[name] for name in names}) for row in document["rows"]]
    return Run(command=document["command"], machine=document["machine"], results=results)


def write_markdown(run: Run, path: Path) -> None:
    """Put the tables of the groups that were measured into a document, each where its section is.

    Raises:
        ValueError: the document has no section for a group.
    """
    text = path.read_text()
    wanted = {result.group for result in run.results}
    placed = {group for section in SECTION.finditer(text) for group in section["groups"].split()}
    if missing := wanted - placed:
        raise ValueError(
            f"{path} has no place for {', '.join(sorted(missing))}: it needs the lines"
            f" '<!-- bench: {min(missing)} -->' and '<!-- bench: end -->'"
        )
    path.write_text(SECTION.sub(lambda section: _section(run, section), text))


def _section(run: Run, section: re.Match[str]) -> str:
    """Return a section with the run's figures, or as it is if the run has none of its groups."""
    groups = section["groups"].split()
    found = [result for group in groups for result in run.results if result.group == group]
    if not found:
        return section[0]
    lines = [f"`{run.command}` on {run.machine}:", "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
    case = ""
    for result in found:
        lines.append(_line(_cells(result, is_new_case=result.case != case)))
        case = result.case
    return "\n".join([f"<!-- bench: {section['groups']} -->", *lines, "<!-- bench: end -->"])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Result, *, is_new_case: bool) -> tuple[str, ...]:
    spread = f"{_number(min(row.values))} … {_number(max(row.values))}" if len(row.values) > 1 else ""
    return (
        row.case if is_new_case else "",
        row.contender,
        row.figure,
        f"{_number(row.median)} {row.unit}",
        spread,
        "" if row.ratio is None else f"{row.ratio:.2f}x",
        " and ".join(row.bars),
        _verdict(row),
    )


def _verdict(row: Result) -> str:
    if row.errors:
        return f"FAIL: {row.errors:,} calls"
    return {True: "pass", False: "FAIL", None: ""}[row.has_passed]


def _number(value: float) -> str:
    """Return a number with three digits, or all of those before the point."""
    places = 0 if value == int(value) else max(0, 3 - len(str(int(abs(value)))))
    return f"{value:,.{places}f}"
