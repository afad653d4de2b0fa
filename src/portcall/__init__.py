"""Portcall: a fleet of containerised workers that looks like one gRPC server.

`Worker` is a drop-in `grpc.aio.Server`, `Channel` a drop-in `grpc.aio.Channel`, `sync.Channel` a drop-in
`grpc.Channel`; between them stands a hub.
"""

import importlib
from typing import TYPE_CHECKING

from portcall._version import __version__
from portcall.errors import ConfigurationError, PortcallError, ProtocolError

if TYPE_CHECKING:
    from portcall import sync
    from portcall.client import Channel
    from portcall.wire.access import Tls
    from portcall.wire.current import CurrentJob, JobLogHandler, current_job
    from portcall.worker import Worker
else:
    _MODULES = {
        "Channel": "portcall.client",
        "CurrentJob": "portcall.wire.current",
        "JobLogHandler": "portcall.wire.current",
        "Tls": "portcall.wire.access",
        "Worker": "portcall.worker",
        "current_job": "portcall.wire.current",
    }

    def __getattr__(name: str) -> object:
        """Import what needs gRPC only when asked for: the command line sets gRPC up before, and starts faster."""
        if name == "sync":
            return importlib.import_module("portcall.sync")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
        return value


__all__ = [
    "Channel",
    "ConfigurationError",
    "CurrentJob",
    "JobLogHandler",
    "PortcallError",
    "ProtocolError",
    "Tls",
    "Worker",
    "__version__",
    "current_job",
    "sync",
]
