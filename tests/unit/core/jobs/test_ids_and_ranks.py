"""Ids, as numbers and as texts, and the order in which ready jobs start."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcall.core.jobs.identity import (
    EPOCH_S,
    BadJobIdError,
    IdSequence,
    first_id_at,
    id_text,
    parse_id,
    parse_ids,
    submitted_at,
)
from portcall.core.jobs.ranks import PRIORITY_MAX, SUSPECTS_AT_ONCE, priority_of, rank_of, suspicion_of

NOW = EPOCH_S + 50_000_000.25
ids = st.integers(0, (1 << 63) - 1)


@given(ids, ids)
def test_texts_are_ids_and_sort_as_they_do(first: int, second: int) -> None:
    assert parse_id(id_text(first)) == first
    assert len(id_text(first)) == 13
    assert (id_text(first) < id_text(second)) == (first < second)


def test_a_text_may_be_shouted() -> None:
    assert parse_id(id_text(123_456_789).upper()) == 123_456_789


@pytest.mark.parametrize(
    "text", ["", "0", "x" * 14, "0000000000000000", "il0000000000o", "zzzzzzzzzzzzz", "\u00df" * 13]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(BadJobIdError, match="is not the id of a job"):
        parse_id(text)


@given(st.lists(ids))
def test_many_texts_are_read_as_each_is(jobs: list[int]) -> None:
    assert parse_ids([id_text(job) for job in jobs]) == jobs
    assert parse_ids([id_text(job).upper() for job in jobs]) == jobs


def read(texts: list[str]) -> list[int] | str:
    """What texts stand for, read one by one if there is one, or why they stand for nothing."""
    try:
        return parse_ids(texts) if len(texts) > 1 else [parse_id(text) for text in texts]
    except BadJobIdError as error:
        return str(error)


@given(st.lists(ids, max_size=3), st.text(max_size=20) | st.text("0189_,+- avwz\u0664", min_size=13, max_size=13))
def test_among_many_a_text_is_refused_that_is_refused_alone(jobs: list[int], text: str) -> None:
    alone, together = read([text]), read([*map(id_text, jobs), text, id_text(7)])
    assert together == (alone if isinstance(alone, str) else [*jobs, *alone, 7])


def test_a_comma_between_two_does_not_make_them_one() -> None:
    with pytest.raises(BadJobIdError):
        parse_ids([f"{id_text(1)},{id_text(2)}"])


def test_ids_rise_whatever_the_clock_does() -> None:
    sequence = IdSequence(0)
    found = [sequence.next(now) for now in (NOW, NOW, NOW + 1, NOW - 1_000, NOW + 1, NOW + 2, 0.0, NOW)]
    assert all(first < second for first, second in pairwise(found))


def test_ids_go_on_behind_the_last_one() -> None:
    last = first_id_at(NOW + 100)
    assert IdSequence(last).next(NOW) == last + 1


def test_an_id_tells_when_its_job_was_submitted() -> None:
    job = IdSequence(0).next(NOW)
    assert submitted_at(job) == pytest.approx(NOW, abs=0.001)
    assert first_id_at(NOW) <= job < first_id_at(NOW + 0.002)
    assert first_id_at(0.0) == 0


@pytest.mark.parametrize("deaths", range(4))
@pytest.mark.parametrize("priority", [-PRIORITY_MAX, -1, 0, 1, PRIORITY_MAX])
def test_a_rank_holds_a_priority_and_a_suspicion(priority: int, deaths: int) -> None:
    rank = rank_of(priority, deaths)
    assert priority_of(rank) == priority
    assert suspicion_of(rank) == min(deaths, len(SUSPECTS_AT_ONCE) - 1)


def test_what_is_urgent_goes_first_and_suspects_before() -> None:
    ranks = [rank_of(-100, 2), rank_of(100, 1), rank_of(-100, 1), rank_of(100), rank_of(0), rank_of(-100)]
    assert ranks == sorted(ranks)
