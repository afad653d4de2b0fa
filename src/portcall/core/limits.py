"""What a hub holds at most, and how long it waits. Every value is a setting of the hub."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """Bounds of a switchboard. Times in seconds, sizes in bytes."""

    calls_waiting_max: int = 10_000
    """Calls that may wait for a slot, over all methods and clients; past it a call ends RESOURCE_EXHAUSTED."""

    bytes_waiting_max: int = 268_435_456
    """Bytes of frames that waiting calls may hold together."""

    worker_wait_max_s: float = 30.0
    """How long a call waits for a worker of a service that has none, unless it said wait_for_ready."""

    settle_s: float = 3.0
    """After a start, how long a method that no worker has shown yet may still be on its way."""

    job_share: int = 8
    """While calls wait, jobs that wait too get one slot of so many, and at least one of all that serve a method; 0 for
    none, so that jobs have what calls leave."""

    retry_delay_s: float = 0.5
    """What RetryInfo advises a refused caller to wait."""

    metadata_bytes_max: int = 65_536
    """Most metadata of one call, in one direction."""

    unread_bytes_max: int = 67_108_864
    """Replies that a client may leave unread on its link before its new calls are refused."""

    methods_remembered_max: int = 100_000
    """Methods that the hub still knows when the workers that served them are gone."""
