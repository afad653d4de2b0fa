"""How a sidecar reaches its upstream: the address, TLS and the name, and what gRPC's failures there mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import grpc

from portcall.contract.descriptors import shown
from portcall.errors import ConfigurationError
from portcall.wire.access import Tls, check_files
from portcall.wire.diagnosis import Ailment, diagnose, reason
from portcall.wire.limits import WINDOW_BYTES
from portcall.wire.native import channel_credentials
from portcall.wire.target import PORT_MAX

METADATA_BYTES_MAX: Final = 131_072
"""Twice what a hub passes on by default, so that it is the hub that decides."""

KEEPALIVE_S: Final = 330.0
"""While calls are under way on a connection that brings nothing, HTTP/2 pings it this often. Servers end connections
that are pinged more often than every 5 minutes, or without calls, unless they are told otherwise."""

KEEPALIVE_ANSWER_S: Final = 60.0
"""How long such a ping may go unanswered, and bytes unacknowledged, before the connection's calls are ended."""

_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.~%-]+)(:[0-9]+)?", re.ASCII)

_WORDS: Final[Mapping[Ailment, str]] = MappingProxyType(
    {
        Ailment.EXPIRED: "its certificate has expired. Renew it",
        Ailment.NOT_YET_VALID: "its certificate is not valid yet. Compare the clocks of both machines",
        Ailment.OTHER_NAME: "its certificate is made out to another name. Dial a name that is in it, or say one with"
        " --upstream-authority",
        Ailment.UNTRUSTED: "its certificate is signed by an authority that is not trusted here. Name the file of that"
        " authority with --upstream-tls-ca",
        Ailment.NOT_TLS: "it does not speak TLS. Leave the --upstream-tls options away, or have the server use TLS",
        Ailment.TLS_WITHOUT_HTTP2: "it speaks TLS but not HTTP/2 (ALPN h2), so gRPC cannot be spoken with it",
        Ailment.NOT_HTTP2: "it does not speak HTTP/2 in clear. If it uses TLS, add --upstream-tls-ca FILE or"
        " --upstream-tls; else it is no gRPC server",
        Ailment.HANDSHAKE_ENDED: "it ended the TLS handshake. It may ask for a certificate (--upstream-tls-cert and"
        " --upstream-tls-key), or not trust the one that it got",
        Ailment.CLOSED_AT_ONCE: "it closes the connection at once. If it uses TLS, add --upstream-tls-ca FILE or"
        " --upstream-tls",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAccess:
    """How a server beside a sidecar is reached.

    Raises:
        ConfigurationError: the address or the name is none.
    """

    target: str
    """HOST:PORT or unix:PATH."""

    tls: Tls | None = None
    """Also over a unix socket, if it is given: that is for the server to say."""

    authority: str | None = None
    """The name that calls carry, and that the server's certificate has to have; if None, that of the target."""

    def __post_init__(self) -> None:
        _check_target(self.target)
        if self.authority is not None:
            _check_authority(self.authority)

    def check(self) -> None:
        """Read every file once, so that a mistake is told before anything is dialled.

        Raises:
            ConfigurationError: a file cannot be read, or is not what it should be.
        """
        if self.tls is not None:
            check_files(self.tls)

    def open_channel(self) -> grpc.aio.Channel:
        """Return a channel of its own, with the certificates as the files have them now.

        Raises:
            ConfigurationError: a file cannot be read, or is not what it should be.
        """
        options = _options(self)
        if self.tls is None:
            return grpc.aio.insecure_channel(self.target, options)
        return grpc.aio.secure_channel(self.target, channel_credentials(self.tls), options)

    def explain(self, details: str) -> str:
        """Return in one line why nobody answers, and where it is known how to mend it."""
        ailment = diagnose(details, is_encrypted=self.tls is not None)
        return shown(details) if ailment is None else f"{_WORDS[ailment]} ({shown(reason(details))})"


def _check_target(text: str) -> None:
    """Judge an upstream's address.

    Raises:
        ConfigurationError: it is neither HOST:PORT nor unix:PATH.
    """
    if text.startswith(("unix:", "dns:", "ipv4:", "ipv6:")) and not text.endswith(":"):
        return
    host, _, port = text.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) <= PORT_MAX:
        raise ConfigurationError(
            f"the upstream's address is {text!r}; it should be HOST:PORT, as in localhost:50051, or unix:PATH"
        )


def _check_authority(text: str) -> None:
    if not _AUTHORITY.fullmatch(text):
        raise ConfigurationError(
            f"the upstream's authority is {text!r}; it should be a name, as in shop.internal, with or without a port"
        )


def _options(access: UpstreamAccess) -> list[tuple[str, int | str]]:
    """Return the channel's options. Messages are as large as the hub allows, which is not known here."""
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        # A window as large as a link's. By itself gRPC lets it grow to 16 MB for each stream that nobody reads.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
        ("grpc.use_local_subchannel_pool", 1),
        # A sidecar stands beside its upstream, on this side of any proxy.
        ("grpc.enable_http_proxy", 0),
        # An upstream that nobody calls is there all the same.
        ("grpc.client_idle_timeout_ms", 2**31 - 1),
        ("grpc.keepalive_time_ms", round(KEEPALIVE_S * 1e3)),
        # The one counts for bytes that are not acknowledged, the other for pings.
        ("grpc.keepalive_timeout_ms", round(KEEPALIVE_ANSWER_S * 1e3)),
        ("grpc.http2.ping_timeout_ms", round(KEEPALIVE_ANSWER_S * 1e3)),
        # Without this, the third ping on a call that sends nothing would wait.
        ("grpc.http2.max_pings_without_data", 0),
    ]
    if access.authority is not None:
        options.append(("grpc.default_authority", access.authority))
    elif access.target.startswith("unix:"):
        # The path, which gRPC would send, is no authority that other servers take.
        options.append(("grpc.default_authority", "localhost"))
    return options
