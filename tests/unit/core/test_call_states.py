"""Every pair of state and event of a call."""

import itertools

import pytest

from portcall.core.calls import TRANSITIONS, Call, CallEvent, CallState, ClientPort
from portcall.protos.portcall.v1.link_pb2 import Frame

from .stand import METHOD, Sink

PAIRS = list(itertools.product(CallState, CallEvent))


def call_in(state: CallState) -> Call:
    call = Call(ClientPort("ada", Sink()), 17, METHOD, Frame())
    call.state = state
    return call


def pair_name(value: CallState | CallEvent) -> str:
    return value.name.lower()


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair in TRANSITIONS], ids=pair_name)
def test_a_row_moves_the_call(state: CallState, event: CallEvent) -> None:
    call = call_in(state)
    call.move(event)
    assert call.state is TRANSITIONS[state, event]


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair not in TRANSITIONS], ids=pair_name)
def test_a_missing_row_raises_and_names_state_event_and_call(state: CallState, event: CallEvent) -> None:
    call = call_in(state)
    with pytest.raises(RuntimeError, match=f"call 17 of ada is {state.name} and cannot be {event.name}"):
        call.move(event)
    assert call.state is state


def test_nothing_happens_to_a_call_that_has_ended() -> None:
    assert not [event for state, event in TRANSITIONS if state is CallState.ENDED]


def test_every_state_is_reached_from_waiting() -> None:
    reached, fresh = set[CallState](), {CallState.WAITING}
    while fresh:
        reached |= fresh
        fresh = {after for (before, _), after in TRANSITIONS.items() if before in reached} - reached
    assert reached == set(CallState)
