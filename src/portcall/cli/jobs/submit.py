"""`portcall jobs submit`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click
from google.protobuf.descriptor import MethodDescriptor

from portcall.cli.call.completing import complete_name
from portcall.cli.call.metadata import metadatum
from portcall.cli.call.printing import failure_json, method_name, printable
from portcall.cli.call.requests import Requests, find_source
from portcall.cli.exits import EXIT_DONE, EXIT_STATUS
from portcall.cli.jobs.asking import ANSWER_S, opened, run
from portcall.cli.jobs.following import waited
from portcall.cli.jobs.words import label, moment
from portcall.cli.options import Decorator, as_json, count, hub_access, seconds, span
from portcall.client.jobs.errors import SubmitError
from portcall.client.jobs.handles import Job
from portcall.client.jobs.keeper import JobKeeper
from portcall.client.jobs.methods import JobMethod
from portcall.client.jobs.submitting import SubmitOptions
from portcall.errors import ConfigurationError
from portcall.wire.access import Access

ON_DUPLICATE = ("return", "retry", "refuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is to be printed."""

    is_waiting: bool
    is_quiet: bool
    is_json: bool


_JOB_OPTIONS: tuple[Decorator, ...] = (
    click.option("--priority", type=int, metavar="N", help="-100 to 100; those with the highest start first."),
    click.option(
        "--label", "labels", multiple=True, type=label, metavar="NAME=VALUE", help="To find it by; may be repeated."
    ),
    click.option(
        "-H",
        "--metadata",
        multiple=True,
        type=metadatum,
        metavar="'KEY: VALUE'",
        help="Metadata for the handler; may be repeated. The value of a -bin key is base64.",
    ),
    click.option("--attempts", type=count, metavar="N", help="How often it may fail before it does for good."),
    click.option("--attempt-timeout", type=span, metavar="SPAN", help="How long an attempt may run."),
    click.option("--keep", type=seconds, metavar="SPAN", help="How long to keep it after it has ended."),
)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what can be said of a job, wherever it comes from."""
    for option in reversed(_JOB_OPTIONS):
        command = option(command)
    return command


def submit_options(given: dict[str, Any]) -> SubmitOptions:
    """Return what those options and others of the same names say."""
    known = {name: value for name, value in given.items() if value is not None and value != ()}
    if "labels" in known:
        known["labels"] = dict(known["labels"])
    options: SubmitOptions = {}
    options.update(known)  # type: ignore[typeddict-item]  # the names are those of the parameters
    return options


@click.command(
    epilog="""\b
Examples:
  portcall jobs submit greet.Greeter/SayHello '{"name": "Ada"}' --wait
  portcall jobs submit crawl.Crawler/Crawl '{"url": "..."}' --key today --delay 5m
  portcall jobs submit crawl.Crawler/Crawl @urls.jsonl --label run=7 -q > ids
  portcall jobs wait - < ids

\b
Exit codes: as 'portcall call' has them, of a job that is refused; and with
--wait, of a job that does not succeed."""
)
@hub_access
@click.argument("name", metavar="SERVICE/METHOD", shell_complete=complete_name)
@click.argument("request", metavar="[REQUEST]", required=False)
@click.option("--key", metavar="KEY", help="A name that no other job of the method has while this one is kept.")
@click.option(
    "--on-duplicate",
    type=click.Choice(ON_DUPLICATE),
    metavar="WHAT",
    help="If there is a job with the key: return it, retry it if it failed, or refuse this one.",
)
@click.option("--delay", type=seconds, metavar="SPAN", help="Not before this long from now, as in 90, 5m, 2h or 7d.")
@click.option("--at", type=moment, metavar="TIME", help="Not before this time, as in 2026-11-22T10:00.")
@click.option("--after", multiple=True, metavar="ID", help="A job that has to succeed first; may be repeated.")
@job_options
@click.option("--wait", "is_waiting", is_flag=True, help="Wait until they have ended; see portcall jobs wait.")
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Print the ids alone, for other commands to read.")
@as_json
def submit(
    *,
    access: Access,
    name: str,
    request: str | None,
    key: str | None,
    is_waiting: bool,
    is_quiet: bool,
    is_json: bool,
    **given: Any,
) -> int:
    """Submit jobs: calls that the hub stores, and runs until they end.

    REQUEST is JSON as for 'portcall call', @FILE, or - for standard input. Documents that follow one another become a
    job each. It returns when the hub has the jobs on disk.
    """
    wishes = Wishes(is_waiting=is_waiting, is_quiet=is_quiet, is_json=is_json)
    return run(_submit(access, name, request, key, submit_options(given), wishes))


async def _submit(
    access: Access, name: str, request: str | None, key: str | None, options: SubmitOptions, wishes: Wishes
) -> int:
    submitted = await _submitted(access, name, request, key, options)
    code = EXIT_DONE
    for job in submitted:
        if isinstance(job, SubmitError):
            code = code or EXIT_STATUS + int(job.code().value[0])
            _say_refused(name, job, is_json=wishes.is_json)
        elif not wishes.is_waiting:
            _say_stored(job, wishes)
    ids = [job.id for job in submitted if isinstance(job, Job)]
    if not wishes.is_waiting or not ids:
        return code
    return await waited(access, ids, None, is_json=wishes.is_json) or code


async def _submitted(
    access: Access, name: str, request: str | None, key: str | None, options: SubmitOptions
) -> Sequence[Job[Any] | SubmitError]:
    """Submit what there is; return what became of each."""
    async with opened(access) as hub:
        method = await hub.directory.method(name)
        check_is_job(method)
        requests = Requests(hub.directory, method, find_source(request, is_stream=False))
        bodies = [body async for body in requests.each()] or [await requests.one()]
        if key is not None and len(bodies) > 1:
            raise ConfigurationError(f"--key names one job, and there are {len(bodies):,} requests")
        keeper = JobKeeper(access)
        jobs = JobMethod(keeper, Job, f"/{method_name(method)}", None, None)
        try:
            return await jobs.submitter(key=key, step=None, timeout_s=ANSWER_S, options=options).send_all(bodies)
        finally:
            await keeper.close()


def check_is_job(method: MethodDescriptor) -> None:
    """Refuse a method whose calls cannot be jobs.

    Raises:
        ConfigurationError: its requests are a stream.
    """
    if method.client_streaming:
        raise ConfigurationError(f"{method_name(method)} takes a stream of requests; a job has one request")


def _say_stored(job: Job[Any], wishes: Wishes) -> None:
    if wishes.is_json:
        click.echo(json.dumps({"id": job.id, "existed": job.existed}))
    else:
        click.echo(f"{job.id}  was there already" if job.existed and not wishes.is_quiet else job.id)


def _say_refused(name: str, error: SubmitError, *, is_json: bool) -> None:
    if is_json:
        click.echo(failure_json(error.code().value[0], error.details() or ""), err=True)
    else:
        words = printable(error.details() or "")
        click.echo(f"portcall: error: no job of {name} was stored: {error.code().name}: {words}", err=True)
