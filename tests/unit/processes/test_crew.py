"""The crew: which processes there should be, and what is done about each."""

import random
from collections.abc import Iterable
from typing import Any, TypeVar

import pytest

from portcall.worker.processes.crew import CANCEL_S, LEAVE_S, PULSES_MAX, Crew, CrewRules, words_of_exit
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
from portcall.worker.processes.states import ProcessState

E = TypeVar("E")

KILLED = Exit(how="was killed by SIGKILL", code=-9)
SILENT = Vitals(pulses_missed=PULSES_MAX, running=2)
LONG_S = 1_000.0


class Stand:
    """A crew, a clock, and what the crew wanted last. Its processes say hello only when the test says so."""

    def __init__(self, **rules: Any) -> None:
        self.rules = CrewRules(**{"grace_s": 30.0, **rules})
        self.crew = Crew(self.rules, random.Random(7))
        self.now = 0.0
        self.effects: list[Effect] = []
        self.do(self.crew.start(self.now))

    def do(self, effects: Iterable[Effect]) -> None:
        self.effects = list(effects)
        for effect in self.effects:
            if isinstance(effect, Start):
                self.crew.members[effect.number].pid = 1_000 + effect.number

    def wanted(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def numbers(self, kind: type[Any]) -> list[int]:
        return [effect.number for effect in self.wanted(kind)]

    @property
    def said(self) -> str:
        return "\n".join(effect.words for effect in self.wanted(Say))

    def hello(self, number: int) -> None:
        self.do(self.crew.on_hello(number, self.now))

    def see(self, number: int, **vitals: Any) -> None:
        self.do(self.crew.on_vitals(number, Vitals(**vitals), self.now))

    def exit(self, number: int, end: Exit = KILLED) -> None:
        """The process ends; its link ends before."""
        self.crew.on_broken(number, "", self.now)
        self.do(self.crew.on_exit(number, end, self.now))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.crew.tick(self.now))

    def wait_for_tick(self) -> None:
        assert self.crew.next_tick is not None
        self.wait(self.crew.next_tick - self.now)

    def state(self, number: int) -> ProcessState:
        return self.crew.members[number].state


def ready(count: int = 1, **rules: Any) -> Stand:
    """A crew whose processes have taken calls for long."""
    stand = Stand(processes=count, **rules)
    for number in range(1, count + 1):
        stand.hello(number)
    stand.now += LONG_S
    return stand


# --- starting ---------------------------------------------------------------------------------------------------------


def test_the_first_process_starts_alone_and_the_others_when_it_takes_calls() -> None:
    stand = Stand(processes=3)
    assert stand.effects == [Start(number=1)]
    stand.hello(1)
    assert stand.effects == [Admit(number=1), Start(number=2), Start(number=3)]
    assert not stand.crew.is_complete
    stand.hello(3)
    stand.hello(2)
    assert stand.effects == [Admit(number=2)]
    assert stand.crew.is_complete
    assert stand.crew.next_tick is None


@pytest.mark.parametrize(
    ("end", "is_mistake"),
    [(Exit(how="ended with exit code 2", code=2), True), (Exit(how="was killed by SIGSEGV", code=-11), False)],
)
def test_a_first_process_that_ends_at_once_ends_the_worker(end: Exit, is_mistake: bool) -> None:
    stand = Stand(processes=3)
    stand.exit(1, end)
    words = f"Process 1001 {end.how} before it could take calls; what it wrote is above"
    assert stand.effects == [GiveUp(words=words, is_mistake=is_mistake)]


# --- dying ------------------------------------------------------------------------------------------------------------


def test_a_process_that_dies_is_replaced_at_once_and_said_with_what_is_lost() -> None:
    stand = ready(2)
    stand.exit(1, Exit(how="was killed by SIGKILL", code=-9, lost=3, given=1))
    assert stand.numbers(Start) == [3]
    assert stand.said == (
        "Process 1001 was killed by SIGKILL while it ran 3 calls; 1 call that it had not begun goes elsewhere"
    )
    member = stand.crew.members[3]
    assert (member.restarts, member.predecessor_end) == (1, "was killed by SIGKILL")


def test_processes_that_die_at_once_are_started_after_longer_and_longer() -> None:
    stand = ready(2)
    waits = []
    number = 1
    for _ in range(12):
        stand.exit(number)
        if not stand.wanted(Start):
            begun_at = stand.now
            assert "The next process starts in" in stand.said
            stand.wait_for_tick()
            waits.append(stand.now - begun_at)
        [number] = stand.numbers(Start)
        stand.hello(number)
    backoff = stand.rules.backoff
    assert len(waits) == 11
    for attempt, wait_s in enumerate(waits):
        span = min(backoff.ceiling_s, backoff.first_s * backoff.factor**attempt)
        assert span / 2 <= wait_s <= span
    assert max(waits) > backoff.ceiling_s / 2


def test_a_process_that_lasted_makes_up_for_those_before() -> None:
    stand = ready(1)
    for number in (1, 2, 3):
        stand.exit(number)
        if not stand.wanted(Start):
            stand.wait_for_tick()
        stand.hello(number + 1)
    stand.now += stand.rules.settled_s
    stand.exit(4)
    assert stand.numbers(Start) == [5]


def test_a_process_that_cannot_load_the_app_any_more_is_tried_again() -> None:
    stand = ready(1)
    stand.exit(1)
    stand.exit(2, Exit(how="ended with exit code 2", code=2))
    assert not stand.wanted(GiveUp)
    stand.wait_for_tick()
    assert stand.numbers(Start) == [3]


def test_the_processes_of_other_places_do_not_wait_for_one_that_fails() -> None:
    stand = ready(2)
    stand.exit(1)
    stand.exit(3)
    assert not stand.wanted(Start)
    stand.exit(2)
    assert stand.numbers(Start) == [4]


def test_a_broken_link_lets_no_call_go_there_and_ends_the_process() -> None:
    stand = ready(1)
    stand.do(stand.crew.on_broken(1, "broke the protocol: a batch of nonsense", stand.now))
    assert stand.numbers(Withdraw) == [1]
    assert stand.said == "Process 1001 broke the protocol: a batch of nonsense"
    stand.wait(LEAVE_S)
    assert stand.numbers(Kill) == [1]


# --- blocking ---------------------------------------------------------------------------------------------------------


def test_a_silent_process_is_held_until_it_answers() -> None:
    stand = ready(2)
    stand.see(1, pulses_missed=PULSES_MAX - 1)
    assert not stand.effects
    stand.see(1, pulses_missed=PULSES_MAX, running=2)
    assert stand.numbers(Hold) == [1]
    assert "Process 1001 is blocked: it has not answered for 3 s" in stand.said
    assert stand.state(1) is ProcessState.BLOCKED
    stand.now += 57
    stand.see(1, pulses_missed=60, running=2)
    assert not stand.effects
    stand.see(1, running=2)
    assert stand.numbers(Release) == [1]
    assert stand.said == "Process 1001 answers again, after 60 s"
    assert stand.state(1) is ProcessState.READY


def test_a_blocked_process_is_never_ended_for_being_blocked() -> None:
    stand = ready(1)
    stand.see(1, pulses_missed=PULSES_MAX)
    stand.now += 86_400
    stand.see(1, pulses_missed=86_400)
    stand.wait(0)
    assert not stand.effects
    assert stand.crew.next_tick is None


def test_a_blocked_process_that_hangs_in_a_call_is_killed_and_replaced() -> None:
    stand = ready(1)
    stand.see(1, pulses_missed=PULSES_MAX, running=2)
    stand.see(1, pulses_missed=9, running=2, hanging=1, hanging_method="/a.B/C")
    assert stand.numbers(Kill) == [1]
    assert stand.said == (
        "Process 1001 hangs in /a.B/C, which goes on 60 s after it was told to stop, and does not answer: killing it"
    )
    stand.exit(1, Exit(how="was killed by SIGKILL", code=-9, lost=1))
    assert stand.numbers(Start) == [2]
    assert "while it ran 1 call" in stand.said
    assert "hangs in /a.B/C" in stand.crew.members[2].predecessor_end


# --- wearing ----------------------------------------------------------------------------------------------------------

WEAR = {
    "memory": {"rss_bytes": 600 << 20},
    "calls": {"ended": 100},
    "hang": {"hanging": 1, "hanging_method": "/a.B/C", "running": 2},
}
WORDS = {
    "memory": "uses 600 MiB of memory, and --max-memory is 512 MiB",
    "calls": "has ended 100 calls, and --max-calls is 100",
    "hang": "hangs in /a.B/C, which goes on 60 s after it was told to stop",
}


@pytest.mark.parametrize("wear", WEAR)
def test_a_worn_process_goes_on_until_its_successor_takes_calls_and_is_then_drained(wear: str) -> None:
    stand = ready(2, memory_bytes_max=512 << 20, calls_max=100)
    stand.see(1, **WEAR[wear])
    assert stand.numbers(Start) == [3]
    assert stand.said == f"Process 1001 {WORDS[wear]}: replacing it"
    assert not stand.wanted(Withdraw)
    stand.see(1, **WEAR[wear])
    assert not stand.effects
    stand.hello(3)
    assert stand.effects == [Admit(number=3), Withdraw(number=1)]
    stand.see(1, running=1)
    assert not stand.effects
    stand.see(1, running=0)
    assert stand.effects == [Dismiss(number=1)]
    stand.exit(1, Exit(how="ended with exit code 0", code=0))
    assert not stand.effects
    assert stand.crew.members[3].predecessor_end == WORDS[wear]


def test_what_a_process_ran_when_it_was_seen_last_does_not_end_it_when_it_is_succeeded() -> None:
    stand = ready(1, calls_max=100)
    stand.see(1, ended=100, running=0)
    stand.hello(2)
    assert not stand.wanted(Dismiss)


def test_limits_that_nobody_set_wear_nothing() -> None:
    stand = ready(1)
    stand.see(1, rss_bytes=1 << 50, ended=1 << 50)
    assert not stand.effects


def test_places_are_renewed_one_after_the_other() -> None:
    stand = ready(3, calls_max=100)
    for number in (1, 2, 3):
        stand.see(number, ended=100)
    assert set(stand.crew.members) == {1, 2, 3, 4}
    stand.hello(4)
    assert stand.numbers(Start) == [5]
    stand.hello(5)
    assert stand.numbers(Start) == [6]
    stand.hello(6)
    assert not stand.wanted(Start)


def test_a_process_that_asks_to_go_is_replaced() -> None:
    stand = ready(1)
    stand.do(stand.crew.on_asked(1, stand.now))
    assert stand.said == "Process 1001 was asked to end: replacing it"
    assert stand.numbers(Start) == [2]
    stand.do(stand.crew.on_asked(1, stand.now))
    assert not stand.effects


def test_processes_that_wear_out_at_once_are_replaced_after_longer_and_longer() -> None:
    stand = Stand(memory_bytes_max=1 << 20)
    stand.hello(1)
    waits = []
    for number in (1, 2, 3, 4):
        stand.see(number, rss_bytes=60 << 20)
        begun_at = stand.now
        stand.wait_for_tick()
        waits.append(stand.now - begun_at)
        assert stand.numbers(Start) == [number + 1]
        stand.hello(number + 1)
        stand.exit(number, Exit(how="ended with exit code 0", code=0))
    assert waits == sorted(waits)
    assert waits[-1] > stand.rules.backoff.first_s * 4


def test_a_successor_that_dies_leaves_the_worn_process_at_work() -> None:
    stand = ready(1, calls_max=100)
    stand.see(1, ended=100)
    stand.exit(2)
    assert stand.state(1) is ProcessState.READY
    stand.wait_for_tick()
    assert stand.numbers(Start) == [3]
    stand.hello(3)
    assert stand.numbers(Withdraw) == [1]


def test_a_worn_process_that_dies_first_leaves_its_place_to_the_successor() -> None:
    stand = ready(1, calls_max=100)
    stand.see(1, ended=100)
    stand.exit(1)
    assert not stand.wanted(Start)
    stand.hello(2)
    assert stand.effects == [Admit(number=2)]
    assert stand.crew.is_complete


def test_a_worn_process_that_blocks_is_drained_when_its_successor_comes() -> None:
    stand = ready(1, calls_max=100)
    stand.see(1, ended=100, running=1)
    stand.see(1, pulses_missed=PULSES_MAX, running=1)
    stand.hello(2)
    assert stand.numbers(Withdraw) == [1]
    assert stand.state(1) is ProcessState.DRAINING


# --- draining ---------------------------------------------------------------------------------------------------------


def drained(**rules: Any) -> Stand:
    """A crew whose process 1 is succeeded by process 2, and runs two calls still."""
    stand = ready(1, calls_max=100, **rules)
    stand.see(1, ended=100, running=2)
    stand.hello(2)
    stand.see(1, running=2)
    return stand


def test_calls_that_do_not_finish_are_cancelled_then_their_process_is_told_to_end_then_killed() -> None:
    stand = drained(grace_s=30.0)
    stand.wait(29.0)
    assert not stand.effects
    stand.wait(1.0)
    assert stand.numbers(CancelCalls) == [1]
    assert "Process 1001 still runs 2 calls after 30 s: cancelling" in stand.said
    stand.wait(CANCEL_S)
    assert stand.numbers(Dismiss) == [1]
    stand.wait(LEAVE_S)
    assert stand.numbers(Kill) == [1]
    assert stand.crew.next_tick is None


def test_a_drained_process_leaves_as_soon_as_its_cancelled_calls_have_ended() -> None:
    stand = drained(grace_s=30.0)
    stand.wait(30.0)
    stand.see(1, running=0)
    assert stand.numbers(Dismiss) == [1]


def test_a_drained_process_that_does_not_answer_to_a_cancel_is_killed() -> None:
    stand = drained(grace_s=30.0)
    stand.see(1, running=2, pulses_missed=30)
    stand.wait(30.0)
    stand.wait(CANCEL_S)
    assert stand.numbers(Kill) == [1]


def test_a_drained_process_that_only_hangs_is_killed() -> None:
    stand = drained()
    stand.see(1, running=2, hanging=1, hanging_method="/a.B/C")
    assert not stand.effects
    stand.see(1, running=1, hanging=1, hanging_method="/a.B/C")
    assert stand.numbers(Kill) == [1]
    assert stand.said == "Process 1001 still hangs in 1 call, and runs nothing else: killing it"


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_a_worker_that_stops_ends_every_process_in_the_way_that_fits_its_state() -> None:
    stand = Stand(processes=4, calls_max=100)
    stand.hello(1)
    stand.hello(2)
    stand.hello(3)
    stand.see(2, pulses_missed=PULSES_MAX)
    stand.do(stand.crew.dismiss(stand.now))
    assert stand.numbers(Dismiss) == [1, 3]
    assert stand.numbers(Kill) == [2, 4]
    stand.do(stand.crew.dismiss(stand.now))
    assert not stand.numbers(Dismiss)
    for number in (1, 2, 3, 4):
        stand.exit(number)
        assert not stand.effects
    assert stand.crew.next_tick is None


def test_a_process_that_should_end_with_its_worker_and_does_not_is_killed() -> None:
    stand = ready(1)
    stand.do(stand.crew.dismiss(stand.now))
    stand.wait(LEAVE_S / 2)
    stand.do(stand.crew.dismiss(stand.now))
    stand.wait(LEAVE_S / 2)
    assert stand.numbers(Kill) == [1]


def test_a_worker_that_stops_starts_nothing_that_was_due() -> None:
    stand = ready(1)
    stand.exit(1)
    stand.exit(2)
    stand.do(stand.crew.dismiss(stand.now))
    assert stand.crew.next_tick is None
    stand.wait(LONG_S)
    assert not stand.effects


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-11, "was killed by SIGSEGV"),
        (-99, "was killed by signal 99"),
    ],
)
def test_an_exit_is_told_in_words(code: int, words: str) -> None:
    assert words_of_exit(code) == words
