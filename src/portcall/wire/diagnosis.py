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


_SIGNS: Final = tuple(
    _Sign(pattern=re.compile(pattern), meaning=meaning, with_tls=with_tls)
    for pattern, with_tls, meaning in (
        (
            "certificate has expired",
            True,
            "the hub's certificate has expired. Renew it; the hub takes a new file up by itself",
        ),
        ("certificate is not yet valid", True, "the hub's certificate is not valid yet. Compare the clocks"),
        (
            "Hostname Verification Check failed|No match found for server name",
            True,
            "the hub's certificate is made out to another name. Dial a name that it has, or have it made out to this one",
        ),
        (
            "CERTIFICATE_VERIFY_FAILED",
            True,
            "the hub's certificate is signed by an authority that is not trusted here. Name that authority's file"
            " with --tls-ca (PORTCALL_TLS_CA)",
        ),
        (
            "WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG",
            True,
            "what answers there does not speak TLS. Start the hub with --tls-cert and --tls-key, or leave TLS away here",
        ),
        (
            "missing selected ALPN property",
            True,
            "what answers there speaks TLS but not HTTP/2; it may be a proxy that speaks HTTP/1 only",
        ),
        (
            "http1.x server|Failed parsing HTTP/2|Trying to connect an http1",
            None,
            "what answers there speaks HTTP/1, so it is no hub; it may be a proxy that has no HTTP/2",
        ),
        (
            "Socket closed|Connection reset|GOAWAY",
            True,
            "the hub ended the connection during the TLS handshake. It may ask for a certificate of this program's"
            " (--tls-cert and --tls-key), or not trust the one that it got",
        ),
        (
            "Socket closed|GOAWAY",
            False,
            "what answers there closes the connection at once. If the hub uses TLS, use it here too: --tls-ca FILE or"
            " --tls",
        ),
    )
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
    last = details.rpartition("last error: ")[2]
    last = re.sub(r"^[A-Z_]+: (?:(?:ipv4|ipv6|unix):\S+: )?", "", last)
    return last.removesuffix(": OK")


def _mend_refusal(access: Access, code: grpc.StatusCode) -> str:
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return "Use a token with that role; the hub's token file says which roles a token has"
    if access.token is None:
        return "Set PORTCALL_TOKEN, or name the file that has the token with --token-file"
    return "The token is not, or no longer, in the hub's token file. Get one that is"
