"""An option that the environment and `portcall.toml` can set too, and where they say it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import click
from click.core import ParameterSource

from portcall.errors import ConfigurationError

PREFIX: Final = "PORTCALL_"

FILE_NAME: Final = "portcall.toml"

FILE_VARIABLE: Final = "PORTCALL_CONFIG"

CONNECT: Final = "connect"
"""The table of the settings that say how to reach a hub, which all commands share."""


@runtime_checkable
class DefaultsSource(Protocol):
    """Where settings come from that neither an option nor the environment says; the `obj` of a context."""

    def defaults(self, ctx: click.Context) -> dict[str, Any]:
        """Return them, as click's default_map has them: by the names of parameters."""
        ...

    def origin(self, ctx: click.Context, setting: "Setting") -> str:
        """Say where settings of a context's command come from that this has said."""
        ...


class Setting(click.Option):
    """An option that the environment and `portcall.toml` can set too; made by `setting` in `cli/options.py`."""

    def __init__(
        self, declarations: Sequence[str], *, words: str, said: str, is_needed: bool = False, **more: Any
    ) -> None:
        self.words = words
        """What it is for."""

        self.said = said
        """Its default, in words."""

        super().__init__(declarations, **more)
        variable = f"env: {self.variable}"
        extra = f"required; {variable}" if is_needed else variable if self.is_flag else f"default: {said}; {variable}"
        self.help = f"{words} [{extra}]"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        assert isinstance(self.envvar, str)
        return self.envvar

    @property
    def flag(self) -> str:
        """Its option, as the command line has it."""
        return next(name for name in self.opts if name.startswith("--"))

    @property
    def key(self) -> str:
        """Its key in the file."""
        return self.flag.removeprefix("--")

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """Find the value, having seen to it that click knows what the file says.

        This is the moment to read the file: `--help` has printed and left, and completion comes this way, too.
        """
        if ctx.default_map is None and isinstance(ctx.obj, DefaultsSource):
            ctx.default_map = ctx.obj.defaults(ctx)
        return super().consume_value(ctx, opts)

    def table(self, path: Sequence[str]) -> str:
        """Return the file's table that it stands in, as an option of the command with this path.

        Its variable says it, by the rule that it is made of the words of the table and the key. Commands of a group may
        share a setting, which then stands in the group's table.

        Raises:
            ValueError: the variable does not keep to the rule.
        """
        for length in range(len(path), -1, -1):
            if variable_of(path[:length], self.key) == self.variable:
                return table_name(path[:length])
        raise ValueError(f"{self.variable} should be {variable_of(path, self.key)}, after its command and {self.flag}")


def variable_of(path: Sequence[str], key: str) -> str:
    """Return the variable of a setting."""
    return PREFIX + re.sub(r"\W", "_", "_".join([*path, key])).upper()


def shown_value(value: object) -> str:
    """Write a value for people."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(shown_value(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def table_name(path: Sequence[str]) -> str:
    """Return the name of a command's table."""
    return ".".join(path) or CONNECT


def settings_of(command: click.Command) -> list[Setting]:
    """Return the settings among the options of a command."""
    return [param for param in command.params if isinstance(param, Setting)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A setting of a command, and the table of the file that it stands in."""

    path: tuple[str, ...]
    """The command's."""

    command: click.Command
    table: str
    setting: Setting


def places_below(command: click.Command, path: tuple[str, ...], ctx: click.Context) -> Iterator[Place]:
    """Yield the settings of a command and of all commands in it, which are imported if need be.

    Left out are those that lack something that has to be installed for them.
    """
    for setting in settings_of(command):
        yield Place(path=path, command=command, table=setting.table(path), setting=setting)
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            with suppress(ConfigurationError):
                below = command.get_command(ctx, name)
                assert below is not None
                yield from places_below(below, (*path, name), ctx)
