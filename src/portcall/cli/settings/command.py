"""`portcall config`."""

import json
from dataclasses import asdict
from typing import Any

import click
from click.shell_completion import CompletionItem

from portcall.cli.exits import EXIT_DONE, EXIT_MISTAKE
from portcall.cli.options import as_json
from portcall.cli.output import console, table
from portcall.cli.settings.overview import Overview, Row, gather
from portcall.cli.settings.setting import CONNECT


def complete_command(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of tables that begin so."""
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    names = [CONNECT, *root.command.list_commands(root)]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command(
    epilog="""\b
Examples:
  portcall config                  all settings
  portcall config worker           those of 'portcall worker'
  portcall config --changed        those that somebody has set
  portcall --config prod.toml config --json | jq .problems

The file is the one that --config or else PORTCALL_CONFIG names, or portcall.toml in the current directory, or in the
nearest one above it. PORTCALL_CONFIG set to nothing does without. docs/configuration.md has all settings.

\b
Exit codes:
  0  all is right
  2  something in the file or the environment is not; each mistake is told"""
)
@click.argument("command", metavar="[COMMAND]", nargs=-1, shell_complete=complete_command)
@click.option("--changed", "is_changed", is_flag=True, help="Show only what is not the default.")
@as_json
@click.pass_context
def config(ctx: click.Context, *, command: tuple[str, ...], is_changed: bool, is_json: bool) -> int:
    """Show every setting, and what has set it: the environment, the file or nobody.

    COMMAND is one of portcall's, whose settings are shown then, or 'connect' for how to reach a hub. Secrets are never
    shown. Mistakes are told all at once: keys and variables that there are not, and values of what is shown.
    """
    overview = gather(ctx, command)
    rows = [row for row in overview.rows if row.source != "default" or not is_changed]
    if is_json:
        click.echo(json.dumps(_as_json(overview, rows), indent=2, ensure_ascii=False))
    else:
        _print(overview, rows, is_changed=is_changed)
    for problem in overview.problems:
        click.echo(f"portcall: error: {problem}", err=True)
    return EXIT_MISTAKE if overview.problems else EXIT_DONE


def _print(overview: Overview, rows: list[Row], *, is_changed: bool) -> None:
    screen = console()
    screen.print(overview.note, soft_wrap=True)
    screen.print()
    if rows:
        made = table("SETTING", "VALUE", "FROM")
        for row in rows:
            made.add_row(f"[{row.table}] {row.key}" if row.key else row.variable, row.shown, row.origin)
        screen.print(made)
    else:
        screen.print("All settings have their defaults" if is_changed else "This command has no settings")
    if overview.ignored:
        screen.print(f"\nIn the environment, and no settings: {', '.join(overview.ignored)}", soft_wrap=True)


def _as_json(overview: Overview, rows: list[Row]) -> dict[str, Any]:
    return {
        "file": None if overview.file is None else str(overview.file),
        "note": overview.note,
        "settings": [asdict(row) for row in rows],
        "ignored": overview.ignored,
        "problems": overview.problems,
    }
