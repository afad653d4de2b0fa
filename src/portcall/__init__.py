"""Portcall: a fleet of containerised workers that looks like one gRPC server.

`Worker` is a drop-in `grpc.aio.Server`, `Channel` a drop-in `grpc.aio.Channel`; between them stands a hub.
"""

from portcall._version import __version__
from portcall.client import Channel
from portcall.errors import ConfigurationError, PortcallError, ProtocolError
from portcall.worker import Worker

__all__ = ["Channel", "ConfigurationError", "PortcallError", "ProtocolError", "Worker", "__version__"]
