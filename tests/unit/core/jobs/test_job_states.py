"""The table of states: every pair of a state and an event either leads where the table says, or is refused in words."""

from itertools import product

import pytest

from portcall.core.jobs.states import ENDED, HELD, TRANSITIONS, JobEvent, JobState, after
from portcall.protos.portcall.v1 import jobs_pb2

PAIRS = list(product(JobState, JobEvent))


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda member: member.name)
def test_every_pair(state: JobState, event: JobEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert after(state, event, 7) is TRANSITIONS[state, event]
    else:
        with pytest.raises(RuntimeError, match=f"job 7 is {state.name} and cannot be {event.name}"):
            after(state, event, 7)


def test_numbers_are_those_of_the_contract() -> None:
    names = {f"JOB_STATE_{state.name}": int(state) for state in JobState}
    assert names == {name: number for name, number in jobs_pb2.JobState.items() if number}


def test_what_has_ended_begins_again_only_by_hand() -> None:
    assert {event for (state, event), _ in TRANSITIONS.items() if state in ENDED} == {JobEvent.RETRIED_BY_HAND}
    assert not any(state is JobState.SUCCEEDED for state, _ in TRANSITIONS)


def test_only_an_attempt_ends_what_is_held() -> None:
    told = {JobEvent.ATTEMPT_SUCCEEDED, JobEvent.ATTEMPTS_EXHAUSTED, JobEvent.ATTEMPT_STOPPED}
    ending = {event for (state, event), then in TRANSITIONS.items() if state in HELD and then in ENDED}
    assert ending == told


def test_every_state_can_be_reached_and_left_or_is_the_end() -> None:
    assert set(TRANSITIONS.values()) == set(JobState) - {JobState.WAITING}
    assert {state for state, _ in TRANSITIONS} == set(JobState) - {JobState.SUCCEEDED}
