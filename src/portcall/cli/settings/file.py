"""`portcall.toml`: where it is, and what stands in it."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portcall.cli.settings.setting import FILE_NAME, FILE_VARIABLE
from portcall.errors import ConfigurationError

BYTES_MAX: Final = 1 << 20
"""Larger files are none that anybody has written."""

ROOT_USER: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFile:
    """A file of settings, as it was read."""

    path: Path
    """Absolute."""

    name: str
    """As messages call it."""

    document: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Return where its relative paths begin."""
        return self.path.parent


def named_file(option: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the file that `--config` or else PORTCALL_CONFIG names: "" for none at all, None if neither is there."""
    return environ.get(FILE_VARIABLE) if option is None else option


def find_file(named: str | None, here: Path) -> Path | None:
    """Return the file to read, if there is one: the one that is named, or the nearest in this folder and those above.

    Raises:
        ConfigurationError: the one that was found is somebody else's.
    """
    if named is not None:
        return here / named if named else None
    for folder in (here, *here.parents):
        path = folder / FILE_NAME
        if os.path.isfile(path):  # noqa: PTH113  # unlike Path.is_file, not troubled by folders that cannot be read
            _check_owner(path, here)
            return path
    return None


def read_file(path: Path, name: str, named_by: str | None = None) -> SettingsFile:
    """Read a file of settings.

    Raises:
        ConfigurationError: it cannot be read, or is no TOML; with line and column.
    """
    try:
        with path.open("rb") as file:
            text = file.read(BYTES_MAX + 1)
    except OSError as error:
        remedy = f". Correct {named_by}" if named_by else ""
        raise ConfigurationError(f"cannot read {name}: {error.strerror}{remedy}") from None
    if len(text) > BYTES_MAX:
        raise ConfigurationError(f"{name} has more than {BYTES_MAX >> 20} MiB, so it is no file of settings")
    try:
        document = tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{name}, line {line}: this is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(_located(name, str(error))) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets thousands deep
        raise ConfigurationError(f"{name} cannot be read as TOML: {error}") from None
    return SettingsFile(path=path, name=name, document=document)


def shown_path(path: Path, here: Path) -> str:
    """Return how a file that was found is called from here: by a short way or none."""
    return os.path.relpath(path, here)


def _located(name: str, words: str) -> str:
    """Return an error of `tomllib`'s with the place in front."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|(end of document))\)", words, re.DOTALL)
    if match is None:
        return f"{name}: {words}"
    message = match[1][:1].lower() + match[1][1:]
    return f"{name}, line {match[2]}, column {match[3]}: {message}" if match[2] else f"{name}, at its end: {message}"


def _check_owner(path: Path, here: Path) -> None:
    """Refuse a file that somebody else has put into our way, as in /tmp: it could send our token to a hub of theirs.

    Files of whoever owns the folder that we were started in are not refused: their code would be run, too, and a
    container sees the folders of its host's users.
    """
    try:
        owner, ours = path.stat().st_uid, {os.getuid(), ROOT_USER, here.stat().st_uid}
    except OSError:
        return
    if owner not in ours:
        raise ConfigurationError(
            f"{path} belongs to another user (number {owner}), so it is not taken without being named. Name it with"
            f" --config, or set {FILE_VARIABLE} to nothing to do without"
        )
