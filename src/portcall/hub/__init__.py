"""The hub: the thin shell around the switchboard. One gRPC server that links, native calls and questions come to.

Owns sockets, certificates, tokens, sessions, the native ingress, reflection, health and the fleet view. May import
`portcall.core`, `portcall.wire`, `portcall.contract`, `portcall.protos` and `portcall.errors`.
"""

from portcall.hub.config import HubConfig
from portcall.hub.identity import ServerTls
from portcall.hub.server import Hub

__all__ = ["Hub", "HubConfig", "ServerTls"]
