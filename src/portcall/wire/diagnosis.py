"""What gRPC says of a failed connection, in words that help: what happened, where, and how to mend it.

gRPC ends every call on a connection that could not be made UNAVAILABLE, and puts what it knows into the details. The
table here knows those details; `portcall doctor` goes and looks, for those that it does not.
"""

import re
from dataclasses import dataclass
from typing import Final

import grpc

from portcall.wire.access import Access

REFUSALS: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
"""Statuses with which a hub says that the credentials are at fault."""

DOCTOR: Final = "'portcall doctor' finds out more"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sign:
    """Words of gRPC's, and what they mean where TLS is used, or is not, or in both cases."""

    pattern: re.Pattern[str]
    meaning: str
    with_tls: bool | None = None


_SIGNS: Final = (
    _Sign(
        with_tls=True,
        pattern=re.compile("certificate has expired"),
        meaning="the hub's certificate has expired. Renew it; the hub takes a new file up by itself",
    ),
    _Sign(
        with_tls=True,
        pattern=re.compile("certificate is not yet valid"),
        meaning="the hub's certificate is not valid yet. Compare the clocks of both machines",
    ),
    _Sign(
        with_tls=True,
        pattern=re.compile("Hostname Verification Check failed"),
        meaning="the hub's certificate is made out to another name. Dial a name that is in it, or have this one put in",
    ),
    _Sign(
        with_tls=True,
        pattern=re.compile("CERTIFICATE_VERIFY_FAILED"),
        meaning="the hub's certificate is signed by an authority that is not trusted here. Name the file of that"
        " authority with --tls-ca (PORTCALL_TLS_CA)",
    ),
    _Sign(
        with_tls=True,
        pattern=re.compile("WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG"),
        meaning="what answers there does not speak TLS. Start the hub with --tls-cert and --tls-key, or leave TLS away"
        " here",
    ),
    _Sign(
        with_tls=True,
        pattern=re.compile("missing selected ALPN property"),
        meaning="what answers there speaks TLS but not HTTP/2; it may be a proxy that speaks HTTP/1 only",
    ),
    _Sign(
        pattern=re.compile("Failed parsing HTTP/2"),
        meaning="what answers there does not speak HTTP/2, so it is no hub; it may be a proxy that speaks HTTP/1 only",
    ),
    _Sign(
        with_tls=True,
        pattern=re.compile("Socket closed|Connection reset"),
        meaning="the connection ended in the TLS handshake. The hub may ask for a certificate of this program's"
        " (--tls-cert and --tls-key), or not trust the one that it got",
    ),
    _Sign(
        with_tls=False,
        pattern=re.compile("Socket closed"),
        meaning="what answers there closes the connection at once. If the hub uses TLS, use it here too:"
        " --tls-ca FILE or --tls",
    ),
)


def explain(access: Access, code: grpc.StatusCode, details: str) -> str:
    """Return in one line why a hub could not be reached or did not take us, and how to mend it."""
    if code in REFUSALS:
        return f"the hub at {access.target} refuses us ({code.name}: {details}). {_mend_refusal(access, code)}"
    if code is grpc.StatusCode.UNAVAILABLE:
        for sign in _SIGNS:
            if sign.with_tls in {None, access.is_encrypted} and sign.pattern.search(details):
                return f"{sign.meaning}. {DOCTOR} ({reason(details)})"
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
