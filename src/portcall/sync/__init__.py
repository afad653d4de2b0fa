"""The blocking client: a drop-in `grpc.Channel` for scripts, threads, notebooks and web frameworks.

A thin facade: the async client is the only engine, and runs on a private event loop in a thread of its own. Owns that
thread, what crosses into it and back, and what becomes of it at a fork. May import `portcall.client` and all below it.
"""

from portcall.sync.channel import Channel
from portcall.sync.jobs import Job, StreamJob

__all__ = ["Channel", "Job", "StreamJob"]
