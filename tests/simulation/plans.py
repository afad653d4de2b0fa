"""What each call is meant to be, and what became of it: the ledger that both ends write and the invariants read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from portcall.core.refusals import CANCELLED, OK
from portcall.protos.portcall.v1.link_pb2 import Metadatum

from .profile import METHODS, UNKNOWN_METHOD, Profile

KEY = "call"
"""The metadata entry that says which call of the ledger a call is."""

SMALL_SIZES = (0, 1, 63, 64, 65, 300, 4_000)
LARGE_SIZES = (4_096, 20_000, 65_535, 65_536, 65_537, 150_000, 400_000)

NOT_FOUND = 5


class Way(Enum):
    """Which way a message goes."""

    UP = "^"
    DOWN = "v"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a caller and a servicer mean to do. Times in seconds."""

    method: str
    requests: tuple[int, ...]
    """Sizes of the caller's messages."""
    replies: tuple[int, ...]
    """Sizes of the servicer's messages."""
    status: int
    """What the servicer ends the call with."""
    is_inline: bool
    """The first request goes with the open, the last reply with the end, where they fit."""
    echoes: bool
    """A reply is sent once as many requests have come; otherwise replies begin when all requests have."""
    ends_early: bool
    """The servicer ends the call without waiting for the requests."""
    hangs: bool
    """The servicer never ends the call by itself."""
    is_patient: bool
    timeout_s: float | None
    cancels_after_s: float | None
    reads_slowly: bool
    has_headers: bool
    goes_as_many: bool
    """Where they can be, the open and the end are frames of many calls, of which this is the only one."""


@dataclass(slots=True)
class CallRecord:
    """One call in the ledger."""

    key: str
    plan: Plan
    status: int | None = None
    """What the call ended with for its caller; None while it lives."""
    details: str = ""
    ends: int = 0
    """Ends that the caller was given or gave itself."""
    opens_left_client: int = 0
    opens_left_hub: int = 0
    executions: list[str] = field(default_factory=list)
    """The workers to which it came."""
    requests_read: int = 0
    replies_read: int = 0
    is_served: bool = False
    """The servicer has done all that it meant to."""

    def payload(self, way: Way, index: int) -> bytes:
        """Return the message that goes this way as number `index`: it names itself, as far as it has room to."""
        size = (self.plan.requests if way is Way.UP else self.plan.replies)[index]
        stamp = b"%s%s%d;" % (self.key.encode(), way.value.encode(), index)
        return (stamp * (size // len(stamp) + 1))[:size]

    def metadata(self) -> list[Metadatum]:
        """Return the metadata that the call is opened with."""
        return [Metadatum(key=KEY, value=self.key.encode())]


class Ledger:
    """All calls of a world."""

    def __init__(self) -> None:
        self.records: dict[str, CallRecord] = {}
        self.alive: dict[str, CallRecord] = {}
        """Those that have not ended for their callers."""

    def add(self, key: str, plan: Plan) -> CallRecord:
        """Enter a call."""
        record = self.records[key] = self.alive[key] = CallRecord(key, plan)
        return record

    def end(self, record: CallRecord, status: int, details: str) -> None:
        """Note how a call ended for its caller."""
        record.ends += 1
        record.status, record.details = status, details
        self.alive.pop(record.key, None)

    def of(self, metadata: Iterable[Metadatum]) -> CallRecord:
        """Return the call that was opened with this metadata."""
        (entry,) = [entry for entry in metadata if entry.key == KEY]
        return self.records[entry.value.decode()]


def draw_plan(rng: Random, profile: Profile) -> Plan:
    """Return what one more call shall be."""
    troubles = profile.troubles
    hangs = "hang" in troubles and rng.random() < 0.15
    timeout_s = rng.choice((0.005, 0.05, 0.5, 2.0)) if "deadline" in troubles and rng.random() < 0.4 else None
    cancels_after_s = rng.choice((0.0, 0.01, 0.1, 1.0)) if "cancel" in troubles and rng.random() < 0.3 else None
    if hangs and timeout_s is None and cancels_after_s is None:
        timeout_s = 1.0
    is_unknown = "unknown_method" in troubles and rng.random() < 0.1
    return Plan(
        method=UNKNOWN_METHOD if is_unknown else rng.choice(METHODS),
        requests=_draw_sizes(rng, profile),
        replies=_draw_sizes(rng, profile),
        status=NOT_FOUND if "refusal" in troubles and rng.random() < 0.2 else OK,
        is_inline=rng.random() < 0.7,
        echoes=rng.random() < 0.5,
        ends_early="early_end" in troubles and rng.random() < 0.3,
        hangs=hangs,
        is_patient=rng.random() < 0.3,
        timeout_s=timeout_s,
        cancels_after_s=cancels_after_s,
        reads_slowly="slow_reader" in troubles and rng.random() < 0.3,
        has_headers=rng.random() < 0.3,
        goes_as_many=rng.random() < 0.5,
    )


def _draw_sizes(rng: Random, profile: Profile) -> tuple[int, ...]:
    count = rng.choice((0, 1, 1, 1, 2, 5, 12))
    sizes = SMALL_SIZES + (LARGE_SIZES if profile.are_messages_large else ())
    return tuple(rng.choice(sizes) for _ in range(count))


STOPPED = CANCELLED
"""What a servicer that was told to stop ends its call with."""
