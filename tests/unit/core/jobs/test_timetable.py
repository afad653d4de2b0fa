"""Schedules in the engine: what happens when it is time."""

import pytest

from portcall.core.jobs.batch import ScheduleRow
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.requests import PutSchedule, RemoveSchedule
from portcall.core.jobs.schedules import ScheduleError, TooManySchedulesError
from portcall.core.jobs.states import CANCELLED, CANCELLING, RUNNING
from portcall.protos.portcall.v1.jobs_pb2 import ScheduleSpec

from .stand import METHOD, NOW, Stand, schedule


def put(stand: Stand, **fields: object) -> None:
    stand.engine.request(PutSchedule(token="put", schedule=schedule(**fields)))
    assert "put" in stand.do().done


def row(stand: Stand) -> ScheduleRow:
    [found] = stand.store.schedules()
    return found


def test_its_job_is_submitted_each_time() -> None:
    stand = Stand(slots=9)
    put(stand)
    assert stand.engine.next_tick == NOW + 60
    for number in range(1, 4):
        stand.wait(60)
        assert len(stand.store.jobs) == number
        assert (row(stand).last_at, row(stand).next_at) == (stand.now, stand.now + 60)
        assert row(stand).last_job == max(stand.store.jobs)
        stand.end_all()
        stand.do()


def test_a_schedules_jobs_can_be_found_by_its_name() -> None:
    stand = Stand(slots=9)
    put(stand)
    stand.wait(60)
    [job] = stand.store.jobs.values()
    assert job.labels == {"schedule": "nightly"}


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        (ScheduleSpec.SKIP, [RUNNING]),
        (ScheduleSpec.ALLOW, [RUNNING, RUNNING]),
        (ScheduleSpec.REPLACE, [CANCELLING, RUNNING]),
    ],
)
def test_what_happens_when_the_job_of_the_last_time_still_runs(overlap: int, states: list[object]) -> None:
    stand = Stand(slots=9)
    put(stand, overlap=overlap)
    stand.wait(60)
    stand.wait(60)
    assert [job.state for job in stand.store.jobs.values()] == states
    assert row(stand).next_at == stand.now + 60


def test_one_that_waits_for_a_slot_is_replaced_at_once() -> None:
    stand = Stand()
    put(stand, overlap=ScheduleSpec.REPLACE)
    stand.wait(60)
    stand.wait(60)
    first, second = stand.store.jobs.values()
    assert first.state is CANCELLED
    assert row(stand).last_job == second.id


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_hub_that_was_away_makes_up_for_it_as_the_schedule_says(is_restarted: bool) -> None:
    stand = Stand(slots=9)
    put(stand, name="once")
    put(stand, name="none", catch_up=ScheduleSpec.NONE)
    put(stand, name="all", catch_up=ScheduleSpec.ALL, overlap=ScheduleSpec.ALLOW)
    stand.now += 60 * 5 + 59
    if is_restarted:
        stand.restart()
    stand.do()
    count = {
        name: sum(job.labels["schedule"] == name for job in stand.store.jobs.values())
        for name in ("once", "none", "all")
    }
    assert count == {"once": 1, "none": 1, "all": 5}
    assert {found.next_at for found in stand.store.schedules()} == {NOW + 360}


def test_a_paused_schedule_rests_and_does_not_make_up_for_it() -> None:
    stand = Stand(slots=9)
    put(stand, is_paused=True)
    assert stand.engine.next_tick is None
    stand.wait(600)
    assert stand.store.jobs == {}
    put(stand, is_paused=False)
    assert row(stand).next_at == stand.now + 60


def test_a_schedule_that_is_put_again_keeps_its_times() -> None:
    stand = Stand(slots=9)
    put(stand)
    stand.wait(90)
    before = row(stand)
    put(stand, overlap=ScheduleSpec.ALLOW)
    assert row(stand)._replace(spec=before.spec) == before
    put(stand, every_s=10.0)
    assert row(stand).next_at == stand.now + 10


def test_a_schedule_that_is_removed_is_gone_and_its_jobs_stay() -> None:
    stand = Stand(slots=9)
    put(stand)
    stand.wait(60)
    stand.engine.request(RemoveSchedule(token="t", name="nightly"))
    stand.engine.request(RemoveSchedule(token="u", name="never was"))
    assert stand.do().done == ["t", "u"]
    assert stand.engine.next_tick is None
    assert (stand.store.schedules(), len(stand.store.jobs)) == ([], 1)


def test_a_job_can_be_had_now() -> None:
    stand = Stand(slots=9)
    put(stand)
    stand.engine.trigger("t", "nightly", stand.now)
    [answer] = stand.do().answers
    assert answer.jobs[0].id in stand.store.jobs
    assert row(stand).last_job is None
    with pytest.raises(ScheduleError, match="there is no schedule 'other'"):
        stand.engine.trigger("t", "other", stand.now)


def test_schedules_have_a_bound() -> None:
    stand = Stand(limits=JobLimits(schedules_max=1))
    put(stand)
    put(stand, every_s=5.0)
    with pytest.raises(TooManySchedulesError, match="there are 1 schedules already; remove some first"):
        stand.engine.request(PutSchedule(token="t", schedule=schedule(name="second")))
    assert not stand.do().failed


def test_a_stored_schedule_that_cannot_be_used_stays_and_is_told_of() -> None:
    stand = Stand()
    put(stand)
    spec = ScheduleSpec(cron="* * * * *", time_zone="Mars/Olympus")
    spec.job.method = METHOD
    stand.store.schedule_rows["odd"] = ScheduleRow("odd", spec.SerializeToString(), NOW, None, None)
    stand.restart()
    assert set(stand.engine.schedules) == {"nightly"}
    assert "time zone 'Mars/Olympus' is not known here" in stand.engine.broken_schedules["odd"]
    stand.wait(60)
    assert set(stand.store.schedule_rows) == {"nightly", "odd"}


def test_a_time_that_the_store_could_not_write_is_not_lost() -> None:
    stand = Stand(slots=9)
    put(stand)
    stand.now += 60
    assert stand.batch() is not None
    stand.engine.store_failed("no room", stand.now)
    assert row(stand).last_at is None
    stand.wait(stand.limits.store_retry_s)
    assert len(stand.store.jobs) == 1


def test_a_request_that_its_method_refuses_is_skipped_and_the_schedule_goes_on() -> None:
    stand = Stand(slots=9)
    put(stand)
    stand.know(METHOD, "timeout_s: 5")
    spec = ScheduleSpec(every_s=60.0)
    spec.job.method = METHOD
    spec.job.overrides.timeout_s = 50.0
    stand.store.schedule_rows["nightly"] = row(stand)._replace(spec=spec.SerializeToString())
    stand.restart()
    [(name, why)] = stand.wait(60).missed
    assert name == "nightly"
    assert "timeout_s" in why
    assert stand.store.jobs == {}
    assert row(stand).next_at == stand.now + 60
