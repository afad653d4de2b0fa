"""Whatever happens to its processes in whatever order, a crew keeps its rules."""

import random

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from portcall.worker.processes.crew import LEAVE_S, PULSES_MAX, Crew, CrewRules
from portcall.worker.processes.effects import Admit, Dismiss, Effect, Exit, GiveUp, Kill, Start, Vitals, Withdraw
from portcall.worker.processes.states import ProcessState

COUNT = 3
PICK = st.randoms(use_true_random=False)


class CrewUnderFire(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.crew = Crew(CrewRules(processes=COUNT, memory_bytes_max=1_000, calls_max=10), random.Random(1))
        self.started: set[int] = set()
        self.admitted: set[int] = set()
        self.withdrawn: set[int] = set()
        self.told_to_end: set[int] = set()
        self.is_dismissed = self.is_given_up = False
        self.do(self.crew.start(self.now))

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Start(number=number):
                    assert number not in self.started
                    assert not self.is_dismissed
                    self.started.add(number)
                case Admit(number=number):
                    assert number not in self.admitted | self.told_to_end
                    self.admitted.add(number)
                case Withdraw(number=number):
                    self.withdrawn.add(number)
                case Dismiss(number=number) | Kill(number=number):
                    self.told_to_end.add(number)
                case GiveUp():
                    assert not self.admitted
                    self.is_given_up = True

    def pick(self, rng: random.Random) -> int:
        return rng.choice(sorted(self.crew.members))

    @precondition(lambda self: self.crew.members)
    @rule(rng=PICK)
    def say_hello(self, rng: random.Random) -> None:
        number = self.pick(rng)
        if number not in self.admitted:
            self.do(self.crew.on_hello(number, self.now))

    @precondition(lambda self: self.crew.members)
    @rule(
        rng=PICK,
        missed=st.sampled_from([0, 0, 1, PULSES_MAX, 50]),
        running=st.integers(0, 3),
        hanging=st.sampled_from([0, 0, 0, 1, 3]),
        rss=st.sampled_from([0, 0, 2_000]),
        ended=st.sampled_from([0, 0, 10]),
    )
    def be_seen(self, rng: random.Random, missed: int, running: int, hanging: int, rss: int, ended: int) -> None:
        vitals = Vitals(
            pulses_missed=missed, running=running, hanging=min(hanging, running), rss_bytes=rss, ended=ended
        )
        self.do(self.crew.on_vitals(self.pick(rng), vitals, self.now))

    @precondition(lambda self: self.crew.members)
    @rule(rng=PICK)
    def ask(self, rng: random.Random) -> None:
        self.do(self.crew.on_asked(self.pick(rng), self.now))

    @precondition(lambda self: self.crew.members)
    @rule(rng=PICK, words=st.sampled_from(["", "broke the protocol"]))
    def break_off(self, rng: random.Random, words: str) -> None:
        self.do(self.crew.on_broken(self.pick(rng), words, self.now))

    @precondition(lambda self: self.crew.members)
    @rule(rng=PICK, code=st.sampled_from([0, 1, 2, -9]))
    def die(self, rng: random.Random, code: int) -> None:
        self.do(self.crew.on_exit(self.pick(rng), Exit(how="ended", code=code), self.now))

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.crew.tick(self.now))

    @precondition(lambda self: not self.is_dismissed)
    @rule(really=st.sampled_from([False] * 9 + [True]))
    def dismiss(self, really: bool) -> None:
        if really:
            self.is_dismissed = True
            self.do(self.crew.dismiss(self.now))

    @invariant()
    def no_place_is_forgotten(self) -> None:
        if self.is_dismissed or self.is_given_up or not self.admitted:
            return
        for place in self.crew._places:
            assert place.current is not None or place.start_at is not None
            for member in (place.current, place.successor):
                assert member is None or self.crew.members[member.number] is member

    @invariant()
    def places_are_renewed_one_after_the_other(self) -> None:
        assert sum(place.successor is not None for place in self.crew._places) <= 1

    @invariant()
    def who_ends_was_withdrawn_if_calls_could_go_there(self) -> None:
        for number, member in self.crew.members.items():
            if member.state in {ProcessState.DRAINING, ProcessState.STOPPING, ProcessState.LEAVING}:
                assert number in self.withdrawn

    @invariant()
    def who_has_to_end_will_be_told_again_by_force(self) -> None:
        for number, member in self.crew.members.items():
            if member.state is ProcessState.LEAVING:
                assert self.crew.next_tick is not None
                assert self.crew.next_tick <= member.since + LEAVE_S
            if member.state is ProcessState.KILLED:
                assert number in self.told_to_end

    def teardown(self) -> None:
        self.do(self.crew.dismiss(self.now))
        for _ in range(3):
            self.wait(LEAVE_S)
        for number in list(self.crew.members):
            assert number in self.told_to_end
            self.do(self.crew.on_exit(number, Exit(how="ended", code=-9), self.now))
        assert not self.crew.members
        assert self.crew.next_tick is None


CrewUnderFire.TestCase.settings = settings(max_examples=60, stateful_step_count=60)
TestCrewUnderFire = CrewUnderFire.TestCase
