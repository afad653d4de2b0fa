"""Where whoever dials finds the hub."""

import os
from collections.abc import Mapping

from portcall.errors import ConfigurationError

HUB_VARIABLE = "PORTCALL_HUB"
PORT_MAX = 65_535
HUB_DEFAULT = "127.0.0.1:7070"


def hub_target(hub: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the hub's address as gRPC takes it: the argument, or PORTCALL_HUB, or the default.

    Raises:
        ConfigurationError: it is neither HOST:PORT nor unix:PATH.
    """
    source = "the hub's address"
    if hub is None:
        hub = environ.get(HUB_VARIABLE) or HUB_DEFAULT
        source = HUB_VARIABLE
    if hub.startswith(("unix:", "dns:", "ipv4:", "ipv6:")):
        return hub
    host, _, port = hub.rpartition(":")
    if not host or not is_host(host) or not port.isdecimal() or not 0 < int(port) <= PORT_MAX:
        raise ConfigurationError(f"{source} is {hub!r}; it should be HOST:PORT, as in {HUB_DEFAULT}, or unix:PATH")
    return hub


def is_host(text: str) -> bool:
    """Whether this may be the host of an address, and is no URL and no IPv6 address without its brackets."""
    return "/" not in text and (":" not in text or text.startswith("["))
