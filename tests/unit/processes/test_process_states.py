"""The table of a process's states."""

import itertools

import pytest

from portcall.worker.processes.places import Member, Place
from portcall.worker.processes.states import TRANSITIONS, ProcessEvent, ProcessState

ALL = list(itertools.product(ProcessState, ProcessEvent))


def member_in(state: ProcessState) -> Member:
    member = Member(1, Place(), now=100.0)
    member.pid, member.state = 4711, state
    return member


@pytest.mark.parametrize(("state", "event"), TRANSITIONS)
def test_event_moves_to_the_state_of_the_table(state: ProcessState, event: ProcessEvent) -> None:
    member = member_in(state)
    member.move(event, now=200.0)
    assert member.state is TRANSITIONS[state, event]
    assert member.since == (100.0 if member.state is state else 200.0)


@pytest.mark.parametrize(("state", "event"), [pair for pair in ALL if pair not in TRANSITIONS])
def test_event_that_cannot_be_names_process_state_and_event(state: ProcessState, event: ProcessEvent) -> None:
    with pytest.raises(RuntimeError) as raised:
        member_in(state).move(event, now=200.0)
    assert "4711" in str(raised.value)
    assert state.value in str(raised.value)
    assert event.value in str(raised.value)


def test_every_state_can_be_left_by_an_exit_but_the_last() -> None:
    left = {state for state, event in TRANSITIONS if event is ProcessEvent.EXITED}
    assert left == set(ProcessState) - {ProcessState.ENDED}
    assert not [state for state, _ in TRANSITIONS if state is ProcessState.ENDED]


def test_every_state_can_be_dismissed_and_then_only_ends() -> None:
    dismissed = {then for (_, event), then in TRANSITIONS.items() if event is ProcessEvent.DISMISSED}
    assert dismissed == {ProcessState.LEAVING, ProcessState.KILLED}
    reached = {then for (state, _), then in TRANSITIONS.items() if state in dismissed}
    assert reached == {ProcessState.LEAVING, ProcessState.KILLED, ProcessState.ENDED}
