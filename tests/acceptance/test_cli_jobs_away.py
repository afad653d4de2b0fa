"""`portcall jobs` and `portcall schedules` where the hub is away, is lost, keeps no jobs, or refuses who asks."""

import asyncio
import json
import signal
import socket
from pathlib import Path

import pytest

from .job_commands import INSPECT, NEVER_ENDS, NO_JOB, REFUSE, Shell, revive, shell
from .processes import Processes
from .terminals import terminals

COMMANDS = (
    "jobs ls",
    f"jobs show {NO_JOB}",
    f"jobs wait {NO_JOB}",
    f"jobs events {NO_JOB}",
    f"jobs cancel {NO_JOB}",
    f"jobs retry {NO_JOB}",
    f"jobs purge {NO_JOB}",
    f"jobs submit {INSPECT} {{}}",
    "schedules ls",
    "schedules show nightly",
    "schedules trigger nightly",
    "schedules pause nightly",
    "schedules resume nightly",
    "schedules rm nightly",
    f"schedules put nightly --every 1h {INSPECT} {{}}",
)
START_ONE = "Start one with 'portcall hub', or name another with --hub"
NO_STORE = (
    "This hub keeps no jobs. Start it with a file for them: portcall hub --store FILE (in a container, on a volume that"
    " outlives it)"
)
TOKENS = "client client-9Kd81nEXAMPLE0123 clients\nworker worker-3q2-7wAjNkEXAMPLE0123 workers\n"
LOST = "Going on when it is back"
WRONG = {
    "": (
        "(UNAUTHENTICATED: this hub wants a token, as metadata 'authorization: Bearer TOKEN' or 'portcall-token:"
        " TOKEN'). Set PORTCALL_TOKEN, or name the file that has the token with --token-file"
    ),
    "unknown-0123456789abcdef": (
        "(UNAUTHENTICATED: this hub does not know the token). The token is not, or no longer, in the hub's token file."
        " Get one that is"
    ),
    "worker-3q2-7wAjNkEXAMPLE0123": (
        "(PERMISSION_DENIED: the token 'workers' has not the role client, only worker). Use a token with that role; the"
        " hub's token file says which roles a token has"
    ),
}


async def all_refused(shell: Shell, **environment: str) -> set[tuple[int, str]]:
    """Run all commands, some at a time; return the exit codes and the lines that they end with."""
    turns = asyncio.Semaphore(3)

    async def refused(command: str) -> tuple[int, str]:
        async with turns:
            done = await shell.run(*command.split(" "), **environment)
        assert done.stdout == ""
        return done.code, done.stderr

    return set(await asyncio.gather(*map(refused, COMMANDS)))


async def test_hub_that_is_away_is_told_at_once(processes: Processes, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "{}:{}".format(*server.getsockname())
    hub = await processes.hub()
    assert await all_refused(Shell(processes, hub, tmp_path), PORTCALL_HUB=address) == {
        (
            1,
            f"portcall: error: no hub answers at {address} (Connection refused). {START_ONE}\n",
        )
    }


async def test_hub_without_a_store_says_how_to_have_one(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub()
    assert await all_refused(Shell(processes, hub, tmp_path)) == {
        (
            2,
            f"portcall: error: the hub at {hub.address} refuses it: {NO_STORE}\n",
        )
    }


@pytest.mark.parametrize("token", WRONG)
async def test_wrong_credentials_are_told_once(processes: Processes, tmp_path: Path, token: str) -> None:
    (tmp_path / "tokens").write_text(TOKENS)
    (tmp_path / "tokens").chmod(0o600)
    hub = await processes.hub("--token-file", str(tmp_path / "tokens"), "--store", str(tmp_path / "jobs.db"))
    environment = {"PORTCALL_TOKEN": token} if token else {}
    assert await all_refused(Shell(processes, hub, tmp_path), **environment) == {
        (2, f"portcall: error: the hub at {hub.address} refuses us {WRONG[token]}\n")
    }


async def test_waits_and_events_go_on_when_the_hub_was_killed(processes: Processes, tmp_path: Path) -> None:
    harbour = await shell(processes, tmp_path, "harbour")
    gate = await harbour.submit(REFUSE, NEVER_ENDS)
    job = await harbour.submit(INSPECT, '{"note": "late"}', "--after", gate, "--key", "k")
    events = {name: await harbour.start("jobs", "events", name, "--json") for name in (gate, job)}
    await events[job].line('"waiting"')
    await events[gate].line('"running"')
    later = ("jobs", "submit", REFUSE, '{"code": 5, "details": "gone"}', "--after", job, "--wait")
    with terminals(harbour.hub.address, ("jobs", "wait", job), ("jobs", "wait", job, gate, "--json"), later) as started:
        one, both, submitted = started
        await one.shows("waiting")
        await both.shows("waiting")
        await submitted.shows("waiting")
        harbour.hub.kill()
        await harbour.hub.wait()
        for terminal in started:
            await terminal.shows(LOST)
        for each in events.values():
            await each.line(LOST)
        await revive(processes, harbour)
        await harbour.said("jobs", "cancel", gate)
        ended = f"portcall: error: job {job} cancelled: CANCELLED"
        assert (await one.screen())[-1].startswith(ended)
        told = [json.loads(line) for line in (await both.screen())[1:]]
        assert {each["id"]: each["state"] for each in told} == {gate: "cancelled", job: "cancelled"}
        assert "cancelled: CANCELLED" in (await submitted.screen())[-1]
        assert [terminal.process.returncode for terminal in started] == [65, 65, 65]
    for name, states in {gate: ["ready", "running", "cancelled"], job: ["waiting", "cancelled"]}.items():
        assert await events[name].wait() == 0
        assert events[name].stderr.count(LOST) == 1
        told = [json.loads(line).get("state") for line in events[name].stdout.splitlines()]
        assert [state for state in told if state != "cancelling"] == states


async def test_jobs_that_a_new_file_does_not_have_are_told(processes: Processes, tmp_path: Path) -> None:
    harbour = await shell(processes, tmp_path, "harbour")
    job = await harbour.submit(INSPECT, "{}", "--delay", "1d")
    events = await harbour.start("jobs", "events", job)
    await events.line("scheduled")
    with terminals(harbour.hub.address, ("jobs", "wait", job)) as [waiting]:
        await waiting.shows("scheduled")
        harbour.hub.kill()
        await harbour.hub.wait()
        for path in tmp_path.glob("jobs.db*"):
            path.unlink()
        await revive(processes, harbour)
        words = f"portcall: error: there is no job {job}. It may have been forgotten. See: portcall jobs ls"
        assert (await waiting.screen())[-1] == words
    assert await events.wait() == 2
    assert events.stderr.splitlines()[-1].endswith(f"refuses it: there is no job {job} (any more)")


async def test_ctrl_c_ends_a_watch_and_not_the_job(processes: Processes, tmp_path: Path) -> None:
    harbour = await shell(processes, tmp_path, "harbour")
    job = await harbour.submit(INSPECT, "{}", "--delay", "1d")
    events = await harbour.start("jobs", "events", job)
    await events.line("scheduled")
    events.interrupt()
    assert await events.wait() == 130
    assert events.stderr.strip() == ""
    assert (await harbour.said("jobs", "ls", "-q", "--state", "scheduled")).split() == [job]


async def test_progress_on_a_terminal_makes_way_for_what_is_printed(processes: Processes, tmp_path: Path) -> None:
    harbour = await shell(processes, tmp_path, "harbour")
    jobs = [await harbour.submit(REFUSE, NEVER_ENDS) for _ in range(2)]
    late = await harbour.submit(INSPECT, '{"note": "late"}', "--after", jobs[0])
    waits = [("jobs", "wait", *some) for some in (jobs, [late], jobs[1:], jobs[:1])]
    with terminals(harbour.hub.address, *waits) as [both, one, interrupted, failing]:
        await both.shows("waiting")
        await one.shows("waiting")
        for terminal in (interrupted, failing):
            await terminal.shows("running, attempt 1")
        interrupted.process.send_signal(signal.SIGINT)
        assert await interrupted.screen() == []
        assert interrupted.process.returncode == 130
        await harbour.said("jobs", "cancel", jobs[0])
        await both.shows("1 of 2 jobs have ended")
        await harbour.said("jobs", "cancel", jobs[1])
        ended = [f"{job}  cancelled  CANCELLED" for job in jobs]
        assert [line.partition(":")[0] for line in await both.screen()] == ended
        for job, terminal in {jobs[0]: failing, late: one}.items():
            [line] = await terminal.screen()
            assert line.startswith(f"portcall: error: job {job} cancelled: CANCELLED")
