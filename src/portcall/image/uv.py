"""`uv.lock`, by uv's own export: its format is uv's alone, and may change with any release of it."""

import importlib.util
import sys
from pathlib import Path

from portcall.errors import ConfigurationError
from portcall.image.running import Command, Ended, is_installed, run

EXPORT_S = 120.0

_NO_PYTHON = "No interpreter found"


def exported_by_uv(path: Path, folder: Path) -> str:
    """Return what a `uv.lock` says as a `pylock.toml`, whose paths are relative to the project's folder.

    Raises:
        ConfigurationError: there is no uv, or the lock does not fit the project.
    """
    uv = _uv()
    if not uv:
        raise ConfigurationError(
            f"{path} is uv's own, and uv is not installed. Install it (pip install uv), or make a lock that all tools"
            " read:  uv export --format pylock.toml --no-dev -o pylock.toml"
        )
    ended = run(export_command(uv, folder, "--locked"))
    if ended.code and _NO_PYTHON in ended.words:  # without one that fits the project uv cannot check, but it can export
        ended = run(export_command(uv, folder, "--frozen"))
    if ended.code:
        raise _explain(path, ended)
    return ended.stdout


def export_command(uv: list[str], folder: Path, check: str) -> Command:
    """Return what has uv tell a lock in the form that all tools read."""
    options = ["--format", "pylock.toml", check, "--no-dev", "--no-emit-project", "--no-header", "--quiet"]
    return Command(arguments=[*uv, "export", *options, "--no-python-downloads"], folder=folder, timeout_s=EXPORT_S)


def _uv() -> list[str]:
    """Return how uv is called: as a program, or as it is installed beside portcall; nothing if it is not."""
    if is_installed("uv"):
        return ["uv"]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else []


def _explain(path: Path, ended: Ended) -> ConfigurationError:
    if "needs to be updated" in ended.words:
        return ConfigurationError(f"{path} does not fit pyproject.toml any more. Lock anew:  uv lock")
    return ConfigurationError(f"uv cannot export {path}: {ended.words}")
