"""Settings of a hub, and the check that it listens where it may."""

from dataclasses import dataclass, field
from pathlib import Path

from portcall.core.limits import CallLimits
from portcall.errors import ConfigurationError
from portcall.hub.guard import REREAD_S
from portcall.hub.identity import ServerTls
from portcall.wire.access import TOKEN_VARIABLE, is_loopback
from portcall.wire.limits import LINK_BYTES_MAX, MESSAGE_BYTES_MAX, Liveness
from portcall.wire.target import is_host
from portcall.wire.tokens import check_token

MESSAGE_BYTES_LIMIT = 2**31 - 1
"""gRPC counts the bytes of a message in 32 bits with a sign."""

PORT_MAX = 65_535

TLS_LACKING = "--tls-cert and --tls-key, so that nobody can listen in"
TOKENS_LACKING = "--token-file, so that not everybody can join ('portcall token' makes one)"


WINDOW_BYTES_MIN, WINDOW_BYTES_MAX = 65_536, 1_073_741_824
"""HTTP/2 begins with the one (RFC 9113, 6.9.2), but for a byte, and has little room above the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """Settings of a hub. Times in seconds, sizes in bytes.

    Raises:
        ConfigurationError: a value that cannot work, or an address beyond loopback without TLS and tokens.
    """

    listen: str = "127.0.0.1:7070"
    """HOST:PORT (port 0: any free one) or unix:PATH."""

    is_insecure: bool = False
    """Listen beyond loopback without TLS and tokens, because something else guards the network."""

    tls: ServerTls | None = None
    """What the hub shows to those who connect; None for no encryption."""

    token_file: Path | None = None
    """The tokens that the hub takes, a line `ROLES TOKEN [NAME]` for each; None, and no `token`, for none at all."""

    token: str | None = field(default=None, repr=False)
    """The one token, for every role, of a hub that has no `token_file`."""

    reread_s: float = REREAD_S
    """How often the token file is looked at. A change is taken up by the second look that sees it."""

    grace_s: float = 10.0
    """How long a dropped link may stay away and still resume."""

    message_bytes_max: int = MESSAGE_BYTES_MAX
    """Largest message of a call, either way."""

    streams_max: int = 1_000
    """Calls of one native connection at once; more wait at their client, as HTTP/2 has it (RFC 9113, 5.1.2)."""

    window_bytes: int = 1_048_576
    """What one stream may send ahead of its reader: a native call, whose reader may be slow, or a whole link, which is
    always read. The hub may so have to hold as much for each native call that uploads; and a link brings at most as
    much in each round trip: 50 MB/s where that takes 20 ms."""

    links_max: int = 20_000
    """Links at once; past it a hello is refused."""

    link_bytes_max: int = LINK_BYTES_MAX
    """Bytes that the hub keeps for a link that does not read; past it, a link that still sends is ended."""

    limits: CallLimits = field(default_factory=CallLimits)
    liveness: Liveness = field(default_factory=Liveness)

    def __post_init__(self) -> None:
        has_tokens = self.token_file is not None or self.token is not None
        check_listen_address(
            self.listen, is_insecure=self.is_insecure, has_tls=self.tls is not None, has_tokens=has_tokens
        )
        if self.token is not None:
            check_token(self.token, TOKEN_VARIABLE)
        if self.reread_s <= 0:
            raise ConfigurationError(f"reread_s is {self.reread_s:g}; it must be above 0")
        if self.message_bytes_max < 1:
            raise ConfigurationError(f"message_bytes_max is {self.message_bytes_max}; it must be at least 1 byte")
        if self.message_bytes_max > MESSAGE_BYTES_LIMIT:
            raise ConfigurationError(
                f"a message of {self.message_bytes_max} bytes is more than gRPC can send; --message-bytes-max can be"
                f" {MESSAGE_BYTES_LIMIT} at most"
            )
        if self.streams_max < 1:
            raise ConfigurationError(f"streams_max is {self.streams_max}; it must be at least 1 call")
        if not WINDOW_BYTES_MIN <= self.window_bytes <= WINDOW_BYTES_MAX:
            raise ConfigurationError(
                f"window_bytes is {self.window_bytes}; it must be from {WINDOW_BYTES_MIN} to {WINDOW_BYTES_MAX} bytes"
            )
        if self.liveness.ping_interval_s <= 0:
            raise ConfigurationError(f"ping_interval_s is {self.liveness.ping_interval_s:g}; it must be above 0")
        if self.grace_s < 0:
            raise ConfigurationError(f"grace_s is {self.grace_s:g}; it cannot be negative (0 turns resumption off)")


def check_listen_address(
    address: str,
    *,
    is_insecure: bool,
    has_tls: bool = False,
    has_tokens: bool = False,
    can_be_guarded: bool = True,
) -> None:
    """Refuse an address that cannot be listened on, or that is not loopback's while somebody could listen in or join.

    With `can_be_guarded` false nothing is said of TLS and tokens, which the command then has no options for.

    Raises:
        ConfigurationError: with the address and what to write instead.
    """
    if address.startswith("unix:"):
        if has_tls:
            raise ConfigurationError(f"{address} needs no TLS, since nobody can listen in. Leave --tls-cert away")
        return
    host, colon, port = address.rpartition(":")
    if not colon or not is_host(host) or not port.isdecimal() or int(port) > PORT_MAX:
        raise ConfigurationError(
            f"cannot listen on {address!r}: it should be HOST:PORT, as in 127.0.0.1:7070, or unix:PATH"
        )
    if is_insecure or is_loopback(host) or (has_tls and has_tokens):
        return
    lacking = [words for words, is_there in ((TLS_LACKING, has_tls), (TOKENS_LACKING, has_tokens)) if not is_there]
    remedies = [
        *([f"Add {', and '.join(lacking)}"] if can_be_guarded else []),
        f"listen on 127.0.0.1:{port}",
        "add --insecure if something else guards that network",
    ]
    remedy = "; or ".join(remedies)
    raise ConfigurationError(
        f"will not listen on {address!r}: it can be reached from beyond this machine. {remedy[0].upper()}{remedy[1:]}"
    )
