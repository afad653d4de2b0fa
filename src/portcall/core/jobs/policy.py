"""What a method promises as a job: its options in the contract, checked and turned into values.

A policy is parsed once and then only read. What is wrong with an option is said in words that name the option, its
value and what it may be, and all at once, because whoever reads it wants to mend it in one go.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from google.protobuf.descriptor_pb2 import MethodDescriptorProto, MethodOptions
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from portcall.core import refusals
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1 import options_pb2

ATTEMPTS_MAX = 1_000
DEATHS_MAX = 100
DAY_S = 86_400.0
KEEP_S_MAX = 3_650 * DAY_S
BACKOFF_INITIAL_S_MAX = DAY_S
BACKOFF_S_MAX = 7 * DAY_S
MULTIPLIER_MAX = 100.0
RATE_PER_S_MAX = DAY_S

RETRY_ON_DEFAULT = frozenset(
    {
        refusals.UNKNOWN,
        refusals.DEADLINE_EXCEEDED,
        refusals.RESOURCE_EXHAUSTED,
        refusals.ABORTED,
        refusals.INTERNAL,
        refusals.UNAVAILABLE,
    }
)


class PolicyError(ConfigurationError):
    """Options of a job contradict themselves or the method. Blames whoever wrote the contract or the submission."""


class OnDuplicate(IntEnum):
    """What a submission gets whose key is taken."""

    RETURN = 1
    RETRY = 2
    REFUSE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The wait before the next attempt."""

    initial_s: float = 1.0
    max_s: float = 300.0
    multiplier: float = 2.0
    jitter: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket."""

    starts: int
    per_s: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many attempts run at once, and start in a time. None is no limit."""

    running: int | None = None
    rate: Rate | None = None

    def __bool__(self) -> bool:
        return self.running is not None or self.rate is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that a method, or a submission within it, says of jobs. Equal policies are equal values."""

    attempts_max: int = 5
    backoff: Backoff = field(default_factory=Backoff)
    timeout_s: float | None = None
    retry_on: frozenset[int] = RETRY_ON_DEFAULT
    deaths_max: int = 3
    limit: Limit = field(default_factory=Limit)
    by: str = ""
    """Path of the request's field by whose values jobs take turns; empty for none."""
    limit_each: Limit = field(default_factory=Limit)
    """For each of these values."""
    keep_s: float = 7 * DAY_S
    on_duplicate: OnDuplicate = OnDuplicate.RETURN


def options_of(method: MethodDescriptorProto) -> options_pb2.JobOptions:
    """Return the job options that a method carries, empty ones if it has none.

    Works for a descriptor that was parsed before the extension was known to the process as well.
    """
    options = MethodOptions.FromString(method.options.SerializeToString())
    return options.Extensions[options_pb2.job]  # type: ignore[index]  # protoc's stubs say too little


def parse_policy(options: options_pb2.JobOptions) -> Policy:
    """Return the policy that these options say.

    Raises:
        PolicyError: with everything that is wrong with them.
    """
    faults = [*_faults(options)]
    if faults:
        raise PolicyError("; ".join(faults))
    plain = Policy()
    return Policy(
        attempts_max=options.attempts if options.HasField("attempts") else plain.attempts_max,
        backoff=_backoff(options.backoff),
        timeout_s=options.timeout_s if options.HasField("timeout_s") else None,
        retry_on=frozenset(map(int, options.retry_on)) or plain.retry_on,
        deaths_max=options.deaths if options.HasField("deaths") else plain.deaths_max,
        limit=_limit(options.limit),
        by=options.by.field,
        limit_each=_limit(options.by.limit),
        keep_s=options.keep_s if options.HasField("keep_s") else plain.keep_s,
        on_duplicate=OnDuplicate(options.on_duplicate or plain.on_duplicate),
    )


def override(policy: Policy, overrides: options_pb2.JobOverrides) -> Policy:
    """Return a policy with what a submission asks for.

    Raises:
        PolicyError: it asks for more than it may.
    """
    faults = [*_override_faults(policy, overrides)]
    if faults:
        raise PolicyError("; ".join(faults))
    return replace(
        policy,
        attempts_max=overrides.attempts if overrides.HasField("attempts") else policy.attempts_max,
        backoff=_backoff(overrides.backoff) if overrides.HasField("backoff") else policy.backoff,
        timeout_s=overrides.timeout_s if overrides.HasField("timeout_s") else policy.timeout_s,
        keep_s=overrides.keep_s if overrides.HasField("keep_s") else policy.keep_s,
        on_duplicate=OnDuplicate(overrides.on_duplicate or policy.on_duplicate),
    )


# --- values ---------------------------------------------------------------------------------------------------------


def _backoff(options: options_pb2.Backoff) -> Backoff:
    plain = Backoff()
    initial_s = options.initial_s if options.HasField("initial_s") else plain.initial_s
    return Backoff(
        initial_s=initial_s,
        max_s=options.max_s if options.HasField("max_s") else max(plain.max_s, initial_s),
        multiplier=options.multiplier if options.HasField("multiplier") else plain.multiplier,
        jitter=options.jitter if options.HasField("jitter") else plain.jitter,
    )


def _limit(options: options_pb2.Limit) -> Limit:
    rate = None
    if options.HasField("rate"):
        rate = Rate(
            starts=options.rate.starts,
            per_s=options.rate.per_s if options.rate.HasField("per_s") else 1.0,
            burst=options.rate.burst if options.rate.HasField("burst") else options.rate.starts,
        )
    return Limit(running=options.running if options.HasField("running") else None, rate=rate)


# --- what is wrong --------------------------------------------------------------------------------------------------


def _faults(options: options_pb2.JobOptions) -> Iterator[str]:
    yield from _unknown(options, "job")
    if options.HasField("attempts"):
        yield from _outside("attempts", options.attempts, 1, ATTEMPTS_MAX)
    yield from _backoff_faults(options.backoff)
    if options.HasField("timeout_s"):
        yield from _not_above_zero("timeout_s", options.timeout_s, math.inf)
    for code in options.retry_on:
        if not refusals.OK < code <= refusals.STATUS_CODE_MAX:
            is_known = code in options_pb2.JobOptions.Code.values()
            name = options_pb2.JobOptions.Code.Name(code) if is_known else code
            yield f"retry_on has {name}, which no failure ends with"
    if options.HasField("deaths"):
        yield from _outside("deaths", options.deaths, 1, DEATHS_MAX)
    yield from _limit_faults("limit", options.limit)
    if options.HasField("by"):
        yield from _unknown(options.by, "by")
        if not options.by.field:
            yield "by names no field of the request"
        yield from _limit_faults("by.limit", options.by.limit)
    if options.HasField("keep_s"):
        yield from _outside("keep_s", options.keep_s, 0, KEEP_S_MAX)
    yield from _duplicate_faults(options.on_duplicate)


def _override_faults(policy: Policy, overrides: options_pb2.JobOverrides) -> Iterator[str]:
    yield from _unknown(overrides, "overrides")
    if overrides.HasField("attempts"):
        yield from _outside("attempts", overrides.attempts, 1, ATTEMPTS_MAX)
    yield from _backoff_faults(overrides.backoff)
    if overrides.HasField("timeout_s"):
        yield from _not_above_zero("timeout_s", overrides.timeout_s, policy.timeout_s or math.inf)
    if overrides.HasField("keep_s"):
        yield from _outside("keep_s", overrides.keep_s, 0, KEEP_S_MAX)
    yield from _duplicate_faults(overrides.on_duplicate)


def _backoff_faults(options: options_pb2.Backoff) -> Iterator[str]:
    backoff = _backoff(options)
    yield from _unknown(options, "backoff")
    yield from _outside("backoff.initial_s", backoff.initial_s, 0, BACKOFF_INITIAL_S_MAX)
    yield from _outside("backoff.max_s", backoff.max_s, backoff.initial_s, BACKOFF_S_MAX)
    yield from _outside("backoff.multiplier", backoff.multiplier, 1, MULTIPLIER_MAX)
    yield from _outside("backoff.jitter", backoff.jitter, 0, 1)


def _limit_faults(name: str, options: options_pb2.Limit) -> Iterator[str]:
    yield from _unknown(options, name)
    if options.HasField("running") and options.running < 1:
        yield f"{name}.running is 0, so that no job could ever run; leave it out for no limit"
    if options.HasField("rate"):
        yield from _unknown(options.rate, f"{name}.rate")
        if options.rate.starts < 1:
            yield f"{name}.rate.starts is 0, so that no job could ever run; leave the rate out for no limit"
        if options.rate.HasField("per_s"):
            yield from _not_above_zero(f"{name}.rate.per_s", options.rate.per_s, RATE_PER_S_MAX)
        if options.rate.HasField("burst") and options.rate.burst < 1:
            yield f"{name}.rate.burst is 0; it must be at least 1"


def _duplicate_faults(value: int) -> Iterator[str]:
    if value not in options_pb2.JobOptions.Duplicate.values():
        yield f"on_duplicate is {value}, which this version of Portcall does not know"


def _unknown(message: Message, name: str) -> Iterator[str]:
    fields: Iterable[Any] = UnknownFieldSet(message)  # type: ignore[assignment]  # one, though its stub does not say so
    numbers = sorted({field.field_number for field in fields})
    if numbers:
        yield (
            f"{name} has fields that this version of Portcall does not know (numbers {', '.join(map(str, numbers))});"
            " the contract was compiled with another portcall/v1/options.proto"
        )


def _outside(name: str, value: float, least: float, most: float) -> Iterator[str]:
    if not least <= value <= most:
        yield f"{name} is {value:g}; it must be {least:,g} to {most:,g}"


def _not_above_zero(name: str, value: float, most: float) -> Iterator[str]:
    if not 0 < value <= most or math.isinf(value):
        yield f"{name} is {value:g}; it must be above 0" + (f" and at most {most:,g}" if most < math.inf else "")
