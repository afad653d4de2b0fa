"""`portcall image`: the group, whose commands are imported when they are run."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType

import click

from portcall.errors import ConfigurationError

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "build": ("portcall.cli.image.build", "Turn a project into an image."),
        "push": ("portcall.cli.image.push", "Push an image to a registry."),
        "inspect": ("portcall.cli.image.inspect", "Tell what is inside of an image."),
        "diff": ("portcall.cli.image.diff", "Tell what changed between two images."),
        "dockerfile": ("portcall.cli.image.dockerfile", "Write an equivalent Dockerfile."),
        "compose": ("portcall.cli.image.compose", "Write a compose file for one machine."),
    }
)


class ImageGroup(click.Group):
    """Imports a command's module when the command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command.

        Raises:
            ConfigurationError: what it needs is not installed.
        """
        if cmd_name not in COMMANDS:
            return None
        try:
            command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] in ("packaging", "urllib3"):
                raise ConfigurationError(f"{error.name} is missing:  pip install 'portcall[image]'") from None
            raise
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands for the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, purpose) for name, (_, purpose) in COMMANDS.items()])


@click.group(
    cls=ImageGroup,
    invoke_without_command=True,
    epilog="""\b
Examples:
  portcall image build --tag registry.example.com/greeter:1    a worker of app.py, for amd64 and arm64
  portcall image push                                          what was built, to where its name says
  portcall image inspect registry.example.com/greeter:1        what is in it?

No Docker is needed to build or push. docs/containers.md goes from an empty server to a fleet.""",
)
@click.pass_context
def image(ctx: click.Context) -> None:
    """Turn a project into a container image, and look at images."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
