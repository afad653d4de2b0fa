"""Judges what a file says: which settings there are in it, of which kind, and what is no setting at all. Pure."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from portcall.cli.nearest import nearest
from portcall.cli.settings.file import SettingsFile
from portcall.cli.settings.kinds import Kind, fits, kind_of, name_of
from portcall.cli.settings.setting import CONNECT, Setting

Tables = Mapping[str, Mapping[str, Setting]]
"""The settings of each table, by their keys."""

KEY_LENGTH_SHOWN: Final = 60

LIKENESS_MIN: Final = 0.6
"""Names of tables are short, and a slip is a large part of them."""

SECRET: Final = "token"  # noqa: S105  # the key's name
ADDRESS: Final = "HOST:PORT"
"""The metavar of settings that may be unix:PATH."""

ADDRESS_FORM: Final = re.compile(r"(unix|dns|ipv4|ipv6):.+|[^\s]+:[0-9]+")

SECRECY: Final = (
    "a token is a secret and does not belong into this file. Put it into one that only you can read, and name that:"
    " token-file"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a file says, as far as it is right, and what is wrong with it."""

    values: dict[str, Any] = field(default_factory=dict)
    """By the variable of each setting; paths are absolute."""

    problems: list[str] = field(default_factory=list)


class Checker:
    """Goes through one file."""

    def __init__(self, file: SettingsFile, names: Sequence[str], tables_of: Callable[[str], Tables]) -> None:
        """Take all names of tables, and what gives the settings of one of them and of those in it."""
        self._file = file
        self._names = names
        self._tables_of = tables_of
        self._judgement = Judgement()

    def judge(self) -> Judgement:
        """Return the judgement."""
        for name, value in self._file.document.items():
            if not isinstance(value, dict):
                self._say(None, self._stray(name, value))
            elif name in self._names:
                # A command that is not installed knows no keys, and cannot be run to mind them.
                if tables := self._tables_of(name):
                    self._judge_table(name, value, tables)
            else:
                self._say(None, f"there is no table [{name}]. {_instead(name, self._names, 'Tables are {}', '[{}]')}")
        return self._judgement

    def _judge_table(self, table: str, content: Mapping[str, Any], tables: Tables) -> None:
        for key, value in content.items():
            setting, inner = tables.get(table, {}).get(key), f"{table}.{key}"
            if setting is not None:
                self._judge_value(table, setting, value)
            elif isinstance(value, dict) and inner in tables:
                self._judge_table(inner, value, tables)
            else:
                self._say(table, self._unknown(table, key, tables))

    def _judge_value(self, table: str, setting: Setting, value: Any) -> None:
        kind = kind_of(setting)
        words = _misfits(setting, kind, value)
        if words:
            self._say(table, f"{setting.key} {words}")
        else:
            folder = self._file.folder
            self._judgement.values[setting.variable] = (
                [resolved(setting, each, folder) for each in value]
                if setting.multiple
                else resolved(setting, value, folder)
            )

    def _unknown(self, table: str, key: str, tables: Tables) -> str:
        if key.lower() == SECRET:
            return SECRECY
        keys = [*tables.get(table, {}), *(name.removeprefix(f"{table}.") for name in tables if name != table)]
        if table != CONNECT and key in self._tables_of(CONNECT)[CONNECT]:
            return f"{key} says how to reach a hub, so it belongs below [{CONNECT}]"
        return f"there is no key {_quoted(key)}. {_instead(key, keys, 'Keys are {}', '{}')}"

    def _stray(self, key: str, value: Any) -> str:
        if key.lower() == SECRET:
            return SECRECY
        if key in self._names:
            return f"{key} is {name_of(value)}, and should be a table: [{key}], with keys below it"
        if key in self._tables_of(CONNECT)[CONNECT]:
            return f"{key} stands in no table; it belongs below [{CONNECT}]"
        return f"{_quoted(key)} stands in no table; each key belongs below one, as in [hub] or [{CONNECT}]"

    def _say(self, table: str | None, words: str) -> None:
        place = self._file.name if table is None else f"{self._file.name} [{table}]"
        self._judgement.problems.append(f"{place}: {words}")


def resolved(setting: Setting, value: Any, folder: Path) -> Any:
    """Return a value whose path, if it has one, no longer depends on where the command is started."""
    if isinstance(setting.type, click.Path):
        return os.path.normpath(folder / os.path.expanduser(value))  # noqa: PTH111  # unlike Path's, never raises
    unix = re.fullmatch(r"unix:([^/].*)", str(value))
    if setting.metavar == ADDRESS and unix is not None:
        return f"unix:{folder / unix[1]}"
    return value


def _misfits(setting: Setting, kind: Kind, value: Any) -> str | None:
    """Say what is wrong with a value, without the value: it might be a secret in the wrong place."""
    if setting.multiple:
        if not isinstance(value, list):
            return f"is {name_of(value)}, and should be an array, as in {setting.key} = [...]; in it, {kind.words}"
        found = (_misfit(kind, each, "has", is_address=False) for each in value)
        return next((words for words in found if words), None)
    return _misfit(kind, value, "is", is_address=setting.metavar == ADDRESS)


def _misfit(kind: Kind, value: Any, verb: str, *, is_address: bool) -> str | None:
    if not fits(kind, value):
        return f"{verb} {name_of(value)}, and should {'be' if verb == 'is' else 'have'} {kind.words}"
    if isinstance(value, str) and not value:
        return f"{verb} an empty string; remove it, or say {kind.words}"
    if isinstance(value, str) and "\0" in value:
        return f"{verb} a string with a NUL character"
    if is_address and not ADDRESS_FORM.fullmatch(str(value)):
        return f"{verb} no address; say HOST:PORT, as in 127.0.0.1:7070, or unix:PATH"
    return None


def _instead(name: str, names: Sequence[str], all_words: str, form: str) -> str:
    near = nearest(name, names, LIKENESS_MIN)
    if near is not None:
        return f"Did you mean {form.format(near)}?"
    return all_words.format(", ".join(form.format(each) for each in names)) if names else "It takes no keys"


def _quoted(key: str) -> str:
    """Return a key of the user's in quotes, cut where it is no name that anybody would write."""
    return repr(key if len(key) <= KEY_LENGTH_SHOWN else f"{key[:KEY_LENGTH_SHOWN]}...")
