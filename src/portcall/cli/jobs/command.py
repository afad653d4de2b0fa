"""`portcall jobs`: the group, and the commands that look at jobs and end them."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from portcall.cli.call.completing import complete_name
from portcall.cli.call.printing import printable
from portcall.cli.exits import EXIT_DONE
from portcall.cli.jobs.asking import ANSWER_S, HubSide, listed, no_such_jobs, opened, parts, read_ids, run
from portcall.cli.jobs.following import events, wait
from portcall.cli.jobs.payloads import Payload, Payloads
from portcall.cli.jobs.submit import submit
from portcall.cli.jobs.telling import (
    STATES,
    attempt_json,
    attempt_line,
    has_ended,
    job_json,
    job_table,
    metadata_texts,
    state_name,
    when,
    why,
)
from portcall.cli.jobs.words import moment
from portcall.cli.options import as_json, count, hub_access, seconds
from portcall.cli.output import console
from portcall.contract.documents import encode
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.access import Access

LIMIT_DEFAULT = 50
CHILDREN_SHOWN = 20


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  portcall jobs submit greet.Greeter/SayHello '{"name": "Ada"}' --wait
  portcall jobs ls --state failed --newer 1h
  portcall jobs show 0ddqk2w8g0000
  portcall jobs ls --state failed -q | portcall jobs retry -""",
)
@click.pass_context
def jobs(ctx: click.Context) -> None:
    """Submit jobs, look at them, wait for them, end them.

    A job is a call that the hub stores before it acknowledges it, and runs until it ends. The hub needs a store:
    portcall hub --store FILE.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


jobs.add_command(submit)
jobs.add_command(wait)
jobs.add_command(events)


# --- ls ---------------------------------------------------------------------------------------------------------------


@jobs.command(
    epilog="""\b
Examples:
  portcall jobs ls --state running --state ready
  portcall jobs ls --method crawl.Crawler/Crawl --label site=example.org
  portcall jobs ls --state succeeded --older 7d -q | portcall jobs purge -
  portcall jobs ls --limit 1000 --json | jq -r '.jobs[] | [.id, .state] | @tsv'"""
)
@hub_access
@click.option("--method", metavar="SERVICE/METHOD", default="", help="Of this method.", shell_complete=complete_name)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    metavar="STATE",
    help=f"In this state, or one of these: {', '.join(STATES)}.",
)
@click.option("--key", metavar="KEY", default="", help="With this key.")
@click.option("--label", metavar="NAME[=VALUE]", default="", help="With this label.")
@click.option("--parent", metavar="ID", default="", help="Children of this job.")
@click.option(
    "--newer", type=seconds, metavar="SPAN", help="Submitted no longer ago than this, as in 90, 5m, 2h or 7d."
)
@click.option("--older", type=seconds, metavar="SPAN", help="Submitted longer ago than this.")
@click.option("--since", type=moment, metavar="TIME", help="Submitted at this time or later.")
@click.option("--until", type=moment, metavar="TIME", help="Submitted before this time.")
@click.option("--limit", type=count, metavar="N", default=LIMIT_DEFAULT, help="So many at most. [default: 50]")
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Print the ids alone, for other commands to read.")
@click.option("--payloads", "with_payloads", is_flag=True, help="With --json: add requests and replies.")
@as_json
def ls(
    *,
    access: Access,
    method: str,
    states: Sequence[str],
    key: str,
    label: str,
    parent: str,
    newer: float | None,
    older: float | None,
    since: float | None,
    until: float | None,
    limit: int,
    is_quiet: bool,
    with_payloads: bool,
    is_json: bool,
) -> int:
    """List jobs, the newest first.

    All that is given has to match. WHY says what a job waits for, or what its last attempt ended with.
    """
    if with_payloads and not is_json:
        raise click.UsageError("--payloads goes with --json; portcall jobs show has them for people")
    now = time.time()
    after = [at for at in (since, None if newer is None else now - newer) if at is not None]
    before = [at for at in (until, None if older is None else now - older) if at is not None]
    name, sign, value = label.partition("=")
    question = pb.ListRequest(
        method=method and full_name(method),
        states=[f"JOB_STATE_{state.upper()}" for state in states],
        key=key,
        parent=parent,
        label=name,
        label_value=value if sign else None,
        submitted_after=max(after, default=0.0),
        submitted_before=min(before, default=0.0),
        with_replies=with_payloads,
        with_requests=with_payloads,
    )
    return run(_ls(access, question, limit, is_quiet=is_quiet, is_json=is_json))


def full_name(method: str) -> str:
    """Return /SERVICE/METHOD, of one that may be written SERVICE.METHOD as well, as for `portcall call`."""
    service, _, name = method.removeprefix("/").rpartition("/" if "/" in method[1:] else ".")
    return f"/{service}/{name}"


async def _ls(access: Access, question: pb.ListRequest, limit: int, *, is_quiet: bool, is_json: bool) -> int:
    async with opened(access) as hub:
        found, has_more = await listed(hub, question, limit)
        if is_quiet:
            for job in found:
                click.echo(job.id)
        elif is_json:
            payloads = Payloads(hub.directory)
            told = [await _whole_json(job, payloads) if question.with_requests else job_json(job) for job in found]
            click.echo(json.dumps({"hub": access.target, "jobs": told, "has_more": has_more}, indent=2))
        elif found:
            console().print(job_table(found))
            if has_more:
                click.echo(f"There are more than these {len(found):,}; --limit N shows them", err=True)
        else:
            is_filtered = question != pb.ListRequest()
            click.echo(f"No {'such jobs' if is_filtered else 'jobs'} on the hub at {access.target}")
            if not is_filtered:
                click.echo("Submit one:  portcall jobs submit SERVICE/METHOD '{...}'")
    return EXIT_DONE


# --- show -------------------------------------------------------------------------------------------------------------


@jobs.command(
    epilog="""\b
Examples:
  portcall jobs show 0ddqk2w8g0000
  portcall jobs show 0ddqk2w8g0000 --json | jq .reply"""
)
@hub_access
@click.argument("ids", metavar="ID...", nargs=-1)
@as_json
def show(*, access: Access, ids: Sequence[str], is_json: bool) -> int:
    """Show all of a job: request, reply, attempts, children.

    Requests and replies are shown as JSON, by the contract that the fleet's workers bring, or as base64 while no worker
    brings one.
    """
    return run(_show(access, read_ids(ids), is_json=is_json))


async def _show(access: Access, ids: Sequence[str], *, is_json: bool) -> int:
    async with opened(access) as hub:
        payloads = Payloads(hub.directory)
        told: list[dict[str, Any]] = []
        for number, job_id in enumerate(ids):
            question = pb.GetRequest(ids=[job_id], with_requests=True, with_attempts=True)
            reply: pb.GetReply = await hub.jobs.get(question, timeout=ANSWER_S)
            if not reply.jobs:
                raise no_such_jobs([job_id])
            children, has_more = await listed(hub, pb.ListRequest(parent=job_id), CHILDREN_SHOWN)
            if is_json:
                attempts = [attempt_json(attempt) for attempt in reply.attempts]
                whole = await _whole_json(reply.jobs[0], payloads)
                told.append(whole | {"attempts": attempts, "children": [child.id for child in children]})
                continue
            if number:
                click.echo()
            await _print_job(reply.jobs[0], list(reply.attempts), children, payloads, has_more=has_more)
        if is_json:
            click.echo(json.dumps({"hub": access.target, "jobs": told}, indent=2, ensure_ascii=False))
    return EXIT_DONE


async def _whole_json(job: pb.Job, payloads: Payloads) -> dict[str, Any]:
    """Return a job with its payloads for programs."""
    told = job_json(job) | {"trailers": metadata_texts(job.trailers)}
    shown = {"request": await payloads.request(job.method, job.request)}
    if job.state == pb.JOB_STATE_SUCCEEDED and not await payloads.is_streaming(job.method):
        shown["reply"] = await payloads.reply(job.method, job.reply)
    for name, payload in shown.items():
        told |= {f"{name}_base64": payload.value} if payload.problem else {name: payload.value}
    return told


async def _print_job(
    job: pb.Job, attempts: list[pb.Attempt], children: list[pb.Job], payloads: Payloads, *, has_more: bool
) -> None:
    for name, text in _facts(job):
        if text:
            click.echo(f"{name + ':':<11}{text}")
    for attempt in attempts:
        click.echo(f"{'attempt:':<11}{attempt_line(attempt)}")
    for child in children:
        step = f"  step {printable(child.step)}" if child.step else ""
        click.echo(f"{'child:':<11}{child.id}  {child.method.removeprefix('/')}  {state_name(child.state)}{step}")
    if has_more:
        click.echo(f"{'':<11}and more: portcall jobs ls --parent {job.id}")
    _print_payload("request", await payloads.request(job.method, job.request))
    if job.state != pb.JOB_STATE_SUCCEEDED:
        return
    if await payloads.is_streaming(job.method):
        click.echo(f"{'replies:':<11}{job.replies:,} stored; portcall jobs wait {job.id} prints them")
    else:
        _print_payload("reply", await payloads.reply(job.method, job.reply))


def _facts(job: pb.Job) -> list[tuple[str, str]]:
    labels = ", ".join(f"{printable(name)}={printable(value)}" for name, value in sorted(job.labels.items()))
    counted = f"{job.attempt}" + (f", {job.failures} failed" if job.failures else "")
    counted += f", {job.deaths} of these with their worker" if job.deaths else ""
    return [
        ("id", job.id),
        ("method", job.method.removeprefix("/")),
        ("state", state_name(job.state)),
        ("why", why(job)),
        ("key", printable(job.key)),
        ("parent", job.parent + (f", step {printable(job.step)}" if job.step else "")),
        ("labels", labels),
        ("priority", str(job.priority) if job.priority else ""),
        ("value", printable(job.value)),
        ("attempts", counted if job.attempt else ""),
        ("worker", printable(job.worker)),
        ("submitted", when(job.submitted_at)),
        ("due", when(job.due_at) if job.due_at > job.submitted_at + 1 else ""),
        ("started", when(job.started_at) if job.started_at else ""),
        ("ended", when(job.ended_at) if job.ended_at and has_ended(job) else ""),
        ("forgotten", when(job.expires_at) if job.expires_at else ""),
        *(("trailer", f"{key}: {value}") for key, value in metadata_texts(job.trailers).items()),
    ]


def _print_payload(name: str, payload: Payload) -> None:
    if payload.problem:
        click.echo(f"{name} (base64; {printable(payload.problem)}):")
        click.echo(payload.value)
        return
    click.echo(f"{name}:")
    click.echo(encode(payload.value, is_pretty=True))


# --- cancel, retry, purge ---------------------------------------------------------------------------------------------


@jobs.command(
    epilog="""\b
Examples:
  portcall jobs cancel 0ddqk2w8g0000
  portcall jobs ls --method crawl.Crawler/Crawl --state ready -q | portcall jobs cancel -"""
)
@hub_access
@click.argument("ids", metavar="ID...", nargs=-1)
@as_json
def cancel(*, access: Access, ids: Sequence[str], is_json: bool) -> int:
    """End jobs that have not ended, with their children.

    A job that runs is told to stop, and is cancelling until it has. ID may be -: ids are read from standard input.
    """

    async def ask(hub: HubSide, some: Sequence[str]) -> Sequence[int]:
        reply: pb.CancelReply = await hub.jobs.cancel(pb.CancelRequest(ids=some), timeout=ANSWER_S)
        return reply.states

    return run(_change(access, read_ids(ids), ask, is_json=is_json))


@jobs.command(
    epilog="""\b
Examples:
  portcall jobs retry 0ddqk2w8g0000
  portcall jobs ls --state failed --newer 1h -q | portcall jobs retry -"""
)
@hub_access
@click.argument("ids", metavar="ID...", nargs=-1)
@as_json
def retry(*, access: Access, ids: Sequence[str], is_json: bool) -> int:
    """Run jobs again that failed or were cancelled.

    They get all of their attempts anew. Others go on as they are. The state of each is printed. ID may be -: ids are
    read from standard input.
    """

    async def ask(hub: HubSide, some: Sequence[str]) -> Sequence[int]:
        reply: pb.RetryReply = await hub.jobs.retry(pb.RetryRequest(ids=some), timeout=ANSWER_S)
        return reply.states

    return run(_change(access, read_ids(ids), ask, is_json=is_json))


async def _change(
    access: Access, ids: Sequence[str], ask: Callable[[HubSide, Sequence[str]], Any], *, is_json: bool
) -> int:
    """Ask the hub to change jobs; print the states that they have then."""
    states: list[int] = []
    async with opened(access) as hub:
        for some in parts(ids):
            states += await ask(hub, some)
    told = [(job, state) for job, state in zip(ids, states, strict=True) if state]
    if is_json:
        known = [{"id": job, "state": state_name(state)} for job, state in told]
        click.echo(json.dumps({"hub": access.target, "jobs": known}, indent=2))
    else:
        for job, state in told:
            click.echo(f"{job}  {state_name(state)}")
    if missing := [job for job, state in zip(ids, states, strict=True) if not state]:
        raise no_such_jobs(missing)
    return EXIT_DONE


@jobs.command(
    epilog="""\b
Examples:
  portcall jobs purge 0ddqk2w8g0000
  portcall jobs ls --state succeeded --older 1d --limit 100000 -q | portcall jobs purge -"""
)
@hub_access
@click.argument("ids", metavar="ID...", nargs=-1)
@as_json
def purge(*, access: Access, ids: Sequence[str], is_json: bool) -> int:
    """Forget jobs that have ended, before their time; others stay. ID may be -: ids are read from standard input."""
    return run(_purge(access, read_ids(ids), is_json=is_json))


async def _purge(access: Access, ids: Sequence[str], *, is_json: bool) -> int:
    purged = 0
    async with opened(access) as hub:
        for some in parts(ids):
            reply: pb.PurgeReply = await hub.jobs.purge(pb.PurgeRequest(ids=some), timeout=ANSWER_S)
            purged += reply.purged
    if is_json:
        click.echo(json.dumps({"hub": access.target, "purged": purged}))
    else:
        left = len(ids) - purged
        have, are = ("has", "is") if left == 1 else ("have", "are")
        rest = f"; {left:,} {have} not ended, or {are} gone" if left else ""
        click.echo(f"Forgot {purged:,} of {len(ids):,} jobs{rest}")
    return EXIT_DONE
