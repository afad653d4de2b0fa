"""What gRPC says of a failed connection, in words that help: what happened, where, and how to mend it.

gRPC ends every call on a connection that could not be made UNAVAILABLE, and puts what it knows into the details. The
table here knows those details; `portcall doctor` goes and looks, for those that it does not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

import grpc

from portcall.wire.access import Access

REFUSALS: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
"""Statuses with which a hub says that the credentials are at fault."""

DOCTOR: Final = "'portcall doctor' finds out more"


class Ailment(Enum):
    """What keeps a connection from being made, as far as gRPC's words tell."""

    EXPIRED = auto()
    NOT_YET_VALID = auto()
    OTHER_NAME = auto()
    UNTRUSTED = auto()
    NOT_TLS = auto()
    TLS_WITHOUT_HTTP2 = auto()
    NOT_HTTP2 = auto()
    HANDSHAKE_ENDED = auto()
    CLOSED_AT_ONCE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sign:
    """Words of gRPC's, and what they are a sign of where TLS is used, or is not, or in both cases."""

    pattern: re.Pattern[str]
    ailment: Ailment
    with_tls: bool | None = None


_SIGNS: Final = (
    _Sign(with_tls=True, ailment=Ailment.EXPIRED, pattern=re.compile("certificate has expired")),
    _Sign(with_tls=True, ailment=Ailment.NOT_YET_VALID, pattern=re.compile("certificate is not yet valid")),
    _Sign(with_tls=True, ailment=Ailment.OTHER_NAME, pattern=re.compile("Hostname Verification Check failed")),
    _Sign(with_tls=True, ailment=Ailment.UNTRUSTED, pattern=re.compile("CERTIFICATE_VERIFY_FAILED")),
    _Sign(
        with_tls=True,
        ailment=Ailment.NOT_TLS,
        pattern=re.compile("WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG"),
    ),
    _Sign(with_tls=True, ailment=Ailment.TLS_WITHOUT_HTTP2, pattern=re.compile("missing selected ALPN property")),
    _Sign(ailment=Ailment.NOT_HTTP2, pattern=re.compile("Failed parsing HTTP/2")),
    _Sign(with_tls=True, ailment=Ailment.HANDSHAKE_ENDED, pattern=re.compile("Socket closed|Connection reset")),
    _Sign(with_tls=False, ailment=Ailment.CLOSED_AT_ONCE, pattern=re.compile("Socket closed")),
)
"""The first one that fits counts."""

_HUB_WORDS: Final[Mapping[Ailment, str]] = MappingProxyType(
    {
        Ailment.EXPIRED: "the hub's certificate has expired. Renew it; the hub takes a new file up by itself",
        Ailment.NOT_YET_VALID: "the hub's certificate is not valid yet. Compare the clocks of both machines",
        Ailment.OTHER_NAME: "the hub's certificate is made out to another name. Dial a name that is in it, or have this"
        " one put in",
        Ailment.UNTRUSTED: "the hub's certificate is signed by an authority that is not trusted here. Name the file of"
        " that authority with --tls-ca (PORTCALL_TLS_CA)",
        Ailment.NOT_TLS: "what answers there does not speak TLS. Start the hub with --tls-cert and --tls-key, or leave"
        " TLS away here",
        Ailment.TLS_WITHOUT_HTTP2: "what answers there speaks TLS but not HTTP/2; it may be a proxy that speaks HTTP/1"
        " only",
        Ailment.NOT_HTTP2: "what answers there does not speak HTTP/2, so it is no hub; it may be a proxy that speaks"
        " HTTP/1 only",
        Ailment.HANDSHAKE_ENDED: "the connection ended in the TLS handshake. The hub may ask for a certificate of this"
        " program's (--tls-cert and --tls-key), or not trust the one that it got",
        Ailment.CLOSED_AT_ONCE: "what answers there closes the connection at once. If the hub uses TLS, use it here"
        " too: --tls-ca FILE or --tls",
    }
)


def diagnose(details: str, *, is_encrypted: bool) -> Ailment | None:
    """Return what the details of a call tell of a connection that could not be made, or None if that is not known."""
    for sign in _SIGNS:
        if sign.with_tls in {None, is_encrypted} and sign.pattern.search(details):
            return sign.ailment
    return None


def explain(access: Access, code: grpc.StatusCode, details: str) -> str:
    """Return in one line why a hub could not be reached or did not take us, and how to mend it."""
    if code in REFUSALS:
        return f"the hub at {access.target} refuses us ({code.name}: {details}). {_mend_refusal(access, code)}"
    if code is grpc.StatusCode.UNAVAILABLE:
        ailment = diagnose(details, is_encrypted=access.is_encrypted)
        if ailment is not None:
            return f"{_HUB_WORDS[ailment]}. {DOCTOR} ({reason(details)})"
    return f"{code.name}: {details}"


def reason(details: str) -> str:
    """Return what matters of gRPC's details: what happened last, without addresses."""
    words = details.removesuffix(": OK").removesuffix("]").removesuffix(".")
    if tls_words := re.search(r"OPENSSL_internal:(.*)", words):
        return tls_words[1]
    return re.sub(r"^.*: | \(\d+\)$", "", words)


def _mend_refusal(access: Access, code: grpc.StatusCode) -> str:
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return "Use a token with that role; the hub's token file says which roles a token has"
    if access.token is None:
        return "Set PORTCALL_TOKEN, or name the file that has the token with --token-file"
    return "The token is not, or no longer, in the hub's token file. Get one that is"
