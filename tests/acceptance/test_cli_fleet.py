"""`portcall fleet ls`: the fleet as a table, as JSON, empty, and out of reach."""

import json
import os
import platform
import socket
from pathlib import Path

import grpc

from portcall.protos.portcall.v1.jobs_pb2 import Submission, SubmitRequest

from .cargo_calls import echo, running
from .processes import Processes


async def test_lists_workers_as_a_table(processes: Processes) -> None:
    hub = await processes.hub()
    first = await processes.worker("cargo", hub, "--name", "crane-1", "--slots", "4")
    await processes.worker("cargo", hub, "--name", "crane-2", "--slots", "1")
    async with grpc.aio.insecure_channel(hub.address) as channel:
        await running(channel, "Never")
        await echo(channel, b"")
        listed = await processes.run("fleet", "ls", "--hub", hub.address)
    assert listed.code == 0
    assert listed.stderr == ""
    heading, *rows = listed.stdout.splitlines()
    columns = "NAME STATE HOST PID OS PYTHON IMAGE COMMIT PROCESSES SLOTS RUNNING ENDED UP SERVICES"
    assert heading.split() == columns.split()
    assert rows[0].split()[:4] == ["crane-1", "ready", socket.gethostname(), str(first.pid)]
    assert [row.split()[-1] for row in rows] == ["acceptance.Cargo"] * 2
    starts = {name: heading.index(name) for name in ("SLOTS", "RUNNING", "ENDED", "UP")}
    numbers = [[row[start:].split()[0] for start in starts.values()][:3] for row in rows]
    assert numbers == [["4", "1", "1"], ["1", "0", "0"]]


async def test_lists_workers_as_json(processes: Processes) -> None:
    hub = await processes.hub()
    worker = await processes.worker("cargo", hub, "--name", "crane", "--slots", "5")
    listed = await processes.run("fleet", "ls", "--hub", hub.address, "--json")
    assert listed.code == 0
    fleet = json.loads(listed.stdout)
    [row] = fleet["workers"]
    assert fleet["hub"] == hub.address
    assert row["attached_s"] > 0
    assert row == {
        "name": "crane",
        "state": "ready",
        "host": socket.gethostname(),
        "pid": worker.pid,
        "os": row["os"],
        "image": "",  # not in a container
        "revision": "",
        "kernel": os.uname().release,
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "slots": 5,
        "running": 0,
        "jobs": 0,
        "ended": 0,
        "attached_s": row["attached_s"],
        "services": ["acceptance.Cargo"],
        "processes": [],
    }


async def test_shows_a_worker_that_drains(processes: Processes) -> None:
    hub = await processes.hub()
    worker = await processes.worker("cargo", hub, "--name", "crane", "--slots", "5")
    async with grpc.aio.insecure_channel(hub.address) as channel:
        await running(channel, "Never")
        worker.terminate()
        await worker.line("draining")
        states = ["ready"]
        while states[-1] == "ready":  # The word that it drains may be on its way still.
            listed = await processes.run("fleet", "ls", "--hub", hub.address)
            states.append(listed.stdout.splitlines()[1].split()[1])
    assert states[-1] == "draining"


async def test_empty_fleet_says_how_to_start_a_worker(processes: Processes) -> None:
    hub = await processes.hub()
    listed = await processes.run("fleet", "ls", PORTCALL_HUB=hub.address)
    assert listed.code == 0
    assert listed.stdout == (
        f"No workers on the hub at {hub.address}\nStart one:  portcall worker app:worker --hub {hub.address}\n"
    )
    as_json = await processes.run("fleet", "ls", "--json", PORTCALL_HUB=hub.address)
    assert json.loads(as_json.stdout) == {
        "hub": hub.address,
        "workers": [],
        "keeps_jobs": False,
        "jobs": [],
        "jobs_fault": "",
        "refusals": {"unauthenticated": 0, "permission_denied": 0},
    }


async def test_no_hub_is_an_error_that_may_pass(processes: Processes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    listed = await processes.run("fleet", "ls", "--hub", address)
    assert listed.code == 1
    assert listed.stdout == ""
    assert listed.stderr == (
        f"portcall: error: no hub answers at {address} (Connection refused)."
        " Start one with 'portcall hub', or name another with --hub\n"
    )


async def test_server_that_is_no_hub_is_named_so(processes: Processes) -> None:
    server = grpc.aio.server()
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    listed = await processes.run("fleet", "ls", "--hub", address)
    await server.stop(None)
    assert listed.code == 2
    assert listed.stderr == (
        f"portcall: error: what answers at {address} is not a Portcall hub"
        " (UNIMPLEMENTED: Method not found!). Correct --hub\n"
    )


async def test_shows_how_many_jobs_wait_and_who_runs_how_many(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub("--store", str(tmp_path / "jobs.db"))
    await processes.worker("cargo", hub, "--name", "crane", "--slots", "1")
    submissions = SubmitRequest(jobs=[Submission(method="/acceptance.Cargo/Never")] * 3)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        await channel.unary_unary("/portcall.v1.Jobs/Submit")(submissions.SerializeToString())
    jobs = [{"ready": 0}]
    while jobs[0]["ready"] != 2:
        listed = await processes.run("fleet", "ls", "--hub", hub.address, "--json")
        fleet = json.loads(listed.stdout)
        jobs = fleet["jobs"]
    assert jobs[0] == {
        "method": "/acceptance.Cargo/Never",
        "ready": 2,
        "oldest_s": jobs[0]["oldest_s"],
        "scheduled": 0,
        "retrying": 0,
        "waiting": 0,
        "running": 1,
        "failed": 0,
        "failed_lately": 0,
    }
    assert 0 < jobs[0]["oldest_s"] < 600
    assert (fleet["keeps_jobs"], fleet["jobs_fault"], fleet["workers"][0]["jobs"]) == (True, "", 1)
    listed = await processes.run("fleet", "ls", "--hub", hub.address)
    heading, _, blank, jobs_heading, row = listed.stdout.splitlines()
    assert (heading.split()[10:12], blank) == (["RUNNING", "JOBS"], "")
    columns = "JOBS OF READY OLDEST RUNNING RETRYING LATER FAILED LAST HOUR"
    assert jobs_heading.split() == columns.split()
    assert [cell for cell in row.split() if not cell.endswith("s")] == ["acceptance.Cargo/Never", "2", "1", *"----"]
