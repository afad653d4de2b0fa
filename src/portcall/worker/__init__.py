"""The worker: a drop-in `grpc.aio.Server` that dials out to a hub instead of listening.

Owns the execution of calls. May import `portcall.wire`, `portcall.contract`, `portcall.protos` and `portcall.errors`.
"""

from portcall.worker.server import Worker

__all__ = ["Worker"]
