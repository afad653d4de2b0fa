"""Times of schedules: cron through clock changes, intervals without drift, what is late, and what is wrong."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from portcall.core.jobs.schedules import (
    CATCH_UP_MAX,
    LATE_S,
    CatchUp,
    Overlap,
    Schedule,
    ScheduleError,
    due_times,
    parse_schedule,
)
from portcall.protos.portcall.v1.jobs_pb2 import ScheduleSpec, Submission

JOB = Submission(method="/a.A/One", request=b"r")
BERLIN = "Europe/Berlin"
"""In 2026 its clocks go from 02:00 to 03:00 on 29 March, and from 03:00 back to 02:00 on 25 October."""


def schedule(**fields: object) -> Schedule:
    return parse_schedule("nightly", ScheduleSpec(**{"job": JOB, **fields}))


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def shown(times: list[float], zone: str = "UTC") -> list[str]:
    return [datetime.fromtimestamp(time, ZoneInfo(zone)).strftime("%d %H:%M:%S %z") for time in times]


def following(one: Schedule, begin: float, count: int) -> list[float]:
    times = [begin]
    for _ in range(count):
        found = one.times.after(times[-1], begin)
        assert found is not None
        times.append(found)
    return times[1:]


# --- cron -------------------------------------------------------------------------------------------------------------


def test_five_fields_begin_with_minutes() -> None:
    times = following(schedule(cron="30 2 * * MON-FRI"), at("2026-03-05"), 3)
    assert shown(times) == ["05 02:30:00 +0000", "06 02:30:00 +0000", "09 02:30:00 +0000"]


def test_six_fields_begin_with_seconds() -> None:
    times = following(schedule(cron="*/20 0 0 * * *"), at("2026-03-05 00:00:10"), 3)
    assert shown(times) == ["05 00:00:20 +0000", "05 00:00:40 +0000", "06 00:00:00 +0000"]


def test_a_time_zone_is_one() -> None:
    one = schedule(cron="0 9 * * *", time_zone="Asia/Tokyo")
    assert following(one, at("2026-03-05", "Asia/Tokyo"), 1) == [at("2026-03-05 09:00", "Asia/Tokyo")]


def test_a_time_that_is_skipped_is_made_up_at_once() -> None:
    times = following(schedule(cron="30 2 * * *", time_zone=BERLIN), at("2026-03-28", BERLIN), 3)
    assert shown(times, BERLIN) == ["28 02:30:00 +0100", "29 03:00:00 +0200", "30 02:30:00 +0200"]


def test_a_time_that_comes_twice_counts_once() -> None:
    times = following(schedule(cron="30 2 * * *", time_zone=BERLIN), at("2026-10-24", BERLIN), 3)
    assert shown(times, BERLIN) == ["24 02:30:00 +0200", "25 02:30:00 +0200", "26 02:30:00 +0100"]


def test_every_hour_is_every_hour_when_the_clocks_change() -> None:
    for begin in ("2026-03-29 00:00", "2026-10-25 00:00"):
        times = following(schedule(cron="0 * * * *", time_zone=BERLIN), at(begin, BERLIN), 6)
        assert [later - earlier for earlier, later in pairwise(times)] == [3_600.0] * 5


def test_a_day_that_is_rare_is_found() -> None:
    assert schedule(cron="0 0 29 2 *").times.after(at("2026-03-01"), 0) == at("2028-02-29")


def test_fractions_of_a_second_neither_skip_nor_repeat_a_time() -> None:
    one = schedule(cron="* * * * *")
    noon = at("2026-03-05 12:00")
    assert one.times.after(noon - 0.001, 0) == noon
    assert one.times.after(noon, 0) == one.times.after(noon + 0.999, 0) == noon + 60


# --- intervals --------------------------------------------------------------------------------------------------------


def test_an_interval_does_not_drift() -> None:
    one = schedule(every_s=90.0)
    assert one.times.first(1_000.0) == 1_090.0
    assert one.times.after(1_090.0 + 37.5, 1_000.0) == 1_180.0
    assert one.times.after(1_000_000.0, 1_000.0) == 1_000.0 + 90 * 11_101


@pytest.mark.parametrize("every_s", [1.0, 1.1, 7.3, 86_400.0])
def test_each_time_of_an_interval_is_followed_by_the_next(every_s: float) -> None:
    one, anchor = schedule(every_s=every_s), 1_750_000_000.123
    for step in (1, 2, 3, 1_000, 1_000_003):
        time = anchor + step * every_s
        assert one.times.after(time, anchor) == pytest.approx(time + every_s, abs=1e-6)


# --- what is late ---------------------------------------------------------------------------------------------------


def test_before_its_time_nothing_is_due() -> None:
    one = schedule(every_s=10.0)
    assert due_times(one, 1_000.0, 999.0) == ([], 1_000.0)


@pytest.mark.parametrize("fields", [{"every_s": 60.0}, {"cron": "* * * * *"}])
def test_one_job_stands_for_all_the_times_that_have_passed(fields: dict[str, object]) -> None:
    noon = at("2026-03-05 12:00")
    assert due_times(schedule(**fields), noon, noon + 3_601) == ([noon + 3_600], noon + 3_660)


@pytest.mark.parametrize(("late_s", "counts"), [(0.0, True), (LATE_S, True), (LATE_S + 1, False)])
def test_a_time_that_has_passed_is_left_out_if_it_is_to_be(late_s: float, counts: bool) -> None:
    one = schedule(every_s=3_600.0, catch_up=ScheduleSpec.NONE)
    times, next_at = due_times(one, 7_200.0, 7_200.0 + late_s)
    assert (times, next_at) == ([7_200.0] if counts else [], 10_800.0)


@pytest.mark.parametrize("fields", [{"every_s": 60.0}, {"cron": "* * * * *"}])
def test_all_times_can_count_the_latest_at_most(fields: dict[str, object]) -> None:
    noon = at("2026-03-05 12:00")
    one = schedule(**fields, catch_up=ScheduleSpec.ALL, overlap=ScheduleSpec.ALLOW)
    assert due_times(one, noon, noon + 150) == ([noon, noon + 60, noon + 120], noon + 180)
    times, _ = due_times(one, noon, noon + 60 * 5_000)
    assert times == [noon + 60 * step for step in range(5_001 - CATCH_UP_MAX, 5_001)]


def test_all_times_through_a_clock_change() -> None:
    one = schedule(cron="30 2 * * *", time_zone=BERLIN, catch_up=ScheduleSpec.ALL, overlap=ScheduleSpec.ALLOW)
    first = at("2026-10-24 02:30", BERLIN)
    times, _ = due_times(one, first, at("2026-10-26 12:00", BERLIN))
    assert shown(times, BERLIN) == ["24 02:30:00 +0200", "25 02:30:00 +0200", "26 02:30:00 +0100"]


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_defaults() -> None:
    one = schedule(every_s=5.0)
    assert (one.overlap, one.catch_up, one.is_paused) == (Overlap.SKIP, CatchUp.ONCE, False)
    assert schedule(cron="* * * * *").times.zone is UTC


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "give either cron or every_s"),
        ({"cron": "* * * * *", "every_s": 5.0}, "give either cron or every_s"),
        ({"every_s": 0.5}, "every_s is 0.5; it must be 1 to 315,360,000"),
        ({"every_s": float("inf")}, "every_s is inf; it must be 1 to 315,360,000"),
        ({"every_s": float("nan")}, "every_s is nan; it must be 1 to 315,360,000"),
        ({"cron": "61 * * * *"}, "cron is '61 * * * *': "),
        ({"cron": "0 0 30 2 *"}, "cron is '0 0 30 2 *': bad day-of-month"),
        ({"cron": "tomorrow"}, "it should be like '30 2 * * MON-FRI' (minute, hour, day, month, weekday)"),
        ({"cron": "* * * * *", "time_zone": "Europe/Bärlin"}, "time zone 'Europe/Bärlin' is not known here"),
        ({"cron": "* * * * *", "time_zone": "../../etc/passwd"}, "time zone '../../etc/passwd' is not known here"),
        ({"every_s": 5.0, "time_zone": BERLIN}, "a time zone goes with cron only"),
        ({"every_s": 5.0, "catch_up": ScheduleSpec.ALL}, "catch_up ALL needs overlap ALLOW"),
        ({"every_s": 5.0, "overlap": 9}, "overlap or catch_up has a value that this version"),
        ({"every_s": 5.0, "job": Submission()}, "its job names no method"),
        ({"every_s": 5.0, "job": Submission(method="/a/b", key="k")}, "its job's key, time, parents and step are"),
        ({"every_s": 5.0, "job": Submission(method="/a/b", delay_s=1.0)}, "its job's key, time, parents and step are"),
        ({"every_s": 5.0, "job": Submission(method="/a/b", after=["x"])}, "its job's key, time, parents and step are"),
    ],
)
def test_a_wrong_schedule_is_told_in_words(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        schedule(**fields)
    assert words in str(refused.value)
    assert str(refused.value).startswith("schedule 'nightly': ")


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb"])
def test_a_name_is_printable_and_not_too_long(name: str) -> None:
    with pytest.raises(ScheduleError, match="a name has 1 to 128 printable characters"):
        parse_schedule(name, ScheduleSpec(every_s=5.0, job=JOB))


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ScheduleError, match=r"give either cron or every_s; .*names no method"):
        parse_schedule("nightly", ScheduleSpec())


def test_a_year_of_minutes_is_looked_back_on_at_once() -> None:
    one = schedule(cron="* * * * *", catch_up=ScheduleSpec.ALL, overlap=ScheduleSpec.ALLOW)
    begin = at("2026-01-01")
    times, _ = due_times(one, begin, begin + timedelta(days=365).total_seconds())
    assert len(times) == CATCH_UP_MAX
