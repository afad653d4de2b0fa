"""How many may run at once, and start in a time."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcall.core.jobs.gates import Buckets, Gate
from portcall.core.jobs.policy import Limit, Policy, Rate
from portcall.core.jobs.ranks import SUSPECTS_AT_ONCE

NOW = 1_000.0


def gate(all_: Limit | None = None, each: Limit | None = None, values_max: int = 100) -> Gate:
    return Gate(Policy(limit=all_ or Limit(), limit_each=each or Limit(), by="site"), NOW, values_max)


# --- how many run -----------------------------------------------------------------------------------------------------


def test_without_limits_all_is_open() -> None:
    one = gate()
    for _ in range(1_000):
        assert one.opens_at(NOW) == one.opens_for("v", NOW) == NOW
        one.start("v", 0, NOW)
    assert (one.is_open, one.running, one.running_by) == (True, 1_000, {"v": 1_000})


def test_over_the_fleet_so_many_run_and_no_more() -> None:
    one = gate(Limit(running=2))
    one.start("a", 0, NOW)
    assert one.opens_at(NOW) == NOW
    one.start("b", 0, NOW)
    assert one.opens_at(NOW) is None
    one.end("a", 0)
    assert one.opens_at(NOW) == NOW


def test_for_each_value_so_many_run_and_no_more() -> None:
    one = gate(each=Limit(running=1))
    one.start("a", 0, NOW)
    assert (one.opens_at(NOW), one.opens_for("a", NOW), one.opens_for("b", NOW)) == (NOW, None, NOW)
    one.end("a", 0)
    assert one.opens_for("a", NOW) == NOW
    assert one.running_by == {}


def test_what_runs_when_the_hub_starts_counts() -> None:
    one = gate(Limit(running=1))
    one.count("a", 0)
    assert one.opens_at(NOW) is None


def test_suspects_are_few_at_a_time() -> None:
    one = gate()
    for suspicion, at_once in enumerate(SUSPECTS_AT_ONCE):
        for _ in range(at_once):
            assert one.lets_suspect(suspicion)
            one.start("", suspicion, NOW)
        assert one.lets_suspect(suspicion) == (not suspicion)
    one.end("", 2)
    assert one.lets_suspect(2)


def test_a_newer_contract_counts_at_once_and_a_rate_that_is_the_same_goes_on() -> None:
    rate = Rate(starts=1, per_s=10.0, burst=1)
    one = gate(Limit(rate=rate))
    one.start("", 0, NOW + 10)
    one.change(Policy(limit=Limit(running=1, rate=rate)), NOW + 20)
    assert one.opens_at(NOW + 20) is None
    one.end("", 0)
    assert one.opens_at(NOW + 20) == NOW + 20
    one.change(Policy(limit=Limit(rate=Rate(starts=2, per_s=10.0, burst=1))), NOW + 20)
    assert one.opens_at(NOW + 20) == NOW + 25
    one.change(Policy(), NOW + 20)
    assert one.is_open


# --- how many start ---------------------------------------------------------------------------------------------------


def test_a_bucket_begins_empty_since_nobody_knows_what_was_before() -> None:
    bucket = Buckets(Rate(starts=2, per_s=10.0, burst=3), NOW, 100)
    assert bucket.opens_at("v", NOW) == NOW + 5


def test_after_a_rest_there_is_a_burst_and_then_the_rate() -> None:
    bucket = Buckets(Rate(starts=2, per_s=10.0, burst=3), NOW, 100)
    starts, now = [], NOW + 100
    for _ in range(6):
        now = max(now, bucket.opens_at("v", now))
        bucket.take("v", now)
        starts.append(now - NOW - 100)
    assert starts == [0, 0, 0, 5, 10, 15]


def test_values_have_buckets_of_their_own() -> None:
    bucket = Buckets(Rate(starts=1, per_s=10.0, burst=1), NOW, 100)
    bucket.take("a", NOW + 10)
    assert (bucket.opens_at("a", NOW + 10), bucket.opens_at("b", NOW + 10)) == (NOW + 20, NOW + 10)


def test_a_token_that_was_not_used_comes_back() -> None:
    bucket = Buckets(Rate(starts=1, per_s=10.0, burst=1), NOW, 100)
    bucket.take("a", NOW + 10)
    bucket.give_back("a")
    assert bucket.opens_at("a", NOW + 10) == NOW + 10
    bucket.give_back("b")
    assert len(bucket) == 1


def test_full_buckets_are_not_kept() -> None:
    bucket = Buckets(Rate(starts=1, per_s=1.0, burst=1), NOW, 1_000_000)
    for number in range(10_000):
        bucket.take(f"v{number}", NOW + 1 + number)
    assert len(bucket) < 2_100


def test_values_beyond_the_bound_wait_rather_than_break_the_rate() -> None:
    bucket = Buckets(Rate(starts=1, per_s=10.0, burst=1), NOW, 3)
    for value in "abc":
        bucket.take(value, NOW + 10)
    assert bucket.opens_at("d", NOW + 10) == NOW + 20
    assert bucket.opens_at("a", NOW + 10) == NOW + 20
    assert bucket.opens_at("d", NOW + 25) <= NOW + 25


@given(
    st.integers(1, 5), st.floats(0.1, 100.0), st.integers(1, 5), st.lists(st.floats(0.0, 50.0), min_size=1, max_size=60)
)
def test_no_stretch_sees_more_than_starts_and_burst(starts: int, per_s: float, burst: int, waits: list[float]) -> None:
    bucket, now, begun = Buckets(Rate(starts=starts, per_s=per_s, burst=burst), NOW, 100), NOW, []
    for wait in waits:
        now += wait
        for _ in count():
            if bucket.opens_at("v", now) > now:
                break
            bucket.take("v", now)
            begun.append(now)
    for at in begun:
        within = sum(at - per_s < other <= at for other in begun)
        assert within <= starts + burst


@pytest.mark.parametrize("burst", [1, 5])
def test_in_the_long_run_all_tokens_are_used(burst: int) -> None:
    bucket, now = Buckets(Rate(starts=4, per_s=1.0, burst=burst), NOW, 100), NOW
    for _ in range(1_000):
        now = max(now, bucket.opens_at("v", now))
        bucket.take("v", now)
    assert now - NOW == pytest.approx(250.0)
