"""What kind of world a seed makes. Each seed leaves out some kinds of trouble, so that the others get further.

(Groce et al., "Swarm Testing", ISSTA 2012.)
"""

from dataclasses import dataclass
from random import Random

from portcall.core.limits import CallLimits

METHODS = ("/sim.Text/Read", "/sim.Text/Write", "/sim.Maps/Find")
UNKNOWN_METHOD = "/sim.Text/Forgotten"

FAULTS = (
    "drop",
    "outage",
    "stall",
    "worker_dies",
    "worker_freezes",
    "worker_drains",
    "slots",
    "restart",
    "client_leaves",
)
TROUBLES = ("cancel", "deadline", "refusal", "hang", "slow_reader", "early_end", "unknown_method")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The make-up of one world. Times in seconds."""

    clients: int
    workers: int
    calls_max: int
    faults: tuple[str, ...]
    """Kinds of fault that happen."""
    troubles: tuple[str, ...]
    """Kinds of trouble that callers and servicers make."""
    fault_mean_s: float
    """Mean time between faults."""
    think_mean_s: float
    """Mean time between two things that a program does."""
    latency_mean_s: float
    are_messages_large: bool
    limits: CallLimits
    jobs_max: int = 0
    grace_s: float = 0.5

    @property
    def is_calm(self) -> bool:
        """Whether every call has to end as its servicer means it to."""
        return not self.faults and not self.troubles and self.limits.calls_waiting_max > self.calls_max


def draw_profile(rng: Random) -> Profile:
    """Return the make-up of a world."""
    is_calm = rng.random() < 0.1
    is_overloaded = not is_calm and rng.random() < 0.3
    limits = CallLimits(
        calls_waiting_max=rng.choice((0, 2, 6)) if is_overloaded else 1_000,
        bytes_waiting_max=rng.choice((20_000, 150_000)) if is_overloaded else 1 << 28,
        unread_bytes_max=rng.choice((50_000, 400_000)) if is_overloaded else 1 << 23,
        worker_wait_max_s=rng.choice((0.1, 1.0)),
        settle_s=5.0 if is_calm else rng.choice((0.0, 0.3, 2.0)),
        metadata_bytes_max=1_000,
        methods_remembered_max=rng.choice((1, 2, 100)),
    )
    return Profile(
        clients=rng.randint(1, 4),
        workers=rng.randint(1, 4),
        calls_max=rng.choice((15, 50, 150)),
        faults=() if is_calm else tuple(fault for fault in FAULTS if rng.random() < 0.5),
        troubles=() if is_calm else tuple(trouble for trouble in TROUBLES if rng.random() < 0.5),
        fault_mean_s=rng.choice((0.05, 0.2)),
        think_mean_s=rng.choice((0.001, 0.005, 0.02)),
        latency_mean_s=rng.choice((0.0005, 0.005, 0.03)),
        are_messages_large=rng.random() < 0.5,
        limits=limits,
        jobs_max=0 if is_calm else rng.choice((0, 10, 40)),
    )
