"""`portcall fleet`."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click
import grpc
from rich.table import Table

from portcall.cli.connection import no_hub
from portcall.cli.exits import FailedError
from portcall.cli.fleet_jobs import jobs_as_json, jobs_table
from portcall.cli.nearest import NamingGroup
from portcall.cli.options import as_json, hub_access
from portcall.cli.output import console, fits, table
from portcall.core.durations import duration
from portcall.errors import ConfigurationError, PortcallError
from portcall.protos.portcall.v1.fleet_pb2 import ListWorkersReply, ListWorkersRequest, Refusals, WorkerStatus
from portcall.protos.portcall.v1.link_pb2 import ProcessStatus
from portcall.wire.access import Access
from portcall.wire.diagnosis import explain
from portcall.wire.native import open_channel

DIGITS_SHOWN = 12
"""Of digests and commits."""

ANSWER_S = 5.0
"""How long a hub may take to answer."""


class Column(NamedTuple):
    """A column of the table of workers."""

    heading: str
    text: Callable[[WorkerStatus], str]
    is_essential: bool = True
    is_of_jobs: bool = False
    """Shown where the hub keeps jobs."""


@click.group(cls=NamingGroup, invoke_without_command=True)
@click.pass_context
def fleet(ctx: click.Context) -> None:
    """Look at the fleet."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@fleet.command(
    epilog="""\b
Examples:
  portcall fleet ls
  portcall fleet ls --json | jq -r '.workers[].name'"""
)
@hub_access
@as_json
def ls(*, access: Access, is_json: bool) -> None:
    """List the workers of the hub, and its jobs.

    A worker is ready, draining (it finishes its calls and takes no new ones) or suspended (its connection dropped, and
    it may come back and go on). IMAGE is the digest of its image if whoever started it has said that (PORTCALL_IMAGE),
    else the build that 'portcall image inspect' shows; COMMIT has a * where the tree had changes. PROCESSES is for
    workers with a supervisor: how many it has, and how many of these are starting, draining or blocked (they live and
    do not answer). RUNNING counts what the worker runs, JOBS how many of that are jobs; ENDED counts the calls that it
    has ended, UP the time since it came. A terminal that is too narrow for all columns gets those that matter most;
    --json has all.

    Below are the jobs, by method: READY wait for a slot or a limit, the OLDEST for so long; RETRYING wait for their
    next attempt, LATER for their time or for other jobs. FAILED are kept for 'portcall jobs retry', those of the LAST
    HOUR were counted since the hub started.
    """
    target = access.target
    fleet = ask_fleet(access)
    refusals = {field.name: getattr(fleet.refusals, field.name) for field in Refusals.DESCRIPTOR.fields}
    if is_json:
        click.echo(json.dumps({"hub": target, **_fleet_as_json(fleet), "refusals": refusals}, indent=2))
        return
    if fleet.workers:
        _print_table(fleet)
    else:
        click.echo(f"No workers on the hub at {target}\nStart one:  portcall worker app:worker --hub {target}")
    _print_jobs(fleet)
    if any(refusals.values()):
        counts = ", ".join(f"{count} {name.upper()}" for name, count in refusals.items() if count)
        click.echo(f"Refused since the hub started: {counts}. Its log says whom")


def list_workers(access: Access) -> Sequence[WorkerStatus]:
    """Ask a hub for its workers; see `ask_fleet`."""
    return ask_fleet(access).workers


def ask_fleet(access: Access) -> ListWorkersReply:
    """Ask a hub for its fleet.

    Raises:
        FailedError: it does not answer.
        ConfigurationError: what answers there is not a hub, or wants another token.
    """
    with open_channel(access) as channel:
        ask = channel.unary_unary(
            "/portcall.v1.Fleet/ListWorkers",
            request_serializer=ListWorkersRequest.SerializeToString,
            response_deserializer=ListWorkersReply.FromString,
        )
        try:
            return ask(ListWorkersRequest(), timeout=ANSWER_S)
        except grpc.RpcError as error:
            raise _explained(access, error) from None


def _explained(access: Access, error: Any) -> PortcallError:
    target = access.target
    match error.code():
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return ConfigurationError(explain(access, error.code(), error.details()))
        case grpc.StatusCode.UNAVAILABLE:
            return no_hub(access, error.details())
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return FailedError(f"the hub at {target} has not answered within {ANSWER_S:g} s. Look at its log")
        case grpc.StatusCode.UNIMPLEMENTED:
            return ConfigurationError(
                f"what answers at {target} is not a Portcall hub (UNIMPLEMENTED: {error.details()}). Correct --hub"
            )
        case code:
            return FailedError(f"the hub at {target} answered {code.name}: {error.details()}. Look at its log")


def _state(worker: WorkerStatus) -> str:
    return WorkerStatus.State.Name(worker.state).removeprefix("STATE_").lower()


def process_state(process: ProcessStatus) -> str:
    """Return a state in words."""
    value = ProcessStatus.State.DESCRIPTOR.values_by_number.get(process.state)
    return value.name.removeprefix("STATE_").lower() if value is not None else "unspecified"


def processes(reported: Sequence[ProcessStatus]) -> str:
    """Say how many processes a worker has, and how many of them are not ready; "-" if it has not said."""
    if not reported:
        return "-"
    states = Counter(process_state(process) for process in reported)
    others = ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if state != "ready")
    return f"{len(reported)} ({others})" if others else str(len(reported))


def image(name: str) -> str:
    """Shorten what an image is known by; "-" if the worker is in none that it knows."""
    kind, _, digits = name.rpartition("@")[2].partition(":")
    return f"{kind}:{digits[:DIGITS_SHOWN]}" if digits else name or "-"


def commit(revision: str) -> str:
    """Shorten a revision; a * says that the tree had more than that."""
    digits, _, dirty = revision.partition("-")
    return digits[:DIGITS_SHOWN] + ("*" if dirty else "") if digits else "-"


COLUMNS = (
    Column("NAME", lambda worker: worker.name),
    Column("STATE", _state),
    Column("HOST", lambda worker: worker.host),
    Column("PID", lambda worker: str(worker.pid)),
    Column("OS", lambda worker: worker.os, is_essential=False),
    Column("PYTHON", lambda worker: worker.python, is_essential=False),
    Column("IMAGE", lambda worker: image(worker.image), is_essential=False),
    Column("COMMIT", lambda worker: commit(worker.revision), is_essential=False),
    Column("PROCESSES", lambda worker: processes(worker.processes)),
    Column("SLOTS", lambda worker: str(worker.slots)),
    Column("RUNNING", lambda worker: str(worker.running)),
    Column("JOBS", lambda worker: str(worker.jobs), is_of_jobs=True),
    Column("ENDED", lambda worker: str(worker.ended)),
    Column("UP", lambda worker: duration(worker.attached_s)),
    Column("SERVICES", lambda worker: "\n".join(worker.services)),
)


def _fleet_as_json(fleet: ListWorkersReply) -> dict[str, object]:
    jobs = {"keeps_jobs": fleet.keeps_jobs, "jobs": jobs_as_json(fleet.jobs), "jobs_fault": fleet.jobs_fault}
    return {"workers": [_as_json(worker) for worker in fleet.workers], **jobs}


def _as_json(worker: WorkerStatus) -> dict[str, object]:
    values = {field.name: getattr(worker, field.name) for field in WorkerStatus.DESCRIPTOR.fields}
    return values | {
        "state": _state(worker),
        "services": list(worker.services),
        "processes": [_process_as_json(process) for process in worker.processes],
    }


def _process_as_json(process: ProcessStatus) -> dict[str, object]:
    values = {field.name: getattr(process, field.name) for field in ProcessStatus.DESCRIPTOR.fields}
    return values | {"state": process_state(process)}


def _print_table(fleet: ListWorkersReply) -> None:
    """Print all columns if they fit, else those that one cannot do without."""
    screen = console()
    columns = [column for column in COLUMNS if fleet.keeps_jobs or not column.is_of_jobs]
    wide = _table(fleet.workers, columns)
    is_fitting = fits(screen, wide)
    screen.print(wide if is_fitting else _table(fleet.workers, [column for column in columns if column.is_essential]))


def _print_jobs(fleet: ListWorkersReply) -> None:
    if fleet.jobs_fault:
        click.echo(f"\nHow many jobs wait cannot be told: {fleet.jobs_fault}")
    jobs = jobs_table(fleet.jobs)
    if jobs is not None:
        click.echo()
        console().print(jobs)


def _table(workers: Sequence[WorkerStatus], columns: Sequence[Column]) -> Table:
    made = table(*(column.heading for column in columns))
    for worker in workers:
        made.add_row(*(column.text(worker) for column in columns))
    return made
