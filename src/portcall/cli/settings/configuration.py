"""What the file and the environment say to one run of `portcall`: read when the first setting is asked for."""

import os
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from portcall.cli.options import connect
from portcall.cli.settings.checking import Checker, Judgement, Tables
from portcall.cli.settings.environment import nearest_variable, slip, strangers
from portcall.cli.settings.file import SettingsFile, find_file, named_file, read_file, shown_path
from portcall.cli.settings.setting import (
    CONNECT,
    FILE_NAME,
    FILE_VARIABLE,
    Setting,
    places_below,
    settings_of,
    variable_of,
)
from portcall.errors import ConfigurationError, PortcallError
from portcall.wire.access import TOKEN_VARIABLE
from portcall.wire.health import HEALTH_VARIABLE
from portcall.wire.image import IMAGE_VARIABLE, REVISION_VARIABLE

OTHER_VARIABLES: Final = (FILE_VARIABLE, TOKEN_VARIABLE, HEALTH_VARIABLE, IMAGE_VARIABLE, REVISION_VARIABLE)
"""Those that are no setting's; the last three are what an image says to what runs in it."""


class Configuration:
    """The file of settings, if there is one, and what the environment has beside it; the `obj` of our contexts."""

    def __init__(self, option: str | None, environ: Mapping[str, str] = os.environ) -> None:
        """Take what `--config` says."""
        self._option = option
        self._environ = environ

    @cached_property
    def named(self) -> str | None:
        """The file that is named, "" for none at all, None if nobody says."""
        return named_file(self._option, self._environ)

    @cached_property
    def file(self) -> SettingsFile | None:
        """The file, if there is one.

        Raises:
            ConfigurationError: it cannot be read, or is not TOML, or is not ours.
        """
        path = find_file(self.named, self._here)
        if path is None:
            return None
        return read_file(path, self.named, self._namer) if self.named else read_file(path, shown_path(path, self._here))

    @cached_property
    def _here(self) -> Path:
        try:
            return Path.cwd()
        except OSError:  # somebody has removed it
            return Path("/")

    @property
    def _namer(self) -> str:
        return FILE_VARIABLE if self._option is None else "--config"

    @property
    def absence(self) -> str:
        """Say why there is no file, where there is none."""
        if self.named is not None:
            return f"No file: {self._namer} is empty"
        return f"No {FILE_NAME} in {self._here} or a folder above it"

    @property
    def has_token(self) -> bool:
        """Whether the environment has a token itself."""
        return bool(self._environ.get(TOKEN_VARIABLE))

    def defaults(self, ctx: click.Context) -> dict[str, Any]:
        """Return what the file says of the settings of a context's command, by the names of parameters.

        Raises:
            ConfigurationError: something in the file is wrong, or a variable is meant to be one of this command.
        """
        try:
            judgement = self.judgement(ctx)
            _raise(judgement.problems)
            _raise(self._slips(ctx))
        except PortcallError:
            if not ctx.resilient_parsing:  # as a shell does that completes a word
                raise
            return {}
        return chosen(judgement.values, ctx.command)

    def judgement(self, ctx: click.Context) -> Judgement:
        """Return what is right and what is wrong in the file. Imports the commands that have tables in it."""
        if self.file is None:
            return Judgement()
        root = ctx.find_root()
        group = root.command
        assert isinstance(group, click.Group)
        names = [CONNECT, *group.list_commands(root)]
        return Checker(self.file, names, lambda name: tables_of(name, group, root)).judge()

    def origin(self, ctx: click.Context, setting: Setting) -> str:
        """Say where the file says a setting of a context's command."""
        assert self.file is not None
        return f"{self.file.name} [{setting.table(path_of(ctx))}]"

    def strangers(self, known: Collection[str]) -> list[str]:
        """Return the variables of the environment that look like ours, and that are neither known nor Kubernetes's."""
        return strangers(self._environ, {*known, *OTHER_VARIABLES})

    def _slips(self, ctx: click.Context) -> list[str]:
        """Say which variables are meant to be others, of this command; those of other commands are theirs to judge."""
        path = path_of(ctx)
        unknown = self.strangers({setting.variable for setting in settings_of(ctx.command)})
        if not unknown or not path:
            return []
        root = ctx.find_root()
        group = root.command
        assert isinstance(group, click.Group)
        ours = [*tables_of(CONNECT, group, root).values(), *tables_of(path[0], group, root).values()]
        known = {setting.variable for table in ours for setting in table.values()}
        starts = (variable_of((name,), "") for name in group.list_commands(root) if name != path[0])
        others = tuple(start for start in starts if not any(name.startswith(start) for name in known))
        unknown = [name for name in self.strangers(known) if not name.startswith(others)]
        return [slip(name, near) for name, near in slips(unknown, known, path[:1]).items()]


def slips(unknown: Sequence[str], known: Collection[str], tables: Sequence[str]) -> dict[str, str]:
    """Return which of the unknown variables must be meant to be known ones, and which ones."""
    nearest = ((name, nearest_variable(name, {*known, *OTHER_VARIABLES}, tables)) for name in unknown)
    return {name: near for name, near in nearest if near is not None}


def path_of(ctx: click.Context) -> tuple[str, ...]:
    """Return the words of the command that a context is for, without the program's name."""
    return () if ctx.parent is None else (*path_of(ctx.parent), ctx.info_name or "")


def tables_of(name: str, group: click.Group, ctx: click.Context) -> Tables:
    """Return the settings of a command's table, and of those in it, by their keys; the command is imported.

    Of a command that lacks something that has to be installed, there is nothing to return.
    """
    if name == CONNECT:
        return {CONNECT: {setting.key: setting for setting in settings_of(connect)}}
    try:
        command = group.get_command(ctx, name)
    except ConfigurationError:
        return {}
    assert command is not None
    tables: dict[str, dict[str, Setting]] = {name: {}}
    for place in places_below(command, (name,), ctx):
        if place.table != CONNECT:
            tables.setdefault(place.table, {})[place.setting.key] = place.setting
    return tables


def chosen(values: Mapping[str, Any], command: click.Command) -> dict[str, Any]:
    """Return those values that are a command's settings, by the names of its parameters."""
    settings = [setting for setting in settings_of(command) if setting.variable in values]
    return {setting.name or "": values[setting.variable] for setting in settings}


def exported(ctx: click.Context, name: str) -> dict[str, str]:
    """Return what the file says of the settings of another command, as variables for a process that runs it.

    Left out are those that the environment says already, and how to reach a hub.

    Raises:
        ConfigurationError: something in the file is wrong.
        click.BadParameter: a value of these is.
    """
    root, configuration = ctx.find_root(), ctx.obj
    if not isinstance(configuration, Configuration) or not isinstance(root.command, click.Group):
        return {}
    command = root.command.get_command(root, name)
    assert command is not None
    within = click.Context(command, info_name=name, parent=root)
    within.default_map = configuration.defaults(within)
    variables = {}
    for setting in settings_of(command):
        assert setting.name is not None
        if setting.table((name,)) != CONNECT and setting.name in within.default_map:
            setting.handle_parse_result(within, {}, [])
            if within.get_parameter_source(setting.name) is ParameterSource.DEFAULT_MAP:
                variables[setting.variable] = as_variable(setting, within.default_map[setting.name])
    return variables


def as_variable(setting: Setting, value: Any) -> str:
    """Write a value of the file as a variable has it."""
    if setting.multiple:
        return (os.pathsep if isinstance(setting.type, click.Path) else " ").join(value)
    return str(int(value) if isinstance(value, bool) else value)


def _raise(problems: Sequence[str]) -> None:
    if problems:
        more = f" ({len(problems) - 1} more; 'portcall config' shows all)" if len(problems) > 1 else ""
        raise ConfigurationError(f"{problems[0]}{more}")
