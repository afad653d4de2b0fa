"""`portcall schedules` on a hub that keeps jobs and has a worker."""

import re
from pathlib import Path

import pytest

from .job_commands import ID, INSPECT, Shell, revive, shell
from .processes import Processes

NIGHTLY = ("nightly", "--cron", "30 2 * * MON-FRI", "--time-zone", "Europe/Berlin", INSPECT, '{"note": "n"}')
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+"


@pytest.fixture
async def harbour(processes: Processes, tmp_path: Path) -> Shell:
    return await shell(processes, tmp_path, "harbour")


async def test_no_schedules_is_said_with_what_to_do(harbour: Shell) -> None:
    assert await harbour.said("schedules", "ls") == (
        f"No schedules on the hub at {harbour.hub.address}\n"
        "Make one:  portcall schedules put NAME --every 1h SERVICE/METHOD '{...}'\n"
    )
    assert await harbour.asked("schedules", "ls") == {"hub": harbour.hub.address, "schedules": []}


async def test_schedule_is_put_shown_paused_and_removed(harbour: Shell) -> None:
    put = await harbour.said("schedules", "put", *NIGHTLY, "--label", "a=b", "--attempts", "3", "-H", "x-by: cron")
    assert re.fullmatch(rf"nightly: 30 2 \* \* MON-FRI \(Europe/Berlin\); next: {TIME}\n", put), put
    shown = await harbour.said("schedules", "show", "nightly")
    assert re.fullmatch(
        rf"""name:      nightly
times:     30 2 \* \* MON-FRI \(Europe/Berlin\)
next:      {TIME}
last:      -
last job:  -
overlap:   skip
catch-up:  once
method:    {INSPECT}
labels:    a=b
metadata:  x-by: cron
attempts:  3
request:
{{
  "note": "n"
}}
""",
        shown,
    ), shown
    told = await harbour.asked("schedules", "show", "nightly")
    assert (told["cron"], told["time_zone"], told["every_s"]) == ("30 2 * * MON-FRI", "Europe/Berlin", None)
    assert (told["request"], told["labels"], told["attempts"], told["keep_s"]) == ({"note": "n"}, {"a": "b"}, 3, None)
    assert (await harbour.asked("schedules", "ls"))["schedules"] == [told]
    lines = (await harbour.said("schedules", "ls")).splitlines()
    assert lines[0].split("  ")[0] == "NAME"
    assert re.match(rf"nightly  30 2 \* \* MON-FRI \(Europe/Berlin\)  {INSPECT}  {TIME}  -", lines[1]), lines[1]
    assert (await harbour.said("schedules", "pause", "nightly")).endswith("next: paused\n")
    assert (await harbour.asked("schedules", "show", "nightly"))["is_paused"]
    assert re.search(rf"next: {TIME}\n$", await harbour.said("schedules", "resume", "nightly"))
    assert "every 1h 30m; " in await harbour.said("schedules", "put", "nightly", "--every", "90m", INSPECT, "{}")
    assert len((await harbour.asked("schedules", "ls"))["schedules"]) == 1
    assert await harbour.said("schedules", "rm", "nightly") == "Removed nightly\n"
    assert (await harbour.asked("schedules", "ls"))["schedules"] == []


async def test_triggered_job_runs_and_is_found_by_its_schedule(processes: Processes, harbour: Shell) -> None:
    await harbour.said("schedules", "put", *NIGHTLY, "--paused")
    job = (await harbour.said("schedules", "trigger", "nightly")).strip()
    assert re.fullmatch(ID, job)
    assert await harbour.said("jobs", "wait", job) == '{"note":"n"}\n'
    assert (await harbour.said("jobs", "ls", "-q", "--label", "schedule=nightly")).split() == [job]
    harbour.hub.kill()
    await harbour.hub.wait()
    await revive(processes, harbour)
    assert (await harbour.asked("schedules", "show", "nightly"))["is_paused"]
    again = await harbour.asked("schedules", "trigger", "nightly")
    assert not again["existed"]
    await harbour.said("schedules", "rm", "nightly")
    assert await harbour.said("jobs", "wait", again["id"]) == '{"note":"n"}\n'  # its jobs stay


async def test_interval_submits_by_itself(harbour: Shell) -> None:
    await harbour.said("schedules", "put", "poll", "--every", "1", INSPECT, '{"note": "poll"}')
    while not (found := (await harbour.said("jobs", "ls", "-q", "--label", "schedule=poll")).split()):
        pass
    assert await harbour.said("jobs", "wait", found[-1]) == '{"note":"poll"}\n'
    assert (await harbour.asked("schedules", "show", "poll"))["last_job"]


async def test_mistakes_are_told_in_a_line(harbour: Shell) -> None:
    await harbour.said("schedules", "put", *NIGHTLY)
    see = " See: portcall schedules put --help"
    hub = f"the hub at {harbour.hub.address} refuses it: schedule 'bad': "
    usage = {
        (): f"say when: either --cron or --every.{see}",
        ("--every", "5", "--cron", "0 2 * * *"): f"say when: either --cron or --every.{see}",
        ("--every", "5", "--time-zone", "Europe/Berlin"): f"--time-zone goes with --cron; an interval has none.{see}",
        ("--every", "5", "--catch-up", "all"): (
            f"--catch-up all goes with --overlap allow; otherwise one job of them would be left.{see}"
        ),
        ("--every", "soon"): (
            f"invalid value for '--every': 'soon' is not a span of time, as in 90, 5m, 2h or 7d.{see}"
        ),
        ("--cron", "x y"): (
            f"{hub}cron is 'x y': wrong number of fields; it should be like '30 2 * * MON-FRI' (minute, hour, day,"
            " month, weekday)"
        ),
        ("--cron", "0 2 * * *", "--time-zone", "Mars"): (
            f"{hub}time zone 'Mars' is not known here; use a name like Europe/Berlin (or install tzdata)"
        ),
    }
    for options, words in usage.items():
        assert await harbour.refused("schedules", "put", "bad", *options, INSPECT, "{}") == (2, words)
    for arguments, words in {
        ("put", "bad", "--every", "5", "harbour.Port/Load", "{}"): (
            "harbour.Port/Load takes a stream of requests; a job has one request"
        ),
        ("put", "bad", "--every", "5", INSPECT, "{"): (
            "the request is not JSON: unexpected end of the input in line 1, column 2"
        ),
        ("put", "bad", "--every", "5", "harbour.Port/Inspekt", "{}"): (
            "harbour.Port has no method Inspekt. Did you mean harbour.Port/Inspect?"
        ),
        **{(name, "nightli"): "there is no schedule nightli. Did you mean nightly?" for name in ("show", "pause")},
        **{(name, "x"): "there is no schedule x. See: portcall schedules ls" for name in ("trigger", "resume", "rm")},
    }.items():
        assert await harbour.refused("schedules", *arguments) == (2, words)
    assert [each["name"] for each in (await harbour.asked("schedules", "ls"))["schedules"]] == ["nightly"]
