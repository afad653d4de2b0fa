"""`portcall compile`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from portcall.cli.changes import Changes, Snapshot, next_changes, take_snapshot
from portcall.cli.compiled import check_compiled, counted, say_update, shown
from portcall.cli.ending import until_signalled
from portcall.cli.exits import FailedError, report_error
from portcall.cli.options import as_json, exit_with_stdin, setting
from portcall.contract.compile import CompileRequest, Update, compare_outputs, update_outputs
from portcall.contract.installed import installed_protos
from portcall.errors import PortcallError

existing = click.Path(exists=True, path_type=Path)


@click.command(
    name="compile",
    epilog="""\b
Examples:
  portcall compile protos/ --out src/                  all files below protos/
  portcall compile protos/ --out src/acme/protos       into a package
  portcall compile . --watch                           beside the files
  portcall compile protos/acme -I protos --out src/    some of them
  portcall compile protos/ --out src/ --check          is it all up to date?

What is made from greet.proto: greet_pb2.py and greet_pb2.pyi with its messages, greet_pb2_grpc.py and
greet_pb2_grpc.pyi with its services. Modules import each other relatively, so that they work inside a package too.
Files that were not generated are never overwritten, and if any .proto has an error, nothing is written at all.

\b
Exit codes:
  0  done; with --check, all is up to date
  1  with --check, something is stale, missing or left over
  2  a .proto has an error, or the command has""",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=existing)
@setting(
    "--out",
    "Where the code goes: a source root, or a folder in a package.",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    variable="PORTCALL_COMPILE_OUT",
    shown="beside the files",
)
@setting(
    "--include",
    "A folder that imports begin at; also more than once. A PATH in none of them is one itself.",
    short="-I",
    also=("includes",),
    type=existing,
    metavar="DIR",
    multiple=True,
    variable="PORTCALL_COMPILE_INCLUDE",
    shown="none",
)
@setting(
    "--no-services",
    "Make messages only: no stubs, no servicers.",
    is_flag=True,
    default=False,
    variable="PORTCALL_COMPILE_NO_SERVICES",
)
@click.option("--check", "is_check", is_flag=True, help="Write nothing; fail if anything is not up to date.")
@click.option("--watch", "is_watch", is_flag=True, help="Go on, and compile whenever a .proto changes.")
@click.option("--prune", "is_pruning", is_flag=True, help="Remove code whose .proto is gone.")
@as_json
@exit_with_stdin
def compile_(
    *,
    paths: tuple[Path, ...],
    out: Path | None,
    includes: tuple[Path, ...],
    no_services: bool,
    is_check: bool,
    is_watch: bool,
    is_pruning: bool,
    is_json: bool,
) -> None:
    """Compile .proto files to Python.

    PATH is a folder, of which all .proto files are compiled, or one file. Well-known types, google/rpc and its kin, and
    portcall/v1 can be imported as they are.
    """
    if is_check and (is_watch or is_pruning):
        raise click.UsageError("--check writes nothing, so it goes with neither --watch nor --prune")
    request = CompileRequest(paths=paths, includes=includes, out=out, has_services=not no_services)
    if is_check:
        _check(request, is_json=is_json)
    elif is_watch:
        installed_protos()  # what is not installed will not come by waiting
        asyncio.run(until_signalled(_watch(request, is_pruning=is_pruning, is_json=is_json)))
    else:
        _update(request, is_pruning=is_pruning, is_json=is_json)


def _check(request: CompileRequest, *, is_json: bool) -> None:
    update = compare_outputs(request)
    out, difference = update.compilation.out, update.difference
    if is_json:
        click.echo(json.dumps(_as_json(update)))
    check_compiled(update.compilation)
    if difference.is_none:
        if not is_json:
            click.echo(f"{counted(len(difference.unchanged), 'file')} in {out} up to date")
        return
    for state, paths in (("missing", difference.missing), ("stale", difference.stale)):
        for path in paths:
            click.echo(f"{state}: {shown(out, path)}", err=True)
    for path, name in difference.left_over.items():
        click.echo(f"left over: {shown(out, path)}, which {name} does not give any more", err=True)
    remedy = "with --prune in place of --check" if difference.left_over else "without --check"
    raise FailedError(f"{out} has not what the .proto files give (above). Run this {remedy}")


def _update(request: CompileRequest, *, is_pruning: bool, is_json: bool) -> None:
    update = update_outputs(request, is_pruning=is_pruning)
    if is_json:
        click.echo(json.dumps(_as_json(update)))
    check_compiled(update.compilation)
    if not is_json:
        say_update(update)


async def _watch(request: CompileRequest, *, is_pruning: bool, is_json: bool) -> None:
    """Compile now and whenever a file changes, for ever. Errors are shown, and waited out."""
    folders = [path if path.is_dir() else path.parent for path in (*request.paths, *request.includes)]

    def take() -> Snapshot:
        return take_snapshot(folders, ".proto")

    changes = Changes(take())
    while True:
        try:
            await asyncio.to_thread(_update, request, is_pruning=is_pruning, is_json=is_json)
        except PortcallError as error:
            report_error(error)
        click.echo("watching for changes; Ctrl-C ends it", err=True)
        for path in sorted(await next_changes(changes, take)):
            click.echo(f"changed: {path}", err=True)


def _as_json(update: Update) -> dict[str, Any]:
    compilation, difference = update.compilation, update.difference
    return {
        "out": str(compilation.out),
        "compiled": compilation.sources.names,
        "left_out": compilation.sources.left_to_packages,
        "missing": difference.missing,
        "stale": difference.stale,
        "unchanged": difference.unchanged,
        "left_over": tuple(difference.left_over),
        "written": update.written,
        "removed": update.removed,
        "diagnostics": [
            {
                "severity": diagnostic.severity.value,
                "words": diagnostic.words,
                "path": diagnostic.path or None,
                "line": diagnostic.line or None,
                "column": diagnostic.column or None,
            }
            for diagnostic in compilation.diagnostics
        ],
    }
