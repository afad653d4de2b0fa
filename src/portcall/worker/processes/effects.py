"""What is seen of a process, and what a crew wants done."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is seen of a process from outside."""

    pulses_missed: int = 0
    running: int = 0
    ended: int = 0
    hanging: int = 0
    """Calls that it still runs `hang_limit_s` after they were told to stop."""

    hanging_method: str = ""
    """The method of one of them."""

    rss_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended, and what became of its calls."""

    how: str
    """In words: "was killed by SIGKILL"."""

    code: int
    """Negative for a signal."""

    lost: int = 0
    """Calls that it ran, which ended UNAVAILABLE."""

    given: int = 0
    """Calls that it had not begun, which others run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start a process under this number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Let calls go to a process that has said hello."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Let no new calls go to a process, for now."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Let calls go again to a process that was held."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Let no new calls go to a process, for good."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCalls:
    """Cancel what a process runs."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismiss:
    """Tell a process to end."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Send a process SIGKILL."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Write in the log."""

    words: str
    is_warning: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The worker cannot be: its first process ended before it could take calls."""

    words: str
    is_mistake: bool
    """The app cannot be loaded, and the process has said why."""


Effect: TypeAlias = Start | Admit | Hold | Release | Withdraw | CancelCalls | Dismiss | Kill | Say | GiveUp
