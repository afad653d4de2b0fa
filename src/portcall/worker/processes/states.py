"""The states of a process, and what moves it from one to the next."""

from enum import Enum


class ProcessState(Enum):
    """Where a process is in its life."""

    STARTING = "starting"
    """Loads the app."""

    READY = "ready"
    """Takes calls."""

    BLOCKED = "blocked"
    """Lives and does not answer. Takes no new calls; those that it runs stay."""

    DRAINING = "draining"
    """Takes no new calls, because another has taken its place; those that it runs may finish."""

    STOPPING = "stopping"
    """Its calls have been cancelled, because their time to finish is over."""

    LEAVING = "leaving"
    """Was told to end."""

    KILLED = "killed"
    """Was sent SIGKILL."""

    ENDED = "ended"


class ProcessEvent(Enum):
    """What can happen to a process."""

    SAID_HELLO = "said hello"
    FELL_SILENT = "fell silent"
    ANSWERED = "answered"
    SUCCEEDED = "succeeded"
    """Another takes calls in its place."""

    QUIET = "quiet"
    """It runs no call any more."""

    STUCK = "stuck"
    """What it still runs has not stopped when it was told to, and will not."""

    TIME_UP = "time up"
    """It has been in its state for as long as it may."""

    BROKE = "broke"
    """Its link has ended while it lives."""

    DISMISSED = "dismissed"
    """The worker stops."""

    EXITED = "exited"


TRANSITIONS: dict[tuple[ProcessState, ProcessEvent], ProcessState] = {
    (ProcessState.STARTING, ProcessEvent.SAID_HELLO): ProcessState.READY,
    (ProcessState.STARTING, ProcessEvent.BROKE): ProcessState.LEAVING,
    (ProcessState.STARTING, ProcessEvent.DISMISSED): ProcessState.KILLED,
    (ProcessState.STARTING, ProcessEvent.EXITED): ProcessState.ENDED,
    (ProcessState.READY, ProcessEvent.FELL_SILENT): ProcessState.BLOCKED,
    (ProcessState.READY, ProcessEvent.SUCCEEDED): ProcessState.DRAINING,
    (ProcessState.READY, ProcessEvent.BROKE): ProcessState.LEAVING,
    (ProcessState.READY, ProcessEvent.DISMISSED): ProcessState.LEAVING,
    (ProcessState.READY, ProcessEvent.EXITED): ProcessState.ENDED,
    (ProcessState.BLOCKED, ProcessEvent.ANSWERED): ProcessState.READY,
    (ProcessState.BLOCKED, ProcessEvent.SUCCEEDED): ProcessState.DRAINING,
    (ProcessState.BLOCKED, ProcessEvent.STUCK): ProcessState.KILLED,
    (ProcessState.BLOCKED, ProcessEvent.BROKE): ProcessState.LEAVING,
    (ProcessState.BLOCKED, ProcessEvent.DISMISSED): ProcessState.KILLED,
    (ProcessState.BLOCKED, ProcessEvent.EXITED): ProcessState.ENDED,
    (ProcessState.DRAINING, ProcessEvent.QUIET): ProcessState.LEAVING,
    (ProcessState.DRAINING, ProcessEvent.STUCK): ProcessState.KILLED,
    (ProcessState.DRAINING, ProcessEvent.TIME_UP): ProcessState.STOPPING,
    (ProcessState.DRAINING, ProcessEvent.BROKE): ProcessState.LEAVING,
    (ProcessState.DRAINING, ProcessEvent.DISMISSED): ProcessState.LEAVING,
    (ProcessState.DRAINING, ProcessEvent.EXITED): ProcessState.ENDED,
    (ProcessState.STOPPING, ProcessEvent.QUIET): ProcessState.LEAVING,
    (ProcessState.STOPPING, ProcessEvent.STUCK): ProcessState.KILLED,
    (ProcessState.STOPPING, ProcessEvent.TIME_UP): ProcessState.LEAVING,
    (ProcessState.STOPPING, ProcessEvent.BROKE): ProcessState.LEAVING,
    (ProcessState.STOPPING, ProcessEvent.DISMISSED): ProcessState.LEAVING,
    (ProcessState.STOPPING, ProcessEvent.EXITED): ProcessState.ENDED,
    # Its link ends because it was told to end.
    (ProcessState.LEAVING, ProcessEvent.BROKE): ProcessState.LEAVING,
    (ProcessState.LEAVING, ProcessEvent.DISMISSED): ProcessState.LEAVING,
    (ProcessState.LEAVING, ProcessEvent.TIME_UP): ProcessState.KILLED,
    (ProcessState.LEAVING, ProcessEvent.EXITED): ProcessState.ENDED,
    (ProcessState.KILLED, ProcessEvent.BROKE): ProcessState.KILLED,
    (ProcessState.KILLED, ProcessEvent.DISMISSED): ProcessState.KILLED,
    (ProcessState.KILLED, ProcessEvent.EXITED): ProcessState.ENDED,
}
