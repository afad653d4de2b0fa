"""A process as the crew sees it, and the place that it holds."""

from portcall.worker.processes.effects import Vitals
from portcall.worker.processes.states import TRANSITIONS, ProcessEvent, ProcessState


class Member:
    """One process of the crew."""

    __slots__ = (
        "number",
        "pid",
        "place",
        "predecessor_end",
        "ready_at",
        "restarts",
        "since",
        "state",
        "vitals",
        "worn",
    )

    def __init__(self, number: int, place: "Place", now: float) -> None:
        self.number = number
        self.place = place
        self.pid = 0
        self.state = ProcessState.STARTING
        self.since = now
        """When it came into its state."""
        self.ready_at: float | None = None
        self.worn = ""
        """Why it has to be replaced; empty if it has not."""
        self.restarts = place.restarts
        self.predecessor_end = place.last_end
        self.vitals = Vitals()

    def __str__(self) -> str:
        return f"Process {self.pid}" if self.pid else f"Process number {self.number}"

    def move(self, event: ProcessEvent, now: float) -> None:
        """Change the state.

        Raises:
            RuntimeError: the event cannot happen in this state, which is a defect of the crew's.
        """
        try:
            state = TRANSITIONS[self.state, event]
        except KeyError:
            raise RuntimeError(f"{self} is {self.state.value} and {event.value!r} cannot happen to it") from None
        if state is not self.state:
            self.state, self.since = state, now


class Place:
    """Where there should always be a process."""

    __slots__ = ("current", "failures", "last_end", "restarts", "start_at", "successor")

    def __init__(self) -> None:
        self.current: Member | None = None
        self.successor: Member | None = None
        """Takes the place of `current`, which is worn, as soon as it takes calls."""
        self.start_at: float | None = None
        """When the next process is started, if it is known that one has to be."""
        self.restarts = 0
        self.failures = 0
        """Processes in a row that lasted only a moment."""
        self.last_end = ""

    @property
    def is_renewing(self) -> bool:
        """Whether a successor is on its way."""
        return self.successor is not None or (self.current is not None and self.start_at is not None)
