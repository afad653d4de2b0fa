"""`portcall schedules`."""

import json
from collections.abc import Sequence
from typing import Any

import click

from portcall.cli.call.completing import complete_name
from portcall.cli.call.printing import method_name, printable
from portcall.cli.call.requests import Requests, find_source
from portcall.cli.exits import EXIT_DONE, CallError
from portcall.cli.jobs.asking import ANSWER_S, HubSide, opened, run
from portcall.cli.jobs.payloads import Payloads
from portcall.cli.jobs.submit import check_is_job, job_options, submit_options
from portcall.cli.jobs.telling import metadata_texts, when
from portcall.cli.options import as_json, hub_access, span
from portcall.cli.output import console, table
from portcall.client.jobs.submitting import shared_part
from portcall.contract.catalog import nearest
from portcall.contract.documents import encode
from portcall.core.durations import duration
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.access import Access
from portcall.wire.status import status_code

OVERLAPS = {"skip": pb.ScheduleSpec.SKIP, "allow": pb.ScheduleSpec.ALLOW, "replace": pb.ScheduleSpec.REPLACE}
CATCH_UPS = {"once": pb.ScheduleSpec.ONCE, "none": pb.ScheduleSpec.NONE, "all": pb.ScheduleSpec.ALL}


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  portcall schedules put nightly --cron '30 2 * * MON-FRI'
      --time-zone Europe/Berlin report.Reports/Make '{"kind": "daily"}'
  portcall schedules ls
  portcall schedules trigger nightly""",
)
@click.pass_context
def schedules(ctx: click.Context) -> None:
    """Have the hub submit jobs by itself: by cron, or at intervals.

    Schedules are stored in the hub, which needs a store: portcall hub --store FILE.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@schedules.command(
    epilog="""\b
Examples:
  portcall schedules ls
  portcall schedules ls --json | jq -r '.schedules[] | [.name, .next_at] | @tsv'"""
)
@hub_access
@as_json
def ls(*, access: Access, is_json: bool) -> int:
    """List all schedules, by name."""
    return run(_ls(access, is_json=is_json))


async def _ls(access: Access, *, is_json: bool) -> int:
    async with opened(access) as hub:
        found = await _all(hub)
        if is_json:
            payloads = Payloads(hub.directory)
            told = [await _as_json(schedule, payloads) for schedule in found]
            click.echo(json.dumps({"hub": access.target, "schedules": told}, indent=2, ensure_ascii=False))
        elif found:
            made = table("NAME", "TIMES", "METHOD", "NEXT", "LAST", "LAST JOB")
            for schedule in found:
                made.add_row(
                    printable(schedule.name),
                    times(schedule.spec),
                    schedule.spec.job.method.removeprefix("/"),
                    _next(schedule),
                    when(schedule.last_at) if schedule.last_at else "-",
                    schedule.last_job or "-",
                )
            console().print(made)
        else:
            click.echo(f"No schedules on the hub at {access.target}")
            click.echo("Make one:  portcall schedules put NAME --every 1h SERVICE/METHOD '{...}'")
    return EXIT_DONE


@schedules.command(
    epilog="""\b
Examples:
  portcall schedules put nightly --cron '30 2 * * *' --time-zone Europe/Berlin
      report.Reports/Make '{"kind": "daily"}'
  portcall schedules put poll --every 30 --overlap allow
      crawl.Crawler/Crawl @request.json

\b
CRON has five fields (minute, hour, day, month, weekday), or six with seconds
first. Where clocks change, a time that is skipped is made up at once, and one
that comes twice counts once."""
)
@hub_access
@click.argument("name", metavar="NAME")
@click.argument("method", metavar="SERVICE/METHOD", shell_complete=complete_name)
@click.argument("request", metavar="[REQUEST]", required=False)
@click.option("--cron", metavar="CRON", default="", help="When, as in '30 2 * * MON-FRI'.")
@click.option("--time-zone", metavar="ZONE", default="", help="Of --cron, as in Europe/Berlin. [default: UTC]")
@click.option("--every", type=span, metavar="SPAN", help="How often, as in 30, 5m, 2h or 7d.")
@click.option(
    "--overlap",
    type=click.Choice(tuple(OVERLAPS)),
    metavar="WHAT",
    default="skip",
    help="If the job of the last time has not ended: skip this time, allow both, or replace it. [default: skip]",
)
@click.option(
    "--catch-up",
    type=click.Choice(tuple(CATCH_UPS)),
    metavar="WHAT",
    default="once",
    help="Times that passed while the hub was away: once for all of them, none, or all (with --overlap allow)."
    " [default: once]",
)
@click.option("--paused", "is_paused", is_flag=True, help="Do not begin before portcall schedules resume.")
@job_options
@as_json
def put(
    *,
    access: Access,
    name: str,
    method: str,
    request: str | None,
    cron: str,
    time_zone: str,
    every: float | None,
    overlap: str,
    catch_up: str,
    is_paused: bool,
    is_json: bool,
    **given: Any,
) -> int:
    """Create a schedule, or replace the one of that name.

    REQUEST is JSON as for 'portcall call', @FILE, or - for standard input.
    """
    if bool(cron) == (every is not None):
        raise click.UsageError("say when: either --cron or --every")
    if time_zone and not cron:
        raise click.UsageError("--time-zone goes with --cron; an interval has none")
    if catch_up == "all" and overlap != "allow":
        raise click.UsageError("--catch-up all goes with --overlap allow; otherwise one job of them would be left")
    spec = pb.ScheduleSpec(
        cron=cron,
        time_zone=time_zone,
        every_s=every or 0.0,
        overlap=OVERLAPS[overlap],
        catch_up=CATCH_UPS[catch_up],
        is_paused=is_paused,
    )
    return run(_put(access, name, method, request, spec, given, is_json=is_json))


async def _put(
    access: Access, name: str, method: str, request: str | None, spec: pb.ScheduleSpec, given: Any, *, is_json: bool
) -> int:
    async with opened(access) as hub:
        found = await hub.directory.method(method)
        check_is_job(found)
        shared = shared_part(f"/{method_name(found)}", submit_options(given), has_step=False)
        shared.request = await Requests(hub.directory, found, find_source(request, is_stream=False)).one()
        spec.job.CopyFrom(shared)
        await _tell(hub, await _stored(hub, name, spec), is_json=is_json)
    return EXIT_DONE


@schedules.command(
    epilog="""\b
Examples:
  portcall schedules show nightly"""
)
@hub_access
@click.argument("name", metavar="NAME")
@as_json
def show(*, access: Access, name: str, is_json: bool) -> int:
    """Show all there is to know about a schedule."""
    return run(_show(access, name, is_json=is_json))


async def _show(access: Access, name: str, *, is_json: bool) -> int:
    async with opened(access) as hub:
        schedule, payloads = await _one(hub, name), Payloads(hub.directory)
        if is_json:
            click.echo(json.dumps(await _as_json(schedule, payloads), indent=2, ensure_ascii=False))
            return EXIT_DONE
        spec = schedule.spec
        labels = ", ".join(f"{printable(key)}={printable(value)}" for key, value in sorted(spec.job.labels.items()))
        facts = (
            ("name", printable(schedule.name)),
            ("times", times(spec)),
            ("next", _next(schedule)),
            ("last", when(schedule.last_at) if schedule.last_at else "-"),
            ("last job", schedule.last_job or "-"),
            ("overlap", _name_of(OVERLAPS, spec.overlap)),
            ("catch-up", _name_of(CATCH_UPS, spec.catch_up)),
            ("method", spec.job.method.removeprefix("/")),
            ("labels", labels),
            *_job_facts(spec.job),
        )
        for word, text in facts:
            if text:
                click.echo(f"{word + ':':<11}{text}")
        payload = await payloads.request(spec.job.method, spec.job.request)
        click.echo("request:" if not payload.problem else f"request (base64; {printable(payload.problem)}):")
        click.echo(payload.value if payload.problem else encode(payload.value, is_pretty=True))
    return EXIT_DONE


@schedules.command(
    epilog="""\b
Examples:
  portcall schedules trigger nightly
  portcall jobs wait $(portcall schedules trigger nightly)"""
)
@hub_access
@click.argument("name", metavar="NAME")
@as_json
def trigger(*, access: Access, name: str, is_json: bool) -> int:
    """Submit a schedule's job now; print the job's id."""
    return run(_trigger(access, name, is_json=is_json))


async def _trigger(access: Access, name: str, *, is_json: bool) -> int:
    async with opened(access) as hub:
        await _one(hub, name)
        reply: pb.SubmitReply = await hub.jobs.trigger_schedule(pb.TriggerScheduleRequest(name=name), timeout=ANSWER_S)
        job = reply.jobs[0]
        if not job.id:
            words = (
                f"no job of the schedule {name} was stored: {status_code(job.status).name}: {printable(job.details)}"
            )
            raise CallError(words, job.status)
        click.echo(json.dumps({"id": job.id, "existed": job.existed}) if is_json else job.id)
    return EXIT_DONE


@schedules.command(
    epilog="""\b
Examples:
  portcall schedules pause nightly"""
)
@hub_access
@click.argument("name", metavar="NAME")
@as_json
def pause(*, access: Access, name: str, is_json: bool) -> int:
    """Let a schedule rest, until it is resumed. Jobs of it that are there already go on."""
    return run(_set_paused(access, name, is_paused=True, is_json=is_json))


@schedules.command(
    epilog="""\b
Examples:
  portcall schedules resume nightly"""
)
@hub_access
@click.argument("name", metavar="NAME")
@as_json
def resume(*, access: Access, name: str, is_json: bool) -> int:
    """Let a schedule go on, with its next time. Those that passed meanwhile are left out."""
    return run(_set_paused(access, name, is_paused=False, is_json=is_json))


async def _set_paused(access: Access, name: str, *, is_paused: bool, is_json: bool) -> int:
    async with opened(access) as hub:
        spec = (await _one(hub, name)).spec
        spec.is_paused = is_paused
        await _tell(hub, await _stored(hub, name, spec), is_json=is_json)
    return EXIT_DONE


@schedules.command(
    epilog="""\b
Examples:
  portcall schedules rm nightly"""
)
@hub_access
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def rm(*, access: Access, names: Sequence[str]) -> int:
    """Remove schedules. Their jobs stay."""
    return run(_rm(access, names))


async def _rm(access: Access, names: Sequence[str]) -> int:
    async with opened(access) as hub:
        for name in names:
            await _one(hub, name)
            await hub.jobs.delete_schedule(pb.DeleteScheduleRequest(name=name), timeout=ANSWER_S)
            click.echo(f"Removed {printable(name)}")
    return EXIT_DONE


# --- within -----------------------------------------------------------------------------------------------------------


async def _all(hub: HubSide) -> list[pb.Schedule]:
    reply: pb.ListSchedulesReply = await hub.jobs.list_schedules(pb.ListSchedulesRequest(), timeout=ANSWER_S)
    return list(reply.schedules)


async def _one(hub: HubSide, name: str) -> pb.Schedule:
    """Return the schedule of a name.

    Raises:
        ConfigurationError: there is none; the message has the nearest.
    """
    found = {schedule.name: schedule for schedule in await _all(hub)}
    if name not in found:
        meant = nearest(name, found)
        hint = f"Did you mean {meant}?" if meant else "See: portcall schedules ls"
        raise ConfigurationError(f"there is no schedule {name}. {hint}")
    return found[name]


async def _stored(hub: HubSide, name: str, spec: pb.ScheduleSpec) -> pb.Schedule:
    request = pb.PutScheduleRequest(name=name, spec=spec)
    stored: pb.Schedule = await hub.jobs.put_schedule(request, timeout=ANSWER_S)
    return stored


async def _tell(hub: HubSide, schedule: pb.Schedule, *, is_json: bool) -> None:
    if is_json:
        click.echo(json.dumps(await _as_json(schedule, Payloads(hub.directory)), indent=2, ensure_ascii=False))
    else:
        click.echo(f"{printable(schedule.name)}: {times(schedule.spec)}; next: {_next(schedule)}")


async def _as_json(schedule: pb.Schedule, payloads: Payloads) -> dict[str, Any]:
    spec = schedule.spec
    payload = await payloads.request(spec.job.method, spec.job.request)
    return {
        "name": schedule.name,
        "cron": spec.cron or None,
        "time_zone": (spec.time_zone or "UTC") if spec.cron else None,
        "every_s": spec.every_s or None,
        "overlap": _name_of(OVERLAPS, spec.overlap),
        "catch_up": _name_of(CATCH_UPS, spec.catch_up),
        "is_paused": spec.is_paused,
        "next_at": schedule.next_at or None,
        "last_at": schedule.last_at or None,
        "last_job": schedule.last_job or None,
        "method": spec.job.method.removeprefix("/"),
        "labels": dict(spec.job.labels),
        **_job_values(spec.job),
        "request_base64" if payload.problem else "request": payload.value,
    }


def _job_values(job: pb.Submission) -> dict[str, Any]:
    """Return what a submission says of its job, for programs; null is what the method's options say."""
    overrides = job.overrides
    return {
        "priority": job.priority,
        "metadata": metadata_texts(job.metadata),
        "attempts": overrides.attempts if overrides.HasField("attempts") else None,
        "attempt_timeout_s": overrides.timeout_s if overrides.HasField("timeout_s") else None,
        "keep_s": overrides.keep_s if overrides.HasField("keep_s") else None,
    }


def _job_facts(job: pb.Submission) -> list[tuple[str, str]]:
    """Return the same for people, without what is not said."""
    values = _job_values(job)
    metadata = ", ".join(f"{key}: {value}" for key, value in values["metadata"].items())
    timeout_s, keep_s = values["attempt_timeout_s"], values["keep_s"]
    return [
        ("priority", str(job.priority or "")),
        ("metadata", metadata),
        ("attempts", str(values["attempts"] or "")),
        ("timeout", "" if timeout_s is None else f"{duration(timeout_s)} an attempt"),
        ("kept", "" if keep_s is None else duration(keep_s)),
    ]


def times(spec: pb.ScheduleSpec) -> str:
    """Return a schedule's times in words."""
    if spec.cron:
        return f"{printable(spec.cron)} ({printable(spec.time_zone or 'UTC')})"
    return f"every {duration(spec.every_s)}" if spec.every_s == int(spec.every_s) else f"every {spec.every_s:g}s"


def _next(schedule: pb.Schedule) -> str:
    if schedule.spec.is_paused:
        return "paused"
    return when(schedule.next_at) if schedule.next_at else "never"


def _name_of(names: dict[str, pb.ScheduleSpec.Overlap] | dict[str, pb.ScheduleSpec.CatchUp], number: int) -> str:
    """Return the name of a value; 0 stands for the first."""
    return next((name for name, value in names.items() if value == (number or 1)), str(number))
