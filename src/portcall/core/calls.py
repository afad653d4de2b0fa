"""A call as the switchboard sees it, the two kinds of port that it joins, and the states that it passes through."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from portcall.protos.link_rules import CREDIT_BYTES_INITIAL
from portcall.protos.portcall.v1.link_pb2 import Frame

if TYPE_CHECKING:
    from portcall.core.pools import Pool


class FrameSink(Protocol):
    """The way out of a port. `portcall.wire.link.Link` is one."""

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Send a frame, given the number of message and metadata bytes in it."""

    def send_ahead(self, frame: Frame, /) -> None:
        """Send a cancel or a credit, before messages of the same call that still wait."""

    def drop_chunks(self, call_id: int, /) -> None:
        """Forget messages of a call that still wait."""

    @property
    def bytes_held(self) -> int:
        """About how many bytes wait to be sent or acknowledged."""


class CallState(IntEnum):
    """Where a call is in its life. Integers, because they are hashed for every call."""

    WAITING = 0
    RUNNING = 1
    # The caller has its end; the worker has been told and still holds the slot.
    CANCELLING = 2
    ENDED = 3


class CallEvent(IntEnum):
    """What moves a call on."""

    DISPATCHED = 0
    GIVEN_BACK = 1
    ABANDONED = 2
    WORKER_ENDED = 3


WAITING, RUNNING, CANCELLING, ENDED = CallState
DISPATCHED, GIVEN_BACK, ABANDONED, WORKER_ENDED = CallEvent
# By names of their own: to look a member up in its enum costs as much as to make a call's frame (Python 3.11).

TRANSITIONS: dict[tuple[CallState, CallEvent], CallState] = {
    (CallState.WAITING, CallEvent.DISPATCHED): CallState.RUNNING,
    # A cancel, a deadline or a refusal: the caller gets its end from the hub.
    (CallState.WAITING, CallEvent.ABANDONED): CallState.ENDED,
    (CallState.RUNNING, CallEvent.ABANDONED): CallState.CANCELLING,
    # The worker was lost before anything of the call had left the hub.
    (CallState.RUNNING, CallEvent.GIVEN_BACK): CallState.WAITING,
    (CallState.RUNNING, CallEvent.WORKER_ENDED): CallState.ENDED,
    (CallState.CANCELLING, CallEvent.WORKER_ENDED): CallState.ENDED,
}


_AFTER = {
    event: {state: then for (state, happened), then in TRANSITIONS.items() if happened is event} for event in CallEvent
}
"""`TRANSITIONS` by event: two look-ups of an integer cost half of what one of a pair does."""


class Port:
    """One link's place at the switchboard. The hub's own ingress has ports of the same kind."""

    __slots__ = ("calls", "id_last", "name", "send", "sink")

    def __init__(self, name: str, sink: FrameSink) -> None:
        self.name = name
        self.sink = sink
        self.send = sink.send
        self.calls: dict[int, Call] = {}
        self.id_last = 0
        """Highest call id that was opened on this port; ids up to it that are not in `calls` are finished calls."""


class ClientPort(Port):
    """Where calls come from. Waiting calls are served fairly between client ports."""

    __slots__ = ()


class Call:
    """One call, from its open to its end. `client` and `worker` know it by ids of their own."""

    __slots__ = (
        "bytes_held",
        "client",
        "client_id",
        "deadline",
        "down_credit",
        "gives_up_at",
        "has_headers",
        "held",
        "is_half_closed",
        "is_patient",
        "is_stopping",
        "is_watched",
        "method",
        "open",
        "state",
        "up_credit",
        "worker",
        "worker_id",
    )

    def __init__(self, client: ClientPort, client_id: int, method: str, opening: Frame | None) -> None:
        self.client = client
        self.client_id = client_id
        self.method = method
        self.open = opening
        self.up_credit = CREDIT_BYTES_INITIAL
        self.down_credit = CREDIT_BYTES_INITIAL
        self.state = WAITING
        self.deadline: float | None = None
        self.gives_up_at = 0.0
        """When to stop hoping for a worker, where there is none."""
        self.is_watched = False
        """Whether the switchboard wakes up for this call at `gives_up_at`, or before."""
        self.is_patient = False
        self.is_half_closed = False
        self.has_headers = False
        self.worker: WorkerPort | None = None
        self.worker_id = 0
        self.is_stopping = False
        """Whether the worker was told to stop it, and the client still wants its end."""
        self.held: list[Frame] | None = None
        """Frames that came before there was a worker to send them to."""
        self.bytes_held = 0

    def move(self, event: CallEvent) -> None:
        """Change the state.

        Raises:
            RuntimeError: the event cannot happen in this state, which is a defect of the switchboard's.
        """
        try:
            self.state = _AFTER[event][self.state]
        except KeyError:
            raise RuntimeError(
                f"call {self.client_id} of {self.client.name} is {self.state.name} and cannot be {event.name}"
            ) from None


class WorkerPort(Port):
    """Where calls go."""

    __slots__ = ("ended", "free", "is_draining", "is_suspended", "methods", "pool", "slots")

    def __init__(self, name: str, sink: FrameSink, slots: int) -> None:
        super().__init__(name, sink)
        self.slots = slots
        self.free = slots
        """Slots less calls; below zero after the worker has asked for fewer slots than it has calls."""
        self.is_draining = False
        self.is_suspended = False
        self.ended = 0
        self.methods: frozenset[str] = frozenset()
        self.pool: Pool | None = None

    @property
    def is_taking_calls(self) -> bool:
        """Whether new calls may go here, given a free slot."""
        return not (self.is_draining or self.is_suspended)
