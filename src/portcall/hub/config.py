"""Settings of a hub, and the check that it listens where it may."""

import ipaddress
from dataclasses import dataclass, field

from portcall.core.limits import CallLimits
from portcall.errors import ConfigurationError
from portcall.wire.limits import LINK_BYTES_MAX, MESSAGE_BYTES_MAX, Liveness

PORT_MAX = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """Settings of a hub. Times in seconds, sizes in bytes.

    Raises:
        ConfigurationError: a value that cannot work, or an address beyond loopback without `is_insecure`.
    """

    listen: str = "127.0.0.1:7070"
    """HOST:PORT (port 0: any free one) or unix:PATH."""

    is_insecure: bool = False
    """Listen beyond loopback without TLS and tokens, because something else guards the network."""

    grace_s: float = 10.0
    """How long a dropped link may stay away and still resume."""

    message_bytes_max: int = MESSAGE_BYTES_MAX
    """Largest message of a call, either way."""

    streams_max: int = 1_000
    """Calls of one native connection at once; more wait at their client, as HTTP/2 has it (RFC 9113, 5.1.2)."""

    links_max: int = 20_000
    """Links at once; past it a hello is refused."""

    link_bytes_max: int = LINK_BYTES_MAX
    """Bytes that the hub keeps for a link that does not read; past it, a link that still sends is ended."""

    limits: CallLimits = field(default_factory=CallLimits)
    liveness: Liveness = field(default_factory=Liveness)

    def __post_init__(self) -> None:
        check_listen_address(self.listen, is_insecure=self.is_insecure)
        if self.message_bytes_max < 1:
            raise ConfigurationError(f"message_bytes_max is {self.message_bytes_max}; it must be at least 1 byte")
        if self.streams_max < 1:
            raise ConfigurationError(f"streams_max is {self.streams_max}; it must be at least 1 call")
        if self.liveness.ping_interval_s <= 0:
            raise ConfigurationError(f"ping_interval_s is {self.liveness.ping_interval_s:g}; it must be above 0")
        if self.grace_s < 0:
            raise ConfigurationError(f"grace_s is {self.grace_s:g}; it cannot be negative (0 turns resumption off)")


def check_listen_address(address: str, *, is_insecure: bool) -> None:
    """Refuse an address that cannot be listened on, or that is not loopback's.

    Raises:
        ConfigurationError: with the address and what to write instead.
    """
    if address.startswith("unix:"):
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > PORT_MAX:
        raise ConfigurationError(
            f"cannot listen on {address!r}: it should be HOST:PORT, as in 127.0.0.1:7070, or unix:PATH"
        )
    if not is_insecure and not is_loopback(host):
        raise ConfigurationError(
            f"will not listen on {address!r}: it can be reached from beyond this machine, and links are not encrypted."
            f" Listen on 127.0.0.1:{port}, or add --insecure if something else guards that network"
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
