"""`portcall jobs wait` and `portcall jobs events`: what follows jobs until they end."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click
import grpc
from rich.console import Console
from rich.status import Status

from portcall.cli.call.printing import is_terminal, printable
from portcall.cli.exits import EXIT_DONE, EXIT_STATUS
from portcall.cli.jobs.asking import HubSide, explained, no_such_jobs, opened, read_ids, run
from portcall.cli.jobs.payloads import Payloads
from portcall.cli.jobs.telling import (
    clock,
    event_json,
    event_line,
    job_json,
    progress_words,
    state_name,
    status_words,
)
from portcall.cli.jobs.words import number
from portcall.cli.options import as_json, hub_access, seconds
from portcall.client.jobs.errors import HubLostError
from portcall.client.jobs.keeper import JobKeeper
from portcall.client.jobs.telling import Progressed, event_of
from portcall.contract.documents import encode
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.access import Access

OK = 0
NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]
EXIT_TIME_UP = EXIT_STATUS + int(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])


def say_lost(error: HubLostError) -> None:
    """Say that the hub is lost, to somebody who waits for what it tells."""
    click.echo(f"portcall: {printable(error.details() or '')}. Going on when it is back", err=True)


# --- wait -------------------------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  portcall jobs wait 0ddqk2w8g0000
  portcall jobs wait 0ddqk2w8g0000 0ddqk2w8g0001 --timeout 60
  portcall jobs submit pkg.Service/Method @requests.jsonl -q | portcall jobs wait -

\b
Exit codes: 0 if all jobs succeeded; else 64 and the number of the status of
the first that did not, as 'portcall call' has them (68 if the time was up)."""
)
@hub_access
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option("--timeout", type=seconds, metavar="S", help="Give up waiting after this long. The jobs go on.")
@as_json
def wait(*, access: Access, ids: Sequence[str], timeout: float | None, is_json: bool) -> int:
    """Wait until jobs have ended, and print their replies.

    Waiting goes on through restarts of the hub. Of one job that succeeded the reply is printed, as 'portcall call'
    does it; of several a line for each, as they end. On a terminal, progress is shown meanwhile. ID may be -: ids are
    read from standard input.
    """
    return run(waited(access, read_ids(ids), timeout, is_json=is_json))


async def waited(access: Access, ids: Sequence[str], timeout_s: float | None, *, is_json: bool) -> int:
    """Wait for jobs and print what becomes of them; return the exit code."""
    async with opened(access) as hub:
        report = Report(hub, ids, is_json=is_json)
        try:
            async with asyncio.timeout(timeout_s):
                with report.progress:
                    await _wait(hub, ids, report)
        except TimeoutError:
            left = (
                f"job {ids[0]} has" if len(ids) == 1 else f"{len(ids) - report.ended_count:,} of {len(ids):,} jobs have"
            )
            they_go = "it goes" if len(ids) == 1 else "they go"
            click.echo(f"portcall: error: {left} not ended within {timeout_s:g} s; {they_go} on", err=True)
            return EXIT_TIME_UP
        if report.missing:
            raise no_such_jobs(report.missing)
        return EXIT_STATUS + report.failed_first if report.failed_first else EXIT_DONE


async def _wait(hub: HubSide, ids: Sequence[str], report: "Report") -> None:
    """Take jobs as they end, beginning anew with the others when the hub is lost."""
    keeper = JobKeeper(hub.access)
    watching = asyncio.create_task(_show_progress(keeper, ids[0], report)) if len(ids) == 1 else None
    try:
        async for job in keeper.ends(ids, on_lost=report.lost):
            with report.aside():
                await report.take(job)
    except grpc.aio.AioRpcError as error:
        raise explained(hub.access, error) from None
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])
        await keeper.close()


async def _show_progress(keeper: JobKeeper, job_id: str, report: "Report") -> None:
    with suppress(grpc.aio.AioRpcError):
        async for event in keeper.events(job_id, 0):
            report.say(progress_words(event) if isinstance(event, Progressed) else event_line(event))


class Report:
    """Prints jobs as they end, and on a terminal how far they are."""

    def __init__(self, hub: HubSide, ids: Sequence[str], *, is_json: bool) -> None:
        self._jobs = hub.jobs
        self._payloads = Payloads(hub.directory)
        self._is_json = is_json
        self._is_one = len(ids) == 1
        self._count = len(ids)
        self.ended_count = 0
        self.failed_first = OK
        self.missing: list[str] = []
        self.progress = Status("waiting", console=Console(stderr=True, quiet=not sys.stderr.isatty()))

    def say(self, words: str) -> None:
        """Show how far it is."""
        self.progress.update(words)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take what is shown out of the way of what is printed."""
        self.progress.stop()
        yield
        if self.ended_count < self._count:
            self.progress.start()

    def lost(self, error: HubLostError) -> None:
        """Say that the hub is lost, and that it is waited for."""
        with self.aside():
            say_lost(error)

    async def take(self, job: pb.Job) -> None:
        """Take a job that has ended."""
        self.ended_count += 1
        if not job.state and job.status == NOT_FOUND:
            self.missing.append(job.id)
            return
        self.failed_first = self.failed_first or job.status
        self.say(f"{self.ended_count:,} of {self._count:,} jobs have ended")
        if self._is_json:
            await self._print_json(job)
        elif not self._is_one:
            told = status_words(job.status, job.details)
            click.echo(f"{job.id}  {state_name(job.state)}" + (f"  {told}" if told else ""))
        elif job.status:
            told = status_words(job.status, job.details)
            click.echo(f"portcall: error: job {job.id} {state_name(job.state)}: {told}", err=True)
        else:
            await self._print_reply(job)

    async def _print_reply(self, job: pb.Job) -> None:
        if await self._payloads.is_streaming(job.method):
            async for stored in self._jobs.read_replies(pb.ReadRepliesRequest(id=job.id)):
                click.echo(encode((await self._payloads.reply(job.method, stored.message)).value))
            return
        payload = await self._payloads.reply(job.method, job.reply)
        if payload.problem:
            click.echo(f"The reply in base64, since {payload.problem}", err=True)
        click.echo(encode(payload.value, is_pretty=is_terminal()))

    async def _print_json(self, job: pb.Job) -> None:
        told: dict[str, Any] = job_json(job)
        told = {name: told[name] for name in ("id", "method", "state", "attempt", "status", "details")}
        if not job.status and not await self._payloads.is_streaming(job.method):
            payload = await self._payloads.reply(job.method, job.reply)
            told |= {"reply_base64": payload.value} if payload.problem else {"reply": payload.value}
        click.echo(json.dumps(told, ensure_ascii=False))


# --- events -----------------------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  portcall jobs events 0ddqk2w8g0000
  portcall jobs events 0ddqk2w8g0000 --json | tee events.jsonl
  portcall jobs events 0ddqk2w8g0000 --after 1048580    go on behind that one"""
)
@hub_access
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option(
    "--after",
    type=number,
    metavar="NUMBER",
    default=0,
    help="Leave out the events up to this number.",
)
@as_json
def events(*, access: Access, ids: Sequence[str], after: int, is_json: bool) -> int:
    """Print what happens to jobs until they have ended.

    That is their states, attempts, progress and log lines, from the beginning on. With --json an event is a line, and
    has the number that --after takes. ID may be -: ids are read from standard input.
    """
    return run(_events(access, read_ids(ids), after, is_json=is_json))


async def _events(access: Access, ids: Sequence[str], after: int, *, is_json: bool) -> int:
    async with opened(access) as hub:
        known: pb.GetReply = await hub.jobs.get(pb.GetRequest(ids=ids))
        if missing := sorted(set(ids) - {job.id for job in known.jobs}):
            raise no_such_jobs(missing)
        async for message in _watched(hub.access, ids, after):
            event = event_of(message)
            if event is None:
                continue
            if is_json:
                click.echo(event_json(message.job, event))
            else:
                job = f"{message.job}  " if len(ids) > 1 else ""
                click.echo(f"{clock(event.at)}  {job}{event_line(event)}")
    return EXIT_DONE


async def _watched(access: Access, ids: Sequence[str], after: int) -> AsyncIterator[pb.Event]:
    keeper = JobKeeper(access)
    try:
        async for message in keeper.watched(dict.fromkeys(ids, after), on_lost=say_lost):
            yield message
    except grpc.aio.AioRpcError as error:
        raise explained(access, error) from None
    finally:
        await keeper.close()
