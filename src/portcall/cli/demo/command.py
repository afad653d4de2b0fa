"""`portcall demo`."""

import asyncio
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import grpc
from rich.console import Console

from portcall.cli.demo.chaos import Chaos, Reckoning, reckon
from portcall.cli.demo.children import Children
from portcall.cli.demo.example import Example, load_example
from portcall.cli.demo.fleet import DemoFleet
from portcall.cli.demo.progress import Show, show_on
from portcall.cli.demo.tables import summary, tables
from portcall.cli.ending import exit_code_of, stop_signals
from portcall.cli.exits import FailedError
from portcall.cli.fleet import list_workers
from portcall.cli.options import as_json, count
from portcall.cli.output import console
from portcall.client import Channel
from portcall.errors import ConfigurationError
from portcall.wire.access import Access, resolve_access

WORKERS_MAX = 64
"""Each is a process, and all are on this machine."""

ATTACH_S = 120.0
"""How long the workers may take to attach. One that dies is noticed at once, so this is for machines that are busy."""

ATTACH_POLL_S = 0.05

OUT_DEFAULT = Path("portcall-demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a demo is to do."""

    root: Path | None
    documents_max: int
    worker_count: int
    is_chaotic: bool
    run: str
    """Names the run among others of the hub's jobs."""

    @property
    def subject(self) -> str:
        """Return what is mined, in words."""
        return "Python's standard library" if self.root is None else str(self.root)


@click.command(
    epilog="""\b
Examples:
  portcall demo                                mine Python's standard library
  portcall demo --input ~/texts --workers 4    mine a directory
  portcall demo --chaos                        kill a worker and the hub
  portcall demo --limit 50 --json              figures and the report's place"""
)
@click.option(
    "--input",
    "root",
    type=click.Path(exists=True, file_okay=False, readable=True, path_type=Path),
    metavar="DIR",
    help="The documents: text, Markdown, HTML and source code, English or Korean. [default: Python's standard library]",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    default=OUT_DEFAULT,
    help=f"Where to write report.html and result.json, over those of an earlier run. [default: {OUT_DEFAULT}]",
)
@click.option(
    "--workers",
    "worker_count",
    type=count,
    metavar="N",
    default=2,
    help=f"How many workers, {WORKERS_MAX} at most. [default: 2]",
)
@click.option("--limit", type=count, metavar="N", help="Mine so many documents at most. [default: all]")
@click.option(
    "--chaos",
    "is_chaotic",
    is_flag=True,
    help="Kill a worker and the hub in the middle, and show that each document was counted exactly once.",
)
@as_json
def demo(
    *, root: Path | None, out: Path, worker_count: int, limit: int | None, is_chaotic: bool, is_json: bool
) -> None:
    """See a fleet at work: mine documents on this machine.

    Starts a hub and workers as processes of their own, on a free port that only this machine reaches, and has them find
    out what a body of documents is about; each document is a job of the hub's. Writes a report, and leaves no process
    behind.
    """
    if worker_count > WORKERS_MAX:
        raise click.BadParameter(f"{worker_count} is too much; {WORKERS_MAX} is the most", param_hint="'--workers'")
    example = load_example()
    _make_folder(out)
    screen = console()
    plan = Plan(
        root=None if root is None else root.resolve(),
        documents_max=limit or 0,
        worker_count=worker_count,
        is_chaotic=is_chaotic,
        run=f"demo {os.getpid()}",
    )
    result, reckoning = asyncio.run(_run(plan, example, Show() if is_json else show_on(screen)))
    try:
        paths = example.report.write(result, out)
    except OSError as error:
        raise FailedError(f"cannot write to {out}: {error.strerror}. Choose another place with --out") from None
    if is_json:
        figures = summary(result, *paths)
        click.echo(json.dumps(figures | ({"chaos": asdict(reckoning)} if reckoning else {}), ensure_ascii=False))
    else:
        _print_result(screen, result, *paths)
        if reckoning is not None:
            screen.print()
            screen.print(reckoning.table())
            screen.print()
        screen.print(f"The code of this demo, an ordinary Portcall project: {example.folder}", soft_wrap=True)


async def _run(plan: Plan, example: Example, show: Show) -> tuple[Any, Reckoning | None]:
    """Run the demo until it is done or a signal comes, which makes it exit with that signal's code."""
    with stop_signals() as signalled:
        work = asyncio.get_running_loop().create_task(_mine(plan, example, show))
        both: list[asyncio.Future[Any]] = [work, signalled]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise click.exceptions.Exit(exit_code_of(signalled.result()))
        return work.result()


async def _mine(plan: Plan, example: Example, show: Show) -> tuple[Any, Reckoning | None]:
    """Start a fleet, mine on it and stop it."""
    with tempfile.TemporaryDirectory(prefix="portcall-demo-") as folder:
        async with Children() as children:
            show.say(f"Mining {plan.subject} with a hub and {_counted(plan.worker_count, 'worker')}")
            fleet = DemoFleet(children, example.folder / "app.py", Path(folder) / "jobs.db")
            await fleet.start_hub()
            show.say(f"Hub on {fleet.address}: process {fleet.hub.pid}")
            for number in range(1, plan.worker_count + 1):
                await fleet.start_worker(number)
                show.say(f"Worker {number}: process {fleet.workers[number].pid}")
            return await children.unless_one_dies(_mine_on(fleet, plan, example, show))


async def _mine_on(fleet: DemoFleet, plan: Plan, example: Example, show: Show) -> tuple[Any, Reckoning | None]:
    """Mine on a fleet, as soon as all workers are there."""
    # What the environment says of some other hub is not for this one.
    access = resolve_access(fleet.address, tls=False, environ={})
    await _wait_for_workers(access, plan.worker_count)
    options = example.results.MiningOptions(
        root="" if plan.root is None else str(plan.root),
        documents_max=plan.documents_max,
        run=plan.run,
        is_staged=plan.is_chaotic,
    )
    progress = _Progress(plan, example, show, Chaos(fleet, show, is_wanted=plan.is_chaotic))
    async with Channel(fleet.address, tls=False) as channel:
        killing = asyncio.get_running_loop().create_task(progress.chaos.run()) if plan.is_chaotic else None
        try:
            with show:
                result = await example.client.mine(channel, options, progress)
            if killing is None:
                return result, None
            await killing
        except grpc.aio.AioRpcError as error:
            raise FailedError(f"mining failed with {error.code().name}: {error.details()}") from None
        finally:
            if killing is not None:
                killing.cancel()
                await asyncio.wait([killing])
    extracted = len(result.documents)
    figures = {"documents": extracted + len(result.unmined), "extracted": extracted, "counted": progress.counted}
    return result, await reckon(access, plan.run, **figures)


class _Progress:
    """Shows what the example reports."""

    def __init__(self, plan: Plan, example: Example, show: Show, chaos: Chaos) -> None:
        self._plan, self._results, self._show = plan, example.results, show
        self.chaos = chaos
        self.counted = 0
        """Documents that the counting worker has counted."""

    def __call__(self, event: Any) -> None:
        """Take one step of the mining."""
        if isinstance(event, self._results.Listed):
            if not event.document_count:
                raise ConfigurationError(
                    f"there are no documents in {self._plan.subject}, by the names of files: no text, Markdown, HTML"
                    " or source code. Choose another directory with --input"
                )
            self._show.begin(event.document_count)
            self.chaos.begin(event.document_count)
        elif isinstance(event, self._results.Extracted):
            self._show.advance(event.worker)
            self.chaos.advance()
        elif isinstance(event, self._results.Counted):
            self.counted = event.document_count


async def _wait_for_workers(access: Access, worker_count: int) -> None:
    """Wait until the fleet is complete, so that all workers have their share even of a few documents."""
    try:
        async with asyncio.timeout(ATTACH_S):
            # A fleet can be asked, not watched.
            while len(await asyncio.to_thread(list_workers, access)) < worker_count:  # noqa: ASYNC110
                await asyncio.sleep(ATTACH_POLL_S)
    except TimeoutError:
        raise FailedError(f"the workers have not attached within {ATTACH_S:g} s. Is this machine busy?") from None


def _make_folder(out: Path) -> None:
    """Make the report's folder before the work, rather than learn after it that it cannot be.

    Raises:
        ConfigurationError: it cannot be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make {out}: {error.strerror}. Choose another place with --out") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise ConfigurationError(f"cannot write to {out}: permission denied. Choose another place with --out")


def _print_result(screen: Console, result: Any, json_path: Path, html_path: Path) -> None:
    for made in tables(result):
        screen.print()
        screen.print(made)
    screen.print(f"\nMined {_counted(len(result.documents), 'document')} in {result.elapsed_s:.1f} s.")
    if result.unmined:
        screen.print(f"{_counted(len(result.unmined), 'document')} without terms; the report says why.")
    screen.print(f"Report: {html_path.resolve()}\nAs JSON: {json_path.resolve()}", soft_wrap=True)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
