"""Which processes there should be, and what is done about each: events and clock readings in, effects out.

Theory of operation. A worker has a fixed number of places. The process in a place is replaced when it is gone, and also
when it is *worn*: it leaks, has ended as many calls as it may, hangs in a call, or has asked to go. A worn process goes
on until its successor takes calls, so a place is never empty for it; then it is drained. One place at a time is renewed
in this way. A process that lasts only a moment is followed by the next after a back-off, place by place.

What moves a process from state to state is `TRANSITIONS` and nothing else.
"""

import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

from portcall.wire.dialer import Backoff
from portcall.worker.processes.effects import (
    Admit,
    CancelCalls,
    Dismiss,
    Effect,
    Exit,
    GiveUp,
    Hold,
    Kill,
    Release,
    Say,
    Start,
    Vitals,
    Withdraw,
)
from portcall.worker.processes.places import Member, Place
from portcall.worker.processes.states import TRANSITIONS, ProcessEvent, ProcessState

EXIT_MISTAKE = 2
"""What a process exits with whose app cannot be loaded, after it has said why."""

CANCEL_S = 1.0
"""How long cancelled calls may take to end."""

LEAVE_S = 8.0
"""How long a process may take to end by itself; well above what it allows the threads of its app."""

PULSES_MAX = 3
"""A process is blocked when it has let this many pulses in a row go by; see `CrewRules.pulse_s`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewRules:
    """How many processes, and when one is replaced. Times in seconds, sizes in bytes."""

    processes: int = 1
    grace_s: float = 30.0
    """How long the calls of a worn process may take to finish."""

    blocked_after_s: float = 3.0
    """How long a process may be silent before no new calls go to it."""

    hang_limit_s: float = 60.0
    """How long a call may go on after it was told to stop, by its deadline or its caller; 0 for ever."""

    memory_bytes_max: int | None = None
    """Resident memory that makes a process worn."""

    calls_max: int | None = None
    """Ended calls that make a process worn."""

    settled_s: float = 10.0
    """A process that has taken calls for this long did not fail at once."""

    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.25, ceiling_s=10.0))

    @property
    def pulse_s(self) -> float:
        """Return how often each process is looked at, and asked whether it lives."""
        return self.blocked_after_s / PULSES_MAX


class Crew:
    """The processes of one worker. Each method takes what has happened and returns what is to be done."""

    def __init__(self, rules: CrewRules, rng: random.Random) -> None:
        self._rules = rules
        self._rng = rng
        self._places = [Place() for _ in range(rules.processes)]
        self._number_last = 0
        self._is_proven = False
        """Whether a process has taken calls: then the app can be loaded, and all others are started."""
        self._is_dismissed = False
        self.members: dict[int, Member] = {}
        """The processes that have not ended, by number."""

    @property
    def next_tick(self) -> float | None:
        """Return when `tick` is due, or None."""
        return min(self._times(), default=None)

    @property
    def is_complete(self) -> bool:
        """Whether every place has a process that takes calls."""
        return all(place.current and place.current.state is ProcessState.READY for place in self._places)

    def start(self, now: float) -> list[Effect]:
        """Start the first process; the others follow when it takes calls, so that a broken app is said once."""
        return self._start(self._places[0], now)

    def on_hello(self, number: int, now: float) -> list[Effect]:
        """A process has loaded the app."""
        member = self.members[number]
        if member.state is not ProcessState.STARTING:
            return []
        member.move(ProcessEvent.SAID_HELLO, now)
        member.ready_at = now
        self._is_proven = True
        effects: list[Effect] = [Admit(number=number)]
        place = member.place
        if place.successor is member:
            old, place.current, place.successor = place.current, member, None
            if old is not None:
                effects += self._succeed(old, now)
        return effects + self._settle(now)

    def on_vitals(self, number: int, vitals: Vitals, now: float) -> list[Effect]:
        """A process was looked at."""
        member = self.members[number]
        member.vitals = vitals
        match member.state:
            case ProcessState.READY:
                return self._judge_ready(member, now)
            case ProcessState.BLOCKED:
                return self._judge_blocked(member, now)
            case ProcessState.DRAINING | ProcessState.STOPPING:
                return self._judge_outgoing(member, now)
            case _:
                return []

    def on_asked(self, number: int, now: float) -> list[Effect]:
        """A process has asked to be replaced, because somebody sent it a SIGTERM."""
        member = self.members[number]
        return self._wear(member, "was asked to end", now) + self._settle(now)

    def on_broken(self, number: int, words: str, now: float) -> list[Effect]:
        """The link of a process has ended, which may be because the process has."""
        member = self.members[number]
        member.move(ProcessEvent.BROKE, now)
        effects: list[Effect] = [Withdraw(number=number)]
        return [*effects, Say(words=f"{member} {words}")] if words else effects

    def on_exit(self, number: int, end: Exit, now: float) -> list[Effect]:
        """A process has ended."""
        member = self.members.pop(number)
        was, place = member.state, member.place
        member.move(ProcessEvent.EXITED, now)
        if self._is_dismissed:
            return []
        if not self._is_proven:
            words = f"{member} {end.how} before it could take calls; what it wrote is above"
            return [GiveUp(words=words, is_mistake=end.code == EXIT_MISTAKE)]
        if member in {place.current, place.successor} and not member.worn:
            self._note_end(member, end.how, now)
        if place.current is member:
            place.current, place.successor = place.successor, None
        elif place.successor is member:
            place.successor = None
        is_expected = was in {ProcessState.LEAVING, ProcessState.KILLED} and member.worn
        effects: list[Effect] = [] if is_expected and not end.lost else [Say(words=f"{member} {end.how}{_loss(end)}")]
        return effects + self._settle(now)

    def dismiss(self, now: float) -> list[Effect]:
        """The worker stops: end every process, and start none. Idempotent."""
        self._is_dismissed = True
        effects: list[Effect] = []
        for member in self.members.values():
            is_stuck = member.vitals.pulses_missed and (member.state, ProcessEvent.STUCK) in TRANSITIONS
            was = member.state
            member.move(ProcessEvent.STUCK if is_stuck else ProcessEvent.DISMISSED, now)
            if member.state is ProcessState.LEAVING and was is not ProcessState.LEAVING:
                effects += [Withdraw(number=member.number), Dismiss(number=member.number)]
            elif member.state is ProcessState.KILLED:
                effects.append(Kill(number=member.number))
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Do what time has made due."""
        effects: list[Effect] = []
        for member in list(self.members.values()):
            if (until := self._until(member)) is not None and now >= until:
                effects += self._time_up(member, now)
        return effects + self._settle(now)

    # --- one process -----------------------------------------------------------------------------------------------

    def _judge_ready(self, member: Member, now: float) -> list[Effect]:
        vitals = member.vitals
        if vitals.pulses_missed >= PULSES_MAX:
            member.move(ProcessEvent.FELL_SILENT, now)
            words = (
                f"{member} is blocked: it has not answered for {self._rules.blocked_after_s:g} s, so something holds up"
                f" its interpreter. No new calls go to it; it runs {vitals.running}"
            )
            return [Hold(number=member.number), Say(words=words)]
        reason = self._wear_of(vitals)
        if not reason or member.worn:
            return []
        return self._wear(member, reason, now) + self._settle(now)

    def _judge_blocked(self, member: Member, now: float) -> list[Effect]:
        if not member.vitals.pulses_missed:
            words = f"{member} answers again, after {now - member.since + self._rules.blocked_after_s:.0f} s"
            member.move(ProcessEvent.ANSWERED, now)
            return [Release(number=member.number), Say(words=words, is_warning=False)]
        if member.vitals.hanging:
            reason = self._words_of_hang(member.vitals)
            if not member.worn:
                member.worn = reason
                self._note_end(member, reason, now)
            member.move(ProcessEvent.STUCK, now)
            return [Kill(number=member.number), Say(words=f"{member} {reason}, and does not answer: killing it")]
        return []

    def _judge_outgoing(self, member: Member, now: float) -> list[Effect]:
        vitals = member.vitals
        if not vitals.running:
            member.move(ProcessEvent.QUIET, now)
            return [Dismiss(number=member.number)]
        if vitals.hanging < vitals.running:
            return []
        member.move(ProcessEvent.STUCK, now)
        words = f"{member} still hangs in {_calls(vitals.hanging)}, and runs nothing else: killing it"
        return [Kill(number=member.number), Say(words=words)]

    def _time_up(self, member: Member, now: float) -> list[Effect]:
        was = member.state
        is_stuck = was is ProcessState.STOPPING and member.vitals.pulses_missed
        member.move(ProcessEvent.STUCK if is_stuck else ProcessEvent.TIME_UP, now)
        running = member.vitals.running
        match member.state:
            case ProcessState.STOPPING:
                words = f"{member} still runs {_calls(running)} after {self._rules.grace_s:g} s: cancelling"
                return [CancelCalls(number=member.number), Say(words=words)]
            case ProcessState.LEAVING:
                words = f"{member} goes on with {_calls(running)} that it should have stopped: ending it"
                return [Dismiss(number=member.number), Say(words=words)]
            case _:
                words = f"{member} has not ended by itself: killing it"
                return [Kill(number=member.number), Say(words=words)]

    def _until(self, member: Member) -> float | None:
        """Return when a process has been in its state for as long as it may."""
        match member.state:
            case ProcessState.DRAINING:
                return member.since + self._rules.grace_s
            case ProcessState.STOPPING:
                return member.since + CANCEL_S
            case ProcessState.LEAVING:
                return member.since + LEAVE_S
            case _:
                return None

    def _wear_of(self, vitals: Vitals) -> str:
        """Return why a process has to be replaced; empty if it has not."""
        rules = self._rules
        if vitals.hanging:
            return self._words_of_hang(vitals)
        if rules.memory_bytes_max is not None and vitals.rss_bytes > rules.memory_bytes_max:
            used, most = vitals.rss_bytes >> 20, rules.memory_bytes_max >> 20
            return f"uses {used} MiB of memory, and --max-memory is {most} MiB"
        if rules.calls_max is not None and vitals.ended >= rules.calls_max:
            return f"has ended {vitals.ended} calls, and --max-calls is {rules.calls_max}"
        return ""

    def _words_of_hang(self, vitals: Vitals) -> str:
        limit_s = self._rules.hang_limit_s
        return f"hangs in {vitals.hanging_method}, which goes on {limit_s:g} s after it was told to stop"

    def _wear(self, member: Member, reason: str, now: float) -> list[Effect]:
        if member.worn or member.place.current is not member:
            return []
        member.worn = reason
        self._note_end(member, reason, now)
        words = f"{member} {reason}: replacing it"
        return [Say(words=words, is_warning=bool(member.vitals.hanging))]

    def _succeed(self, member: Member, now: float) -> list[Effect]:
        """Drain a process whose place is taken."""
        if (member.state, ProcessEvent.SUCCEEDED) not in TRANSITIONS:
            return []
        member.move(ProcessEvent.SUCCEEDED, now)
        return [Withdraw(number=member.number)]

    # --- all places ------------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> list[Effect]:
        """Start what has to be started, where its time has come."""
        effects: list[Effect] = []
        if self._is_dismissed or not self._is_proven:
            return effects
        for place in self._places:
            if not self._wants_process(place):
                continue
            if place.start_at is None:
                place.start_at = now + self._delay_s(place)
                if place.start_at > now:
                    effects.append(Say(words=f"The next process starts in {place.start_at - now:.1f} s"))
            if place.start_at <= now:
                effects += self._start(place, now)
        return effects

    def _wants_process(self, place: Place) -> bool:
        if place.current is None:
            return True
        if not place.current.worn or place.successor is not None:
            return False
        return place.is_renewing or not any(other.is_renewing for other in self._places)

    def _delay_s(self, place: Place) -> float:
        return self._rules.backoff.delay_s(place.failures - 1, self._rng) if place.failures else 0.0

    def _start(self, place: Place, now: float) -> list[Effect]:
        place.start_at = None
        self._number_last += 1
        member = self.members[self._number_last] = Member(self._number_last, place, now)
        place.restarts += 1
        if place.current is None:
            place.current = member
        else:
            place.successor = member
        return [Start(number=member.number)]

    def _note_end(self, member: Member, words: str, now: float) -> None:
        """Note why a process is to be followed by another, and whether it has lasted only a moment."""
        member.place.last_end = words
        has_lasted = member.ready_at is not None and now - member.ready_at >= self._rules.settled_s
        member.place.failures = 0 if has_lasted else member.place.failures + 1

    def _times(self) -> Iterator[float]:
        for member in self.members.values():
            if (until := self._until(member)) is not None:
                yield until
        if not self._is_dismissed:
            yield from (place.start_at for place in self._places if place.start_at is not None)


def words_of_exit(code: int) -> str:
    """Return in words how a process ended, whose exit code is negative for a signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _loss(end: Exit) -> str:
    words = f" while it ran {_calls(end.lost)}" if end.lost else ""
    go = "goes" if end.given == 1 else "go"
    return words + (f"; {_calls(end.given)} that it had not begun {go} elsewhere" if end.given else "")


def _calls(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'}"
