"""Every pair of state and event of a link."""

import itertools

import pytest

from portcall.wire.link import TRANSITIONS, Link, LinkEvent, LinkState

PAIRS = list(itertools.product(LinkState, LinkEvent))


def pair_name(value: LinkState | LinkEvent) -> str:
    return value.name.lower()


def link_in(state: LinkState) -> Link:
    link = Link()
    link._state = state
    return link


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair in TRANSITIONS], ids=pair_name)
def test_a_row_moves_the_link(state: LinkState, event: LinkEvent) -> None:
    link = link_in(state)
    link.move(event)
    assert link.state is TRANSITIONS[state, event]


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair not in TRANSITIONS], ids=pair_name)
def test_a_missing_row_raises_and_names_state_and_event(state: LinkState, event: LinkEvent) -> None:
    link = link_in(state)
    with pytest.raises(RuntimeError, match=f"a link that is {state.value} cannot become {event.value}"):
        link.move(event)
    assert link.state is state


def test_a_closed_link_stays_closed() -> None:
    assert {after for (before, _), after in TRANSITIONS.items() if before is LinkState.CLOSED} == {LinkState.CLOSED}


def test_every_state_is_reached_from_new() -> None:
    reached, fresh = set[LinkState](), {LinkState.NEW}
    while fresh:
        reached |= fresh
        fresh = {after for (before, _), after in TRANSITIONS.items() if before in reached} - reached
    assert reached == set(LinkState)
