"""When a schedule's times are, and which of them still count when they come late."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import IntEnum
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from portcall.core.jobs.submissions import LABELS_MAX
from portcall.errors import ConfigurationError, PortcallError
from portcall.protos.portcall.v1.jobs_pb2 import ScheduleSpec, Submission

NAME_LENGTH_MAX = 128
EVERY_S_MIN = 1.0
EVERY_S_MAX = 3_650 * 86_400.0

LATE_S = 60.0
"""A time that came this long ago still counts as now; an older one passed while nobody was there."""

CATCH_UP_MAX = 1_000

_ROUNDING_S = 1e-6
"""Times this close are the same: a double of seconds since 1970 is exact to a quarter of it."""


class ScheduleError(ConfigurationError):
    """A schedule's times, or its job, cannot be as they are given. Blames whoever wrote the schedule."""


class TooManySchedulesError(PortcallError):
    """There are as many schedules as there may be. Blames nobody; it helps to remove some."""


class Overlap(IntEnum):
    """What happens when it is time and the job of the last time has not ended."""

    SKIP = 1
    ALLOW = 2
    REPLACE = 3


class CatchUp(IntEnum):
    """What happens to times that passed while nobody was there."""

    ONCE = 1
    NONE = 2
    ALL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The times of a schedule: those of a cron expression in a time zone, or one every so many seconds."""

    cron: str = ""
    zone: tzinfo = UTC
    every_s: float = 0.0

    def first(self, now: float) -> float | None:
        """Return the first time of a new schedule."""
        return self.after(now, now)

    def after(self, at: float, anchor: float) -> float | None:
        """Return the first time after another; None if there is none in the next fifty years.

        `anchor` is any earlier time of the schedule, or when it began: an interval counts from there and does not
        drift.
        """
        if not self.cron:
            return anchor + (math.floor((at - anchor + _ROUNDING_S) / self.every_s) + 1) * self.every_s
        found = next(CronSim(self.cron, datetime.fromtimestamp(math.floor(at), self.zone)), None)
        return None if found is None else found.timestamp()

    def latest(self, first: float, until: float, count: int) -> list[float]:
        """Return the latest times from `first`, which is one of them, to `until`; up to so many, in their order."""
        if not self.cron:
            steps = math.floor((until - first + _ROUNDING_S) / self.every_s)
            return [first + step * self.every_s for step in range(max(0, steps - count + 1), steps + 1)]
        backwards = CronSim(self.cron, datetime.fromtimestamp(math.floor(until) + 1, self.zone), reverse=True)
        found = [moment.timestamp() for moment in islice(backwards, count)]
        return sorted({at for at in found if first <= at <= until} or {first})


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule, checked."""

    name: str
    times: Times
    overlap: Overlap
    catch_up: CatchUp
    is_paused: bool
    spec: ScheduleSpec
    """As it was given; its job is submitted each time."""


def parse_schedule(name: str, spec: ScheduleSpec) -> Schedule:
    """Return a schedule, checked.

    Raises:
        ScheduleError: with everything that is wrong with it.
    """
    faults = [*_faults(name, spec)]
    if faults:
        raise ScheduleError(f"schedule {name[:NAME_LENGTH_MAX]!r}: {'; '.join(faults)}")
    return Schedule(
        name=name,
        times=Times(cron=spec.cron, zone=_zone(spec.time_zone), every_s=spec.every_s),
        overlap=Overlap(spec.overlap or Overlap.SKIP),
        catch_up=CatchUp(spec.catch_up or CatchUp.ONCE),
        is_paused=spec.is_paused,
        spec=spec,
    )


def due_times(schedule: Schedule, next_at: float, now: float) -> tuple[list[float], float | None]:
    """Return which times up to now count, in their order, and when the next one is.

    `next_at` is the first time that has not been seen to yet.
    """
    following = schedule.times.after(now, next_at)
    if next_at > now:
        return [], next_at
    match schedule.catch_up:
        case CatchUp.ONCE:
            due = schedule.times.latest(next_at, now, 1)
        case CatchUp.NONE:
            due = [at for at in schedule.times.latest(next_at, now, 1) if now - at <= LATE_S]
        case CatchUp.ALL:
            due = schedule.times.latest(next_at, now, CATCH_UP_MAX)
    return due, following


def _faults(name: str, spec: ScheduleSpec) -> Iterable[str]:
    if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        yield f"a name has 1 to {NAME_LENGTH_MAX} printable characters"
    if bool(spec.cron) == bool(spec.every_s):
        yield "give either cron or every_s"
    elif spec.every_s and not EVERY_S_MIN <= spec.every_s <= EVERY_S_MAX:
        yield f"every_s is {spec.every_s:g}; it must be {EVERY_S_MIN:g} to {EVERY_S_MAX:,.12g}"
    if spec.cron:
        try:
            CronSim(spec.cron, datetime(2025, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            words = str(error).lower()
            yield (
                f"cron is {spec.cron!r}: {words}; it should be like '30 2 * * MON-FRI'"
                " (minute, hour, day, month, weekday)"
            )
    if spec.time_zone and not spec.cron:
        yield "a time zone goes with cron only"
    try:
        _zone(spec.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"time zone {spec.time_zone!r} is not known here; use a name like Europe/Berlin (or install tzdata)"
    if spec.overlap not in ScheduleSpec.Overlap.values() or spec.catch_up not in ScheduleSpec.CatchUp.values():
        yield "overlap or catch_up has a value that this version of Portcall does not know"
    if spec.catch_up == ScheduleSpec.ALL and spec.overlap != ScheduleSpec.ALLOW:
        yield "catch_up ALL needs overlap ALLOW, since the others would leave one job of all"
    yield from _job_faults(spec.job)


def _job_faults(job: Submission) -> Iterable[str]:
    if not job.method:
        yield "its job names no method"
    if len(job.labels) >= LABELS_MAX:
        yield f"its job has {len(job.labels)} labels; at most {LABELS_MAX - 1} may be, beside the schedule's own"
    if job.key or job.parent or job.step or job.after or job.HasField("at") or job.HasField("delay_s"):
        yield "its job's key, time, parents and step are the schedule's to choose; leave them out"


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name) if name else UTC
