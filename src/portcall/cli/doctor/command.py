"""`portcall doctor`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from portcall.cli.doctor.examination import Examination, examine
from portcall.cli.doctor.findings import Finding, Outcome, Step, exit_code, failed
from portcall.cli.doctor.verdicts import judge_settings
from portcall.cli.options import HubOptions, as_json, hub_options, seconds, setting, span
from portcall.cli.output import console
from portcall.errors import ConfigurationError
from portcall.hub.tokens import Role
from portcall.wire.access import Access
from portcall.wire.tokens import is_readable_by_others

TIMEOUT_S_DEFAULT = 5.0

STYLES = {Outcome.OK: "green", Outcome.NOTE: "yellow", Outcome.FAILED: "bold red"}

STEP_WIDTH = max(len(step.value) for step in Step)
OUTCOME_WIDTH = max(len(outcome.value) for outcome in Outcome)


@click.command(
    epilog="""\b
Examples:
  portcall doctor --hub hub.example:7070 --tls-ca ca.pem --token-file token
  portcall doctor --hub hub.example:7070 --role worker --idle 300
  portcall doctor --json | jq -r '.findings[] | select(.outcome == "failed")'

\b
Exit codes:
  0  a hub would take a link
  1  the way is broken, and may be whole again without a change here
  2  a setting, a file or a program has to be changed first"""
)
@hub_options
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    metavar="ROLE",
    help="What the token has to be good for: worker or client. [default: one of them]",
)
@click.option(
    "--idle",
    type=seconds,
    metavar="S",
    default=0.0,
    help="Also see whether a link on which nothing is said for so long survives. [default: leave it out]",
)
@setting(
    "--timeout",
    "How long each step may take.",
    type=span,
    metavar="S",
    default=TIMEOUT_S_DEFAULT,
    variable="PORTCALL_DOCTOR_TIMEOUT",
)
@as_json
def doctor(*, options: HubOptions, role: str | None, idle: float, timeout: float, is_json: bool) -> None:
    """Find out why a hub cannot be reached.

    Goes the way that a worker or client goes, step by step: settings, name, port, TLS, HTTP/2, token, link. Says what
    it finds, and how to mend what fails. Attaches nothing, and calls nothing.
    """
    findings = asyncio.run(_run(options, role, idle_s=idle, timeout_s=timeout, show=None if is_json else console()))
    code = exit_code(findings)
    if is_json:
        click.echo(json.dumps({"exit_code": code, "findings": [_as_json(finding) for finding in findings]}, indent=2))
    click.get_current_context().exit(code)


async def _run(
    options: HubOptions, role: str | None, *, idle_s: float, timeout_s: float, show: Console | None
) -> list[Finding]:
    findings = []
    async for finding in _examine(options, role, idle_s=idle_s, timeout_s=timeout_s):
        findings.append(finding)
        if show is not None:
            _print(show, finding)
    return findings


async def _examine(options: HubOptions, role: str | None, *, idle_s: float, timeout_s: float) -> AsyncIterator[Finding]:
    try:
        access = options.access()
    except ConfigurationError as error:
        yield failed(Step.SETTINGS, str(error), "", is_mistake=True)
        return
    yield judge_settings(access, is_hub_named=options.hub is not None, exposed=_exposed(access))
    wanted = Examination(
        access=access,
        roles=[Role(role)] if role else [],
        idle_s=idle_s,
        timeout_s=timeout_s,
        environ=os.environ,
    )
    async for finding in examine(wanted):
        yield finding


def _exposed(access: Access) -> list[str]:
    """Return the files with secrets that every user of this machine can read."""
    secrets = [access.token if isinstance(access.token, Path) else None, access.tls.key if access.tls else None]
    return [str(path) for path in secrets if path is not None and is_readable_by_others(Path(path))]


def _print(screen: Console, finding: Finding) -> None:
    line = Text.assemble(
        (f"{finding.outcome.value:<{OUTCOME_WIDTH}}", STYLES[finding.outcome]),
        f"  {finding.step.value:<{STEP_WIDTH}}  {finding.words}",
    )
    screen.print(line, soft_wrap=True)
    if finding.remedy:
        screen.print(f"{'':{OUTCOME_WIDTH + STEP_WIDTH + 4}}{finding.remedy}", soft_wrap=True)


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "step": finding.step.value,
        "outcome": finding.outcome.value,
        "words": finding.words,
        "remedy": finding.remedy,
        "facts": dict(finding.facts),
    }
