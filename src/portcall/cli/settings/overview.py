"""Gathers what `portcall config` shows: each setting, its value and what has set it, and everything that is wrong."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from portcall.cli.exits import bare_words
from portcall.cli.options import connect
from portcall.cli.settings.configuration import Configuration, chosen, slips
from portcall.cli.settings.environment import slip
from portcall.cli.settings.setting import CONNECT, Place, Setting, places_below, shown_value
from portcall.errors import ConfigurationError
from portcall.wire.access import TOKEN_VARIABLE

SOURCES: Final[Mapping[ParameterSource | None, str]] = {
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "file",
    ParameterSource.DEFAULT: "default",
}

PASSWORD: Final = re.compile(r"(://[^/@:\s]*:)[^@\s]*(?=@)|(\bpassword=)\S+")
"""What is hidden in a value: passwords of addresses."""


TOKEN_TABLES: Final = frozenset({CONNECT, "hub"})
"""To whose settings the token of the environment belongs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A setting, and what it is now."""

    table: str
    key: str | None
    """None of what the file cannot say."""

    flag: str | None
    variable: str
    value: Any
    """None where a default is but words, or the value is secret."""

    shown: str
    source: str
    """default, environment or file."""

    origin: str
    """The source in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All of it."""

    file: Path | None
    note: str
    """Where the settings' file is, or where it was looked for."""

    rows: Sequence[Row]
    ignored: Sequence[str]
    """Variables of the environment that look like ours."""

    problems: Sequence[str]


def gather(ctx: click.Context, path: tuple[str, ...]) -> Overview:
    """Look at the settings of the command with this path; of all, if it is empty. Everything wrong is found."""
    configuration, root = ctx.obj, ctx.find_root()
    assert isinstance(configuration, Configuration)
    problems: list[str] = []
    values: Mapping[str, Any] = {}
    note, file = configuration.absence, None
    try:
        if configuration.file is not None:
            note, file = f"File: {configuration.file.path}", configuration.file.path
            judgement = configuration.judgement(root)
            values = judgement.values
            problems += judgement.problems
    except ConfigurationError as error:
        note = "File: cannot be read"
        problems.append(str(error))
    every = [*_places(root, ())]
    wanted = [*_places(root, path)] if path else every
    rows = list(_rows(root, wanted, values, problems))
    if any(row.table in TOKEN_TABLES for row in rows):
        rows.insert(sum(row.table == CONNECT for row in rows), _token_row(configuration))
    known = {place.setting.variable for place in every}
    strangers = configuration.strangers(known)
    mistaken = slips(strangers, known, sorted({place.table for place in every}))
    return Overview(
        file=file,
        note=note,
        rows=rows,
        ignored=[name for name in strangers if name not in mistaken],
        problems=[*problems, *(slip(name, near) for name, near in mistaken.items())],
    )


def _places(root: click.Context, path: tuple[str, ...]) -> Iterator[Place]:
    """Yield the settings of a command and of those in it, each once, with how to reach a hub at the beginning."""
    if path == (CONNECT,):
        yield from places_below(connect, (), root)
        return
    command: click.Command | None = root.command
    for name in path:
        command = command.get_command(root, name) if isinstance(command, click.Group) else None
    if command is None:
        raise click.UsageError(f"there is no command '{' '.join(path)}'", click.get_current_context())
    places = [*places_below(command, path, root)]
    if any(place.table == CONNECT for place in places):
        yield from places_below(connect, (), root)
    seen = set()
    for place in places:
        if place.table != CONNECT and place.setting.variable not in seen:
            seen.add(place.setting.variable)
            yield place


def _rows(
    root: click.Context, places: Sequence[Place], values: Mapping[str, Any], problems: list[str]
) -> Iterator[Row]:
    for place in places:
        within = root
        for name in place.path or (CONNECT,):
            within = click.Context(place.command, info_name=name, parent=within)
        within.default_map = chosen(values, place.command)
        try:
            place.setting.handle_parse_result(within, {}, [])
        except click.BadParameter as error:
            problems.append(bare_words(error))
            yield _row(place, within, error)
        else:
            yield _row(place, within)


def _row(place: Place, ctx: click.Context, error: click.BadParameter | None = None) -> Row:
    setting = place.setting
    name = setting.name or ""
    value, source = ctx.params.get(name), ctx.get_parameter_source(name)
    match source:
        case ParameterSource.ENVIRONMENT:
            origin = f"{setting.variable} in the environment"
        case ParameterSource.DEFAULT_MAP:
            origin = ctx.obj.origin(ctx, setting)
        case _:
            origin = "default"
    return Row(
        table=place.table,
        key=setting.key,
        flag=setting.flag,
        variable=setting.variable,
        value=_plain(value),
        shown="wrong" if error else setting.said if source is ParameterSource.DEFAULT else _shown(setting, ctx, value),
        source=SOURCES[source],
        origin=origin,
    )


def _shown(setting: Setting, ctx: click.Context, value: Any) -> str:
    """Write a value that is not the default."""
    if (
        value is None and ctx.default_map
    ):  # see options.py: a token's file of the file yields to the environment's token
        return f"{ctx.default_map[setting.name or '']}; not used, since {TOKEN_VARIABLE} is set"
    return shown_value(_plain(value))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, without passwords."""
    match value:
        case tuple() | list():
            return [_plain(each) for each in value]
        case str() | Path():
            return PASSWORD.sub(r"\1\2***", str(value))
        case _:
            return value


def _token_row(configuration: Configuration) -> Row:
    is_set = configuration.has_token
    return Row(
        table=CONNECT,
        key=None,
        flag=None,
        variable=TOKEN_VARIABLE,
        value=None,
        shown="set, not shown" if is_set else "not set",
        source="environment" if is_set else "default",
        origin=f"{TOKEN_VARIABLE} in the environment" if is_set else "default",
    )
