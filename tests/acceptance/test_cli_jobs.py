"""`portcall jobs` on a hub that keeps jobs and has a worker."""

import json
import re
from pathlib import Path

import pytest

import portcall

from .job_commands import ID, INSPECT, NEVER_ENDS, NO_JOB, REFUSE, WATCH, Shell, shell
from .processes import Processes


@pytest.fixture
async def harbour(processes: Processes, tmp_path: Path) -> Shell:
    return await shell(processes, tmp_path, "harbour")


async def test_hub_without_jobs_says_so_and_what_to_do(harbour: Shell) -> None:
    assert await harbour.said("jobs", "ls") == (
        f"No jobs on the hub at {harbour.hub.address}\nSubmit one:  portcall jobs submit SERVICE/METHOD '{{...}}'\n"
    )
    assert (
        await harbour.said("jobs", "ls", "--state", "failed") == f"No such jobs on the hub at {harbour.hub.address}\n"
    )
    assert await harbour.asked("jobs", "ls") == {"hub": harbour.hub.address, "jobs": [], "has_more": False}
    assert await harbour.said("jobs", "ls", "-q") == ""
    for command in ("wait", "cancel", "retry", "events", "show"):
        assert await harbour.said("jobs", command, "-") == "", command


async def test_submitted_job_is_waited_for_and_answers_as_a_call_does(harbour: Shell) -> None:
    job = await harbour.submit(INSPECT, '{"note": "tea"}')
    assert re.fullmatch(ID, job)
    assert await harbour.said("jobs", "wait", job) == '{"note":"tea"}\n'
    assert await harbour.said("jobs", "submit", INSPECT, '{"note": "tea"}', "--wait") == '{"note":"tea"}\n'
    streamed = await harbour.said("jobs", "submit", WATCH, '{"count": 2}', "--wait")
    assert streamed == '{"number":"1"}\n{"number":"2"}\n'
    piped = await harbour.said("jobs", "submit", INSPECT, "--wait", stdin='{"note": "piped"}')
    assert piped == '{"note":"piped"}\n'


async def test_many_documents_are_many_jobs(harbour: Shell) -> None:
    (harbour.folder / "requests.jsonl").write_text('{"note": "a"}\n{"note": "b"}\n')
    ids = await harbour.said("jobs", "submit", INSPECT, "@requests.jsonl", "-q")
    assert sorted(await harbour.said("jobs", "wait", "-", stdin=ids)) == sorted(
        "".join(f"{job}  succeeded\n" for job in ids.split())
    )
    waited = await harbour.said("jobs", "wait", "-", "--json", stdin=ids)
    told = {job["id"]: job for job in map(json.loads, waited.splitlines())}
    assert [told[job]["reply"] for job in ids.split()] == [{"note": "a"}, {"note": "b"}]


async def test_key_gives_the_job_that_is_there_or_refuses(harbour: Shell) -> None:
    first = await harbour.submit(INSPECT, "{}", "--key", "k")
    assert await harbour.said("jobs", "submit", INSPECT, "{}", "--key", "k") == f"{first}  was there already\n"
    assert await harbour.said("jobs", "submit", INSPECT, "{}", "--key", "k", "-q") == f"{first}\n"
    assert await harbour.asked("jobs", "submit", INSPECT, "{}", "--key", "k") == {"id": first, "existed": True}
    assert await harbour.refused("jobs", "submit", INSPECT, "{}", "--key", "k", "--on-duplicate", "refuse") == (
        70,
        f"no job of {INSPECT} was stored: ALREADY_EXISTS: Job {first} has the key 'k' already",
    )


async def test_each_filter_chooses(harbour: Shell) -> None:
    done = await harbour.submit(INSPECT, "{}", "--key", "k", "--label", "ship=tea", "--label", "urgent=")
    await harbour.said("jobs", "wait", done)
    failed = await harbour.submit(REFUSE, '{"code": 5}', "--label", "ship=rum")
    assert (await harbour.run("jobs", "wait", failed)).code == 69
    later = await harbour.submit(WATCH, '{"count": 1}', "--delay", "1h", "--priority", "7")
    everything = [later, failed, done]

    async def found(*filters: str) -> list[str]:
        return (await harbour.said("jobs", "ls", "-q", *filters)).split()

    assert await found() == everything
    assert await found("--limit", "2") == everything[:2]
    for method in (REFUSE, "harbour.Port.Refuse", f"/{REFUSE}"):
        assert await found("--method", method) == [failed]
    assert await found("--state", "failed") == [failed]
    assert await found("--state", "failed", "--state", "scheduled") == [later, failed]
    assert await found("--key", "k") == await found("--key", "k", "--method", INSPECT) == [done]
    assert await found("--key", "x") == []
    assert await found("--label", "ship") == [failed, done]
    assert await found("--label", "ship=rum") == [failed]
    assert await found("--label", "urgent=") == [done]
    assert await found("--newer", "1h") == everything
    assert await found("--newer", "0") == await found("--older", "1h") == []
    assert await found("--since", "2020-01-01T00:00Z") == everything
    assert await found("--until", "2020-01-01T00:00Z") == []
    assert await found("--since", "2020-01-01", "--newer", "1d", "--state", "failed", "--label", "ship") == [failed]


async def test_list_says_of_each_job_how_it_stands_and_why(harbour: Shell) -> None:
    await harbour.said("jobs", "submit", INSPECT, '{"note": "tea"}', "--key", "k", "--wait")
    await harbour.run("jobs", "submit", REFUSE, '{"code": 5, "details": "no such ship"}', "--wait")
    await harbour.said("jobs", "submit", "harbour.Lighthouse/Blink", "{}")
    await harbour.said("jobs", "submit", INSPECT, "{}", "--delay", "2h")
    lines = (await harbour.said("jobs", "ls")).splitlines()
    assert lines[0].split() == ["ID", "METHOD", "STATE", "ATTEMPT", "AGE", "TOOK", "KEY", "WHY"]
    expected = (
        rf"{ID}  {INSPECT} +scheduled +-  \d+s +- +- +waits (1h 59m|2h 00m) more",
        rf"{ID}  harbour.Lighthouse/Blink +ready +-  \d+s +- +- +no worker serves harbour.Lighthouse/Blink",
        rf"{ID}  {REFUSE} +failed +1 +\d+s +\d+ms +- +NOT_FOUND: no such ship",
        rf"{ID}  {INSPECT} +succeeded +1 +\d+s +\d+ms +k",
    )
    for line, pattern in zip(lines[1:], expected, strict=True):
        assert re.match(pattern, line), line
    [job] = (await harbour.asked("jobs", "ls", "--key", "k"))["jobs"]
    assert (job["method"], job["state"], job["status"], "request" in job) == (INSPECT, "succeeded", "OK", False)
    [whole] = (await harbour.asked("jobs", "ls", "--key", "k", "--payloads"))["jobs"]
    assert whole["request"] == whole["reply"] == {"note": "tea"}


async def test_more_jobs_than_a_page_are_listed_and_handled(harbour: Shell) -> None:
    count = 1_050
    (harbour.folder / "many.jsonl").write_text("{}\n" * count)
    submitted = (await harbour.said("jobs", "submit", INSPECT, "@many.jsonl", "--delay", "1d", "-q")).split()
    assert len(set(submitted)) == count
    listed = await harbour.said("jobs", "ls", "-q", "--limit", "5000")
    assert listed.split() == sorted(submitted, reverse=True)
    some = await harbour.asked("jobs", "ls", "--limit", "1020")
    assert (len(some["jobs"]), some["has_more"]) == (1_020, True)
    shown = await harbour.run("jobs", "ls", "--limit", "3")
    assert shown.stderr == "There are more than these 3; --limit N shows them\n"
    cancelled = await harbour.said("jobs", "cancel", "-", stdin=listed)
    assert cancelled == "".join(f"{job}  cancelled\n" for job in listed.split())
    assert await harbour.said("jobs", "purge", "-", stdin=listed) == "Forgot 1,050 of 1,050 jobs\n"
    assert await harbour.said("jobs", "ls", "-q") == ""


async def test_show_has_all_of_a_job(harbour: Shell) -> None:
    job = await harbour.submit(INSPECT, '{"note": "tea"}', "--key", "k", "--label", "a=b", "--priority", "3")
    await harbour.said("jobs", "wait", job)
    shown = await harbour.said("jobs", "show", job)
    assert re.fullmatch(
        rf"""id:        {job}
method:    {INSPECT}
state:     succeeded
key:       k
labels:    a=b
priority:  3
attempts:  1
worker:    harbour
submitted: .*
started:   .*
ended:     .*
forgotten: .*
trailer:   x-trailer: anchored
trailer:   x-trailer-bin: AP8=
request:
{{
  "note": "tea"
}}
reply:
{{
  "note": "tea"
}}
""",
        shown,
    ), shown
    failed = await harbour.submit(REFUSE, '{"code": 14, "details": "later"}', "--attempts", "2")
    assert (await harbour.run("jobs", "wait", failed)).code == 78
    told = await harbour.said("jobs", "show", failed)
    assert "\nwhy:       UNAVAILABLE: later\n" in told
    assert "\nattempts:  2, 2 failed\n" in told
    assert re.search(r"\nattempt:   1: failed after \d+ms on harbour: UNAVAILABLE: later\n", told)
    assert "reply" not in told
    both = (await harbour.asked("jobs", "show", job, failed))["jobs"]
    assert [each["id"] for each in both] == [job, failed]
    assert both[0]["reply"] == {"note": "tea"}
    assert (both[1]["request"]["code"], both[1]["status"], len(both[1]["attempts"])) == (14, "UNAVAILABLE", 1)
    streamed = await harbour.submit(WATCH, '{"count": 2}')
    await harbour.said("jobs", "wait", streamed)
    assert f"replies:   2 stored; portcall jobs wait {streamed} prints them\n" in await harbour.said(
        "jobs", "show", streamed
    )


async def test_failed_job_is_retried_cancelled_and_forgotten(harbour: Shell) -> None:
    job = await harbour.submit(REFUSE, '{"code": 14, "details": "later"}', "--attempts", "1")
    waited = await harbour.run("jobs", "wait", job)
    assert (waited.code, waited.stdout) == (78, "")
    assert waited.stderr == f"portcall: error: job {job} failed: UNAVAILABLE: later\n"
    retried = await harbour.said("jobs", "retry", job)
    assert re.fullmatch(rf"{job}  (ready|running|failed)\n", retried)
    assert (await harbour.run("jobs", "wait", job)).code == 78
    running = await harbour.submit(REFUSE, NEVER_ENDS)
    timed = await harbour.run("jobs", "wait", running, "--timeout", "0.2")
    assert (timed.code, timed.stderr) == (
        68,
        f"portcall: error: job {running} has not ended within 0.2 s; it goes on\n",
    )
    [cancelled] = (await harbour.asked("jobs", "cancel", running))["jobs"]
    assert cancelled["id"] == running
    assert cancelled["state"] in {"cancelling", "cancelled"}
    waited = await harbour.run("jobs", "wait", job, running, "--json")
    assert waited.code in {78, 65}  # that of the first to be told
    assert {json.loads(line)["state"] for line in waited.stdout.splitlines()} == {"failed", "cancelled"}
    late = await harbour.submit(INSPECT, "{}", "--delay", "1h")
    assert (
        await harbour.said("jobs", "purge", job, running, late) == "Forgot 2 of 3 jobs; 1 has not ended, or is gone\n"
    )
    assert (await harbour.asked("jobs", "purge", job, running))["purged"] == 0
    assert (await harbour.said("jobs", "ls", "-q")).split() == [late]


async def test_events_are_told_from_the_first_or_from_behind_one(harbour: Shell) -> None:
    job = await harbour.submit(REFUSE, '{"code": 5, "details": "no such ship"}')
    time = r"\d\d:\d\d:\d\d\.\d\d\d"
    told = await harbour.said("jobs", "events", job)
    assert re.fullmatch(
        rf"{time}  ready\n{time}  running, attempt 1\n{time}  failed: NOT_FOUND: no such ship\n", told
    ), told
    events = [json.loads(line) for line in (await harbour.said("jobs", "events", job, "--json")).splitlines()]
    assert [event["state"] for event in events] == ["ready", "running", "failed"]
    assert {event["job"] for event in events} == {job}
    assert await harbour.said("jobs", "events", job, "--after", "0") == told
    rest = await harbour.said("jobs", "events", job, "--after", str(events[0]["number"]))
    assert rest == "".join(told.splitlines(keepends=True)[1:])
    other = await harbour.submit(INSPECT, "{}")
    both = await harbour.said("jobs", "events", job, other)
    assert set(re.findall(rf"{time}  ({ID})  ", both)) == {job, other}


async def test_jobs_without_a_contract_are_shown_in_base64(processes: Processes, tmp_path: Path) -> None:
    errands = await shell(processes, tmp_path, "errands")
    (tmp_path / "pipe").write_bytes(b"done")
    async with portcall.Channel(errands.hub.address) as channel:
        job = await channel.unary_unary("/acceptance.Errands/Wait").submit(str(tmp_path / "pipe").encode())
        assert await job == b"done"
    assert "progress 1 of 2" in await errands.said("jobs", "events", job.id)
    waited = await errands.run("jobs", "wait", job.id)
    assert (waited.code, waited.stdout) == (0, '"ZG9uZQ=="\n')
    assert waited.stderr.startswith("The reply in base64, since ")
    shown = await errands.said("jobs", "show", job.id)
    assert re.search(
        r"\nreply \(base64; .* serves acceptance.Errands, but no descriptors of it.*\):\nZG9uZQ==\n", shown
    )
    [told] = (await errands.asked("jobs", "show", job.id))["jobs"]
    assert told["reply_base64"] == "ZG9uZQ=="


async def test_mistakes_are_told_in_a_line(harbour: Shell) -> None:
    gone = f"there is no job {NO_JOB}. It may have been forgotten. See: portcall jobs ls"
    for command in ("show", "wait", "events", "cancel", "retry"):
        assert await harbour.refused("jobs", command, NO_JOB) == (2, gone), command
        code, words = await harbour.refused("jobs", command, "nope")
        assert (code, words.partition("refuses it: ")[2]) == (
            2,
            "'nope' is not the id of a job: it should be 13 letters and digits",
        )
    two = "there are no jobs 0000000000000, 0000000000001. They may have been forgotten. See: portcall jobs ls"
    assert await harbour.refused("jobs", "wait", NO_JOB, "0000000000001") == (2, two)
    assert await harbour.said("jobs", "purge", NO_JOB) == "Forgot 0 of 1 jobs; 1 has not ended, or is gone\n"
    for arguments, words in {
        ("harbour.Port/Inspekt", "{}"): "harbour.Port has no method Inspekt. Did you mean harbour.Port/Inspect?",
        ("harbour.Prot/Inspect", "{}"): (
            f"the server at {harbour.hub.address} has no service harbour.Prot. Did you mean harbour.Port?"
        ),
        ("harbour.Port/Load", "{}"): "harbour.Port/Load takes a stream of requests; a job has one request",
        (INSPECT, '{"note": '): "the request is not JSON: unexpected end of the input in line 1, column 10",
        (INSPECT, '{"nte": 1}'): ('the request has no field "nte", being a harbour.Manifest; did you mean "note"?'),
        (INSPECT, "{} {}", "--key", "k"): "--key names one job, and there are 2 requests",
    }.items():
        assert await harbour.refused("jobs", "submit", *arguments) == (2, words)
    assert await harbour.refused("jobs", "submit", INSPECT, "{}", "--priority", "1000") == (
        67,
        f"no job of {INSPECT} was stored: INVALID_ARGUMENT: priority is 1000; it must be -100 to 100",
    )
    assert await harbour.refused("jobs", "ls", "--payloads") == (
        2,
        "--payloads goes with --json; portcall jobs show has them for people. See: portcall jobs ls --help",
    )
    assert await harbour.said("jobs", "ls", "-q") == ""
