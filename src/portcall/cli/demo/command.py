"""`portcall demo`."""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import grpc
from rich.console import Console

from portcall.cli.demo.children import Children
from portcall.cli.demo.example import Example, load_example
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

WORKER_OPTIONS = ("--slots", "8", "--grace", "1")
"""Few slots, so that documents are shared out while they are mined and not all at once before; but the example needs 3.
"""

WORKERS_MAX = 64
"""Each is a process, and all are on this machine."""

ATTACH_S = 30.0
"""How long the workers may take to attach."""

ATTACH_POLL_S = 0.05

OUT_DEFAULT = Path("portcall-demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a demo is to do."""

    root: Path | None
    documents_max: int
    worker_count: int

    @property
    def subject(self) -> str:
        """Return what is mined, in words."""
        return "Python's standard library" if self.root is None else str(self.root)


@click.command(
    epilog="""\b
Examples:
  portcall demo                                mine Python's standard library
  portcall demo --input ~/texts --workers 4    mine a directory
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
@as_json
def demo(*, root: Path | None, out: Path, worker_count: int, limit: int | None, is_json: bool) -> None:
    """See a fleet at work: mine documents on this machine.

    Starts a hub and workers as processes of their own, on a free port that only this machine reaches, and has them find
    out what a body of documents is about. Writes a report, and leaves no process behind.
    """
    if worker_count > WORKERS_MAX:
        raise click.BadParameter(f"{worker_count} is too much; {WORKERS_MAX} is the most", param_hint="'--workers'")
    example = load_example()
    _make_folder(out)
    screen = console()
    plan = Plan(root=None if root is None else root.resolve(), documents_max=limit or 0, worker_count=worker_count)
    result = asyncio.run(_run(plan, example, Show() if is_json else show_on(screen)))
    try:
        paths = example.report.write(result, out)
    except OSError as error:
        raise FailedError(f"cannot write to {out}: {error.strerror}. Choose another place with --out") from None
    if is_json:
        click.echo(json.dumps(summary(result, *paths), ensure_ascii=False))
    else:
        _print_result(screen, result, *paths)
        screen.print(f"The code of this demo, an ordinary Portcall project: {example.folder}", soft_wrap=True)


async def _run(plan: Plan, example: Example, show: Show) -> Any:
    """Run the demo until it is done or a signal comes, which makes it exit with that signal's code."""
    with stop_signals() as signalled:
        work = asyncio.get_running_loop().create_task(_mine(plan, example, show))
        await asyncio.wait([work, signalled], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise click.exceptions.Exit(exit_code_of(signalled.result()))
        return work.result()


async def _mine(plan: Plan, example: Example, show: Show) -> Any:
    """Start a fleet, mine on it and stop it."""
    async with Children() as children:
        show.say(f"Mining {plan.subject} with a hub and {_counted(plan.worker_count, 'worker')}")
        hub = await children.start("The hub", ["hub", "--listen", "127.0.0.1:0", "--drain", "1", "--json"])
        address: str = json.loads(await hub.line())["address"]
        show.say(f"Hub on {address}: process {hub.pid}")
        app = str(example.folder / "app.py")
        for number in range(1, plan.worker_count + 1):
            worker = await children.start(f"Worker {number}", ["worker", app, "--hub", address, *WORKER_OPTIONS])
            show.say(f"Worker {number}: process {worker.pid}")
        return await children.unless_one_dies(_mine_on(address, plan, example, show))


async def _mine_on(address: str, plan: Plan, example: Example, show: Show) -> Any:
    """Mine on the fleet of a hub, as soon as all workers are there."""
    # What the environment says of some other hub is not for this one.
    await _wait_for_workers(resolve_access(address, tls=False, environ={}), plan.worker_count)
    options = example.results.MiningOptions(
        root="" if plan.root is None else str(plan.root), documents_max=plan.documents_max
    )
    async with Channel(address, tls=False) as channel:
        with show:
            try:
                return await example.client.mine(channel, options, _Progress(plan, example, show))
            except grpc.aio.AioRpcError as error:
                raise FailedError(f"mining failed with {error.code().name}: {error.details()}") from None


class _Progress:
    """Shows what the example reports."""

    def __init__(self, plan: Plan, example: Example, show: Show) -> None:
        self._plan, self._results, self._show = plan, example.results, show

    def __call__(self, event: Any) -> None:
        """Take one step of the mining."""
        if isinstance(event, self._results.Listed):
            if not event.document_count:
                raise ConfigurationError(
                    f"there are no documents in {self._plan.subject}, by the names of files: no text, Markdown, HTML"
                    " or source code. Choose another directory with --input"
                )
            self._show.begin(event.document_count)
        elif isinstance(event, self._results.Extracted):
            self._show.advance(event.worker)


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
