"""The `portcall` command itself: its subcommands, its help and how it ends."""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, NoReturn

import click

from portcall._version import __version__
from portcall.cli.ending import exit_within, heed_sigterm
from portcall.cli.exits import EXIT_DONE, EXIT_INTERRUPTED, report_error
from portcall.errors import PortcallError

LEAVE_S = 5.0
"""How long a process that is done may take to go: a thread that does not end would keep it for ever."""


class CommandPlace(NamedTuple):
    """Where a command is to be found, and what it is for."""

    module: str
    attribute: str
    purpose: str


COMMANDS: Mapping[str, CommandPlace] = MappingProxyType(
    {
        "demo": CommandPlace("portcall.cli.demo.command", "demo", "See a fleet at work: mine documents."),
        "hub": CommandPlace("portcall.cli.hub", "hub", "Run the hub, which workers and clients connect to."),
        "worker": CommandPlace("portcall.cli.worker", "worker", "Run a worker, which serves the methods of your app."),
        "attach": CommandPlace("portcall.cli.attach", "attach", "Bring a gRPC server in any language into the fleet."),
        "fleet": CommandPlace("portcall.cli.fleet", "fleet", "Look at the fleet."),
    }
)


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is run, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command: click.Command = getattr(importlib.import_module(place.module), place.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands for the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.purpose) for name, place in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  portcall demo                 see a fleet at work
  portcall hub                  in one terminal
  portcall worker app:worker    in others: serve the methods of your app.py
  portcall attach --help        how a server in any language joins
  portcall fleet ls             who is there?

\b
Exit codes:
  0    done; a hub or a worker has stopped as it was told to
  1    failed, may succeed when tried again: no hub answers, a process died
  2    cannot succeed until the command, a setting or the app is changed
  130  stopped by Ctrl-C, 143 by SIGTERM, before it was done

Every option that says so can be set in the environment instead; the option wins.""",
)
@click.version_option(__version__, "-V", "--version", message="portcall %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A fleet of containerised workers that looks like one gRPC server."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    # gRPC's core writes to stderr by itself; what goes wrong comes to us as an error, and we say it. Read on import.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    heed_sigterm()
    code = run(sys.argv[1:])
    exit_within(LEAVE_S, code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return the exit code, after any error has been reported."""
    try:
        code = cli.main(arguments, prog_name="portcall", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except (click.ClickException, PortcallError) as error:
        return report_error(error)
    return code if isinstance(code, int) else EXIT_DONE
