"""Who may do what at a hub: the token file, and the decision about each call. Pure; `hub.guard` reads the file.

A line of the file is `ROLES TOKEN [NAME]`, as in `worker,client 3q2-7w... crawlers`. Tokens are kept as digests under a
key that the process has made up, so that neither a dump of the file's digests nor the time that a comparison takes
tells anything about a token.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

import grpc

from portcall.errors import ConfigurationError
from portcall.wire.tokens import AUTHORIZATION, check_token, presented

NAME_CHARACTERS_MAX: Final = 80


class Role(Enum):
    """What a token may be used for; what is at the other end of a link."""

    WORKER = "worker"
    """Attach a worker."""

    CLIENT = "client"
    """Open sessions, call natively, use reflection and the fleet service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token that a hub knows, without the secret."""

    name: str
    roles: frozenset[Role]
    digest: bytes = field(repr=False)


Tokens: TypeAlias = Mapping[bytes, Token]
"""By digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A call may go on."""

    token: Token
    is_in_authorization: bool
    """Whether `authorization` holds a token, and must go no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A call may not go on."""

    code: grpc.StatusCode
    details: str
    """For the caller, and for the log."""


def digest(token: str, key: bytes) -> bytes:
    """Return what a token is known by."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), key=key, digest_size=32).digest()


def parse_tokens(text: str, source: str, key: bytes) -> dict[bytes, Token]:
    """Return the tokens of a file.

    Raises:
        ConfigurationError: a line that says no token, one token twice, or no token at all. Names the line, never what
            is in it.
    """
    tokens: dict[bytes, Token] = {}
    lines: dict[bytes, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        place = f"{source}, line {number}"
        if len(words) == 1:
            raise ConfigurationError(f"{place}: a line is ROLES TOKEN [NAME], as 'portcall token' prints it")
        roles = _parse_roles(words[0], place)
        name = words[2].strip() if len(words) > 2 else f"line {number}"  # noqa: PLR2004  # ROLES TOKEN NAME
        if not name.isprintable() or len(name) > NAME_CHARACTERS_MAX:
            raise ConfigurationError(f"{place}: a name has at most {NAME_CHARACTERS_MAX} printable characters")
        token = Token(name=name, roles=roles, digest=digest(check_token(words[1], f"{place}: the token"), key))
        if token.digest in tokens:
            raise ConfigurationError(
                f"{place}: the token is that of line {lines[token.digest]} too; remove one of them"
            )
        tokens[token.digest], lines[token.digest] = token, number
    if not tokens:
        raise ConfigurationError(f"{source} has no token; 'portcall token' prints a line for it")
    return tokens


def _parse_roles(word: str, place: str) -> frozenset[Role]:
    by_name = {role.value: role for role in Role}
    names = word.split(",")
    if not set(names) <= by_name.keys():
        raise ConfigurationError(f"{place}: the roles should be worker, client or worker,client")
    return frozenset(by_name[name] for name in names)


def decide(tokens: Tokens, key: bytes, role: Role, metadata: Iterable[tuple[str, str | bytes]]) -> Admission | Refusal:
    """Say whether a call with this metadata may be made in a role.

    `portcall-token` decides where it is present, and else `authorization`. An `authorization` that holds a token that
    the hub knows does not go further even where it did not decide.
    """
    entries = presented(metadata)
    if not entries:
        return Refusal(
            code=grpc.StatusCode.UNAUTHENTICATED,
            details="this hub wants a token, as metadata 'authorization: Bearer TOKEN' or 'portcall-token: TOKEN'",
        )
    found = [(entry_key, _find(tokens, token, key)) for entry_key, token in entries]
    token = found[0][1]
    if token is None:
        return Refusal(code=grpc.StatusCode.UNAUTHENTICATED, details="this hub does not know the token")
    if role not in token.roles:
        return Refusal(
            code=grpc.StatusCode.PERMISSION_DENIED,
            details=f"the token '{token.name}' has not the role {role.value}, only {_role_names(token)}",
        )
    is_in_authorization = any(entry_key == AUTHORIZATION and known is not None for entry_key, known in found)
    return Admission(token=token, is_in_authorization=is_in_authorization)


def still_admits(tokens: Tokens, token: Token, role: Role) -> bool:
    """Whether a token that was admitted before would be admitted now."""
    now = tokens.get(token.digest)
    return now is not None and role in now.roles


def _find(tokens: Tokens, token: str, key: bytes) -> Token | None:
    presented_digest = digest(token, key)
    found = tokens.get(presented_digest)
    return found if found is not None and hmac.compare_digest(found.digest, presented_digest) else None


def _role_names(token: Token) -> str:
    return ",".join(sorted(role.value for role in token.roles))
