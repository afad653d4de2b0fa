"""Tokens as they travel: what one looks like, and in which metadata it goes.

A token is a bearer's secret (RFC 6750). It is never part of a message that anybody reads: errors name its source.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from portcall.errors import ConfigurationError

TOKEN_CHARACTERS_MIN: Final = 16
TOKEN_CHARACTERS_MAX: Final = 512
"""Far from the 8 KiB that gRPC takes of metadata."""

AUTHORIZATION: Final = "authorization"
TOKEN_KEY: Final = "portcall-token"  # noqa: S105  # the name of the entry
"""For programs that need `authorization` for themselves. It is Portcall's own: no hub passes it on, ever."""

_BEARER = "bearer "
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")

Entries = tuple[tuple[str, str], ...]


def check_token(token: str, source: str) -> str:
    """Return a token that can be one.

    Raises:
        ConfigurationError: it is too short to be a secret, too long, or no header could carry it. Names the source, and
            not the token.
    """
    if not token:
        raise ConfigurationError(f"{source} is empty; 'portcall token' makes a token")
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"{source} is not a token: only letters, digits and . _ ~ + / - may be in it, and = at its end."
            " 'portcall token' makes one"
        )
    if not TOKEN_CHARACTERS_MIN <= len(token) <= TOKEN_CHARACTERS_MAX:
        raise ConfigurationError(
            f"{source} has {len(token)} characters; a token should have {TOKEN_CHARACTERS_MIN} to"
            f" {TOKEN_CHARACTERS_MAX}. 'portcall token' makes one"
        )
    return token


def read_token_file(path: Path) -> str:
    """Return the token that stands alone in a file; lines that begin with # are comments.

    Raises:
        ConfigurationError: the file cannot be read, or holds anything else.
    """
    source = f"the token in {path}"
    lines = [line.strip() for line in read_text(path, "the token file").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if len(found) > 1 or (found and " " in found[0]):
        raise ConfigurationError(
            f"{path} should hold one token and nothing else; lines with roles and names are for the hub's file"
        )
    return check_token(found[0] if found else "", source)


def read_text(path: Path, what: str) -> str:
    """Return what is in a small text file.

    Raises:
        ConfigurationError: it cannot be read; `what` says what it should have been.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} {path} is not a text file") from None
    except OSError as error:
        raise ConfigurationError(f"cannot read {what} {path}: {error.strerror}") from None


def is_readable_by_others(path: Path) -> bool:
    """Whether every user of this machine may read a file."""
    try:
        return bool(path.stat().st_mode & 0o004)
    except OSError:
        return False


def bearer_entries(token: str) -> Entries:
    """Return the metadata that presents a token as HTTP does it."""
    return ((AUTHORIZATION, f"Bearer {token}"),)


def own_entries(token: str) -> Entries:
    """Return the metadata that presents a token and leaves `authorization` to the program."""
    return ((TOKEN_KEY, token),)


def presented(metadata: Iterable[tuple[str, str | bytes]]) -> list[tuple[str, str]]:
    """Return the entries that may hold a token, as (key, token): `portcall-token` before `authorization`.

    Of an `authorization` only the Bearer scheme is looked at; any other is the program's own.
    """
    found: list[tuple[str, str]] = []
    for key, value in metadata:
        if key == TOKEN_KEY:
            found.insert(0, (key, _text(value)))
        elif key == AUTHORIZATION:
            text = _text(value)
            if text[: len(_BEARER)].lower() == _BEARER:
                found.append((key, text[len(_BEARER) :].strip(" ")))
    return found


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else os.fsdecode(value)
