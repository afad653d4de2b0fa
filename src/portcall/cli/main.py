"""The `portcall` command itself: its subcommands, its help and how it ends."""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from types import MappingProxyType
from typing import NamedTuple, NoReturn

import click
from click.shell_completion import CompletionItem

from portcall._version import __version__
from portcall.cli.ending import exit_within, heed_sigterm
from portcall.cli.exits import EXIT_DONE, EXIT_INTERRUPTED, report_error
from portcall.cli.nearest import NamingGroup
from portcall.cli.settings.setting import FILE_NAME, FILE_VARIABLE
from portcall.errors import PortcallError

LEAVE_S = 5.0
"""How long a process that is done may take to go: a thread that does not end would keep it for ever."""


POLLER_KNOWN_TO = "1.85."
"""Releases of grpcio whose poller can be chosen."""
COMPLETION_VARIABLE = "_PORTCALL_COMPLETE"
"""Where a shell that completes a word says so, by the rules of click."""


class CommandPlace(NamedTuple):
    """Where a command is to be found, and what it is for."""

    module: str
    attribute: str
    purpose: str


COMMANDS: Mapping[str, CommandPlace] = MappingProxyType(
    {
        "demo": CommandPlace("portcall.cli.demo.command", "demo", "See a fleet at work: mine documents."),
        "hub": CommandPlace("portcall.cli.hub", "hub", "Run the hub, which workers and clients connect to."),
        "dev": CommandPlace("portcall.cli.dev.command", "dev", "Run a hub and your app, reload it when it changes."),
        "worker": CommandPlace("portcall.cli.worker", "worker", "Run a worker, which serves the methods of your app."),
        "attach": CommandPlace("portcall.cli.attach", "attach", "Bring a gRPC server in any language into the fleet."),
        "compile": CommandPlace("portcall.cli.compile", "compile_", "Compile .proto files to Python."),
        "call": CommandPlace("portcall.cli.call.command", "call", "Call a method: JSON in, JSON out."),
        "jobs": CommandPlace(
            "portcall.cli.jobs.command", "jobs", "Submit jobs, look at them, wait for them, end them."
        ),
        "schedules": CommandPlace("portcall.cli.schedules.command", "schedules", "Have the hub submit jobs by itself."),
        "fleet": CommandPlace("portcall.cli.fleet", "fleet", "Look at the fleet."),
        "completion": CommandPlace("portcall.cli.completion", "completion", "Print what makes a shell complete words."),
        "token": CommandPlace("portcall.cli.token", "token", "Make a token, which lets workers or clients in."),
        "image": CommandPlace("portcall.cli.image.command", "image", "Turn a project into a container image."),
        "config": CommandPlace("portcall.cli.settings.command", "config", "Show every setting, and what has set it."),
        "doctor": CommandPlace("portcall.cli.doctor.command", "doctor", "Find out why a hub cannot be reached."),
    }
)


class LazyGroup(NamingGroup):
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

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands, without importing each for it."""
        places = [(name, place) for name, place in COMMANDS.items() if name.startswith(incomplete)]
        offered = [CompletionItem(name, help=place.purpose) for name, place in places]
        return [*offered, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands for the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.purpose) for name, place in COMMANDS.items()])


def _configure(ctx: click.Context, _: click.Parameter, file: str | None) -> None:
    """Have the settings of a command found in the file, should it ask for any."""
    ctx.obj = importlib.import_module("portcall.cli.settings.configuration").Configuration(file)


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
  portcall call --list          what do they serve?

\b
Exit codes:
  0    done; a hub or a worker has stopped as it was told to
  1    failed, may succeed when tried again: no hub answers, a process died
  2    cannot succeed until the command, a setting or the app is changed
  64+  a call ended with a status that is not OK: its number and 64
  130  stopped by Ctrl-C, 143 by SIGTERM, before it was done

Every option that says so can be set in the environment instead, or in portcall.toml:
an option wins over the environment, and that over the file. See: portcall config""",
)
@click.option(
    "--config",
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_configure,
    help=f"File of settings. [default: {FILE_NAME} here or in a folder above; env: {FILE_VARIABLE}]",
)
@click.version_option(__version__, "-V", "--version", message="portcall %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A fleet of containerised workers that looks like one gRPC server."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    set_grpc_up()
    heed_sigterm()
    if COMPLETION_VARIABLE in os.environ:
        importlib.import_module("portcall.cli.completion")
    code = run(sys.argv[1:])
    exit_within(LEAVE_S, code)
    sys.exit(code)


def set_grpc_up() -> None:
    """Say to gRPC's core, by the environment that it reads when it starts, what it should be like in our processes."""
    # It writes to stderr by itself; what goes wrong comes to us as an error, and we say it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Its older poller reads a socket in the thread that completes the call, where the newer has another thread between:
    # a call through the hub takes an eighth less time. Only where these names are known; others are complained of.
    if version("grpcio").startswith(POLLER_KNOWN_TO):
        os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return the exit code, after any error has been reported."""
    try:
        code = cli.main(arguments, prog_name="portcall", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except (click.ClickException, PortcallError) as error:
        return report_error(error)
    return code if isinstance(code, int) else EXIT_DONE
