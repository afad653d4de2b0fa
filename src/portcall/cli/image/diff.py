"""`portcall image diff`."""

import json
from contextlib import ExitStack, closing

import click

from portcall.cli.image.reporting import progress_of_command
from portcall.cli.image.settings import cache, insecure_registry
from portcall.cli.options import as_json
from portcall.cli.output import console, table
from portcall.errors import ConfigurationError
from portcall.image.inspecting import Change, differences, file_differences, inside
from portcall.image.oci import parse_platform
from portcall.image.sources import open_source, read_whole
from portcall.image.store import Store


@click.command(
    epilog="""\b
Examples:
  portcall image diff registry.example.com/greeter:1 build/image    what would a push change?
  portcall image diff hub.example.com/app:1 hub.example.com/app:2 --json
  portcall image diff OLD NEW --exit-code || deploy                  1 if anything differs"""
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--platform", metavar="NAME", help="Compare this platform. [default: the first that both have]")
@click.option("--exit-code", "is_telling", is_flag=True, help="End with 1 if anything differs.")
@cache
@insecure_registry
@as_json
def command(
    *,
    old: str,
    new: str,
    platform: str | None,
    is_telling: bool,
    cache: Store,
    insecure_registry: frozenset[str],
    is_json: bool,
) -> int:
    """Tell what changed between two images: facts, settings, packages, files of the application."""
    wanted = (parse_platform(platform),) if platform else None
    with progress_of_command() as progress, ExitStack() as stack:
        sources = [
            stack.enter_context(closing(open_source(name, cache, progress, insecure_registry))) for name in (old, new)
        ]
        first, second = (read_whole(source, wanted) for source in sources)
        common = [part.platform for part in first.parts if part.platform in {other.platform for other in second.parts}]
        if not common:
            raise ConfigurationError(f"{old} and {new} have no platform in common")
        before, after = (next(p for p in whole.parts if p.platform == common[0]) for whole in (first, second))
        insides = [next(one for one in inside(whole) if one.platform == str(common[0])) for whole in (first, second)]
        changes = differences(*insides)
        if all(one.is_ours for one in insides):
            changes += file_differences(before, after, *sources)
    _say(changes, is_json=is_json)
    return 1 if changes and is_telling else 0


def _say(changes: list[Change], *, is_json: bool) -> None:
    if is_json:
        rows = [{"kind": one.kind, "name": one.name, "old": one.old or None, "new": one.new or None} for one in changes]
        click.echo(json.dumps(rows, indent=2))
    elif not changes:
        click.echo("No difference")
    else:
        shown = table("KIND", "NAME", "OLD", "NEW")
        for one in changes:
            shown.add_row(one.kind, one.name, one.old or "-", one.new or "-")
        console().print(shown)
