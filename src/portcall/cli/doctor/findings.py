"""What the doctor says: a finding for each step, and the exit code that they come to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from portcall.cli.exits import EXIT_DONE, EXIT_FAILED, EXIT_MISTAKE


class Step(Enum):
    """What is looked at, in this order."""

    SETTINGS = "settings"
    SOCKET = "socket"
    NAME = "name"
    PROXY = "proxy"
    PORT = "port"
    TLS = "tls"
    HTTP2 = "http/2"
    CLIENT = "client"
    WORKER = "worker"
    LINK = "link"
    ROUND_TRIP = "round trip"
    IDLE = "idle"


class Outcome(Enum):
    """What came of a step."""

    OK = "ok"
    NOTE = "note"
    """Works, and may be worth a thought."""

    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One step's outcome, in words, and what to do."""

    step: Step
    outcome: Outcome
    words: str
    remedy: str = ""
    is_mistake: bool = False
    """Whether it stays as it is until a setting, a file or a program is changed."""

    facts: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """What programs may want to know of it, for --json."""


def passed(step: Step, words: str, **facts: object) -> Finding:
    """Return the finding of a step that is as it should be."""
    return Finding(step=step, outcome=Outcome.OK, words=words, facts=facts)


def noted(step: Step, words: str, remedy: str, **facts: object) -> Finding:
    """Return the finding of a step that holds, and could be better."""
    return Finding(step=step, outcome=Outcome.NOTE, words=words, remedy=remedy, facts=facts)


def failed(step: Step, words: str, remedy: str, *, is_mistake: bool, **facts: object) -> Finding:
    """Return the finding of a step that the way to the hub breaks at."""
    return Finding(step=step, outcome=Outcome.FAILED, words=words, remedy=remedy, is_mistake=is_mistake, facts=facts)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0 if nothing failed, 2 if what failed wants a change, and 1 if it may pass."""
    failures = [finding for finding in findings if finding.outcome is Outcome.FAILED]
    if not failures:
        return EXIT_DONE
    return EXIT_MISTAKE if any(finding.is_mistake for finding in failures) else EXIT_FAILED
