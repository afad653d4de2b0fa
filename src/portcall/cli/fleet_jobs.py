"""The jobs of the fleet, as `portcall fleet ls` shows them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.table import Table

from portcall.cli.output import table
from portcall.core.durations import duration
from portcall.protos.portcall.v1.fleet_pb2 import MethodJobs


class JobColumn(NamedTuple):
    """A column of the table of jobs."""

    heading: str
    text: Callable[[MethodJobs], str]


def _counted(count: int) -> str:
    return f"{count:,}" if count else "-"


COLUMNS = (
    JobColumn("JOBS OF", lambda jobs: jobs.method.removeprefix("/")),
    JobColumn("READY", lambda jobs: _counted(jobs.ready)),
    JobColumn("OLDEST", lambda jobs: duration(jobs.oldest_s) if jobs.ready else "-"),
    JobColumn("RUNNING", lambda jobs: _counted(jobs.running)),
    JobColumn("RETRYING", lambda jobs: _counted(jobs.retrying)),
    JobColumn("LATER", lambda jobs: _counted(jobs.scheduled + jobs.waiting)),
    JobColumn("FAILED", lambda jobs: _counted(jobs.failed)),
    JobColumn("LAST HOUR", lambda jobs: _counted(jobs.failed_lately)),
)


def jobs_table(methods: Sequence[MethodJobs]) -> Table | None:
    """Return a table of the methods that have jobs to do, or some that failed; None if there is none."""
    shown = [jobs for jobs in methods if any(column.text(jobs) != "-" for column in COLUMNS[1:])]
    if not shown:
        return None
    made = table(*(column.heading for column in COLUMNS))
    for jobs in shown:
        made.add_row(*(column.text(jobs) for column in COLUMNS))
    return made


def jobs_as_json(methods: Sequence[MethodJobs]) -> list[dict[str, object]]:
    """Return all that is known of them."""
    return [{field.name: getattr(jobs, field.name) for field in MethodJobs.DESCRIPTOR.fields} for jobs in methods]
