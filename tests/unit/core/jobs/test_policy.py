"""Options of jobs: defaults, values, and each thing that can be wrong with them, in words."""

from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import MethodDescriptorProto

from portcall.core import refusals
from portcall.core.jobs.policy import (
    DAY_S,
    RETRY_ON_DEFAULT,
    Backoff,
    Limit,
    OnDuplicate,
    Policy,
    PolicyError,
    Rate,
    options_of,
    override,
    parse_policy,
)
from portcall.protos.portcall.v1 import options_pb2
from portcall.protos.portcall.v1.options_pb2 import JobOptions, JobOverrides


def options(text: str) -> JobOptions:
    return text_format.Parse(text, JobOptions())


def test_options_that_say_nothing_are_the_defaults() -> None:
    assert parse_policy(JobOptions()) == Policy()
    assert Policy() == Policy(
        attempts_max=5,
        backoff=Backoff(initial_s=1, max_s=300, multiplier=2, jitter=0.5),
        timeout_s=None,
        retry_on=RETRY_ON_DEFAULT,
        deaths_max=3,
        keep_s=7 * DAY_S,
        on_duplicate=OnDuplicate.RETURN,
    )


def test_every_option_is_heard() -> None:
    said = options("""
        attempts: 8 timeout_s: 60 deaths: 2 keep_s: 0 on_duplicate: REFUSE retry_on: [ABORTED, DATA_LOSS]
        backoff { initial_s: 2 max_s: 50 multiplier: 3 jitter: 0 }
        limit { running: 4 }
        by { field: "site" limit { running: 2 rate { starts: 10 per_s: 60 } } }
    """)
    assert parse_policy(said) == Policy(
        attempts_max=8,
        timeout_s=60.0,
        deaths_max=2,
        keep_s=0.0,
        on_duplicate=OnDuplicate.REFUSE,
        retry_on=frozenset({refusals.ABORTED, 15}),
        backoff=Backoff(initial_s=2, max_s=50, multiplier=3, jitter=0),
        limit=Limit(running=4),
        by="site",
        limit_each=Limit(running=2, rate=Rate(starts=10, per_s=60, burst=10)),
    )


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("starts: 3", Rate(starts=3, per_s=1, burst=3)),
        ("starts: 3 burst: 1", Rate(starts=3, per_s=1, burst=1)),
        ("starts: 3 per_s: 0.5 burst: 9", Rate(starts=3, per_s=0.5, burst=9)),
    ],
)
def test_a_rate_has_its_defaults(text: str, rate: Rate) -> None:
    assert parse_policy(options(f"limit {{ rate {{ {text} }} }}")).limit == Limit(rate=rate)


def test_a_long_first_wait_lifts_the_ceiling_that_nobody_gave() -> None:
    assert parse_policy(options("backoff { initial_s: 1000 }")).backoff.max_s == 1_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("attempts: 0", "attempts is 0; it must be 1 to 1,000"),
        ("attempts: 1001", "attempts is 1001; it must be 1 to 1,000"),
        ("deaths: 0", "deaths is 0; it must be 1 to 100"),
        ("deaths: 101", "deaths is 101; it must be 1 to 100"),
        ("timeout_s: 0", "timeout_s is 0; it must be above 0"),
        ("timeout_s: -1", "timeout_s is -1; it must be above 0"),
        ("timeout_s: inf", "timeout_s is inf; it must be above 0"),
        ("timeout_s: nan", "timeout_s is nan; it must be above 0"),
        ("keep_s: -1", "keep_s is -1; it must be 0 to 315,360,000"),
        ("keep_s: nan", "keep_s is nan; it must be 0 to 315,360,000"),
        ("keep_s: 1e10", "keep_s is 1e+10; it must be 0 to 315,360,000"),
        ("retry_on: OK", "retry_on has OK, which no failure ends with"),
        ("retry_on: [17]", "retry_on has 17, which no failure ends with"),
        ("on_duplicate: 9", "on_duplicate is 9, which this version of Portcall does not know"),
        ("backoff { initial_s: -1 }", "backoff.initial_s is -1; it must be 0 to 86,400"),
        ("backoff { initial_s: 10 max_s: 5 }", "backoff.max_s is 5; it must be 10 to 604,800"),
        ("backoff { max_s: 604801 }", "backoff.max_s is 604801; it must be 1 to 604,800"),
        ("backoff { multiplier: 0.9 }", "backoff.multiplier is 0.9; it must be 1 to 100"),
        ("backoff { jitter: 1.1 }", "backoff.jitter is 1.1; it must be 0 to 1"),
        ("backoff { jitter: nan }", "backoff.jitter is nan; it must be 0 to 1"),
        ("limit { running: 0 }", "limit.running is 0, so that no job could ever run; leave it out for no limit"),
        (
            "limit { rate { } }",
            "limit.rate.starts is 0, so that no job could ever run; leave the rate out for no limit",
        ),
        ("limit { rate { starts: 1 per_s: 0 } }", "limit.rate.per_s is 0; it must be above 0 and at most 86,400"),
        ("limit { rate { starts: 1 per_s: 1e9 } }", "limit.rate.per_s is 1e+09; it must be above 0 and at most 86,400"),
        ("limit { rate { starts: 1 burst: 0 } }", "limit.rate.burst is 0; it must be at least 1"),
        ("by { }", "by names no field of the request"),
        ('by { field: "f" limit { running: 0 } }', "by.limit.running is 0, so that no job could ever run"),
    ],
)
def test_a_wrong_option_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(options(text))
    assert words in str(refused.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(PolicyError, match=r"attempts is 0; .*; deaths is 0; .*"):
        parse_policy(options("attempts: 0 deaths: 0"))


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (JobOptions(), "job"),
        (JobOptions(backoff=options_pb2.Backoff.FromString(b"\xf8\x07\x01")), "backoff"),
        (JobOptions(limit=options_pb2.Limit.FromString(b"\xf8\x07\x01")), "limit"),
    ],
)
def test_options_of_a_newer_version_are_not_guessed_at(message: JobOptions, name: str) -> None:
    serialised = message.SerializeToString() + (b"\xf8\x07\x01" if name == "job" else b"")
    with pytest.raises(PolicyError, match=rf"{name} has fields that this version .* does not know \(numbers 127\)"):
        parse_policy(JobOptions.FromString(serialised))


def test_options_are_found_in_a_method_though_it_was_parsed_without_knowing_of_them() -> None:
    method = MethodDescriptorProto(name="Crawl")
    assert options_of(method) == JobOptions()
    # Number 70700, a message with attempts: 8.
    method.options.MergeFromString(b"\xe2\xc2\x22\x02\x08\x08")
    assert options_of(method).attempts == 8


# --- overrides --------------------------------------------------------------------------------------------------------

BASE = parse_policy(options("attempts: 8 timeout_s: 60 backoff { initial_s: 9 }"))


@pytest.mark.parametrize(
    ("overrides", "changed"),
    [
        (JobOverrides(), {}),
        (JobOverrides(attempts=20), {"attempts_max": 20}),
        (JobOverrides(timeout_s=60), {}),
        (JobOverrides(timeout_s=1), {"timeout_s": 1.0}),
        (JobOverrides(keep_s=0), {"keep_s": 0.0}),
        (JobOverrides(backoff=options_pb2.Backoff(jitter=0)), {"backoff": Backoff(jitter=0)}),
        (JobOverrides(on_duplicate=options_pb2.JobOptions.RETRY), {"on_duplicate": OnDuplicate.RETRY}),
    ],
)
def test_a_submission_may_override(overrides: JobOverrides, changed: dict[str, Any]) -> None:
    policy = override(BASE, overrides)
    assert {name: getattr(policy, name) for name in changed} == changed
    unchanged = set(Policy.__dataclass_fields__) - set(changed)
    assert all(getattr(policy, name) == getattr(BASE, name) for name in unchanged)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (JobOverrides(attempts=0), "attempts is 0; it must be 1 to 1,000"),
        (JobOverrides(timeout_s=61), "timeout_s is 61; it must be above 0 and at most 60"),
        (JobOverrides(timeout_s=0), "timeout_s is 0; it must be above 0 and at most 60"),
        (JobOverrides(keep_s=-1), "keep_s is -1"),
        (JobOverrides(backoff=options_pb2.Backoff(jitter=2)), "backoff.jitter is 2"),
        (JobOverrides.FromString(b"\x28\x09"), "on_duplicate is 9"),
        (JobOverrides.FromString(b"\xf8\x07\x01"), "overrides has fields that this version"),
    ],
)
def test_but_not_beyond_its_method(overrides: JobOverrides, words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        override(BASE, overrides)
    assert words in str(refused.value)
