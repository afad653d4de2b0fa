"""Portcall: a fleet of containerised workers that looks like one gRPC server.

`Worker` is a drop-in `grpc.aio.Server`, `Channel` a drop-in `grpc.aio.Channel`, `sync.Channel` a drop-in
`grpc.Channel`; between them stands a hub.
"""

import importlib
from typing import TYPE_CHECKING

from portcall._version import __version__
from portcall.errors import ConfigurationError, PortcallError, ProtocolError

if TYPE_CHECKING:
    from portcall import jobs, sync
    from portcall.client import Channel
    from portcall.client.jobs.errors import JobError, SubmitError
    from portcall.client.jobs.handles import Job, StreamJob
    from portcall.wire.access import Tls
    from portcall.wire.current import CurrentJob, JobLogHandler, current_job
    from portcall.worker import Worker
else:
    _MODULES = {
        "Channel": "portcall.client",
        "CurrentJob": "portcall.wire.current",
        "Job": "portcall.client.jobs.handles",
        "JobError": "portcall.client.jobs.errors",
        "JobLogHandler": "portcall.wire.current",
        "StreamJob": "portcall.client.jobs.handles",
        "SubmitError": "portcall.client.jobs.errors",
        "Tls": "portcall.wire.access",
        "Worker": "portcall.worker",
        "current_job": "portcall.wire.current",
    }

    def __getattr__(name: str) -> object:
        """Import what needs gRPC only when asked for: the command line sets gRPC up before, and starts faster."""
        if name in {"jobs", "sync"}:
            return importlib.import_module(f"portcall.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
        return value


__all__ = [
    "Channel",
    "ConfigurationError",
    "CurrentJob",
    "Job",
    "JobError",
    "JobLogHandler",
    "PortcallError",
    "ProtocolError",
    "StreamJob",
    "SubmitError",
    "Tls",
    "Worker",
    "__version__",
    "current_job",
    "jobs",
    "sync",
]
