"""Runs commands that others have decided on. The one place here that starts a program."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from portcall.errors import ConfigurationError
from portcall.image.errors import ImageError

WORDS_MAX = 2_000
"""How much of what a program said is passed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program with its arguments, as a value."""

    arguments: Sequence[str]
    folder: Path | None = None
    stdin: bytes = b""
    timeout_s: float = 60.0
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended, and what it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """Return the end of what it said, for an error."""
        return (self.stderr.strip() or self.stdout.strip())[-WORDS_MAX:]


def is_installed(program: str) -> bool:
    """Whether a program can be run."""
    return shutil.which(program) is not None


def run(command: Command) -> Ended:
    """Run a program to its end.

    Raises:
        ConfigurationError: it is not installed.
        ImageError: it takes too long.
    """
    try:
        done = subprocess.run(  # noqa: S603  # no shell, and the arguments are ours
            command.arguments,
            cwd=command.folder,
            input=command.stdin,
            capture_output=True,
            timeout=command.timeout_s,
            env=command.environment,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigurationError(f"{command.arguments[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"{' '.join(command.arguments[:3])} has not ended in {command.timeout_s:g} s") from None
    return Ended(
        code=done.returncode,
        stdout=done.stdout.decode(errors="replace"),
        stderr=done.stderr.decode(errors="replace"),
    )


def feed(command: Command, write: Callable[[IO[bytes]], None]) -> Ended:
    """Run a program that reads what `write` writes.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # as above
            command.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except FileNotFoundError:
        raise ConfigurationError(f"{command.arguments[0]} is not installed") from None
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            write(process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says why
        said = process.stdout.read().decode(errors="replace")
    return Ended(code=process.returncode, stdout=said, stderr="")
