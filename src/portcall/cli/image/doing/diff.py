"""What `portcall image diff` does."""

import json
from contextlib import ExitStack, closing
from pathlib import Path

import click

from portcall.cli.image.doing.reach import hosts_of, store_of
from portcall.cli.image.doing.reporting import progress_of_command
from portcall.cli.output import console, table
from portcall.errors import ConfigurationError
from portcall.image.inspecting import Change, differences, file_differences, inside
from portcall.image.oci import parse_platform
from portcall.image.sources import open_source, read_whole


def perform(
    *,
    old: str,
    new: str,
    only: str | None,
    is_telling: bool,
    cache: Path | None,
    insecure_registry: tuple[str, ...] | None,
    is_json: bool,
) -> int:
    """Print what changed; return the exit code."""
    wanted = (parse_platform(only),) if only else None
    store, insecure = store_of(cache), hosts_of(insecure_registry)
    with progress_of_command() as progress, ExitStack() as stack:
        sources = [stack.enter_context(closing(open_source(name, store, progress, insecure))) for name in (old, new)]
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
