"""`portcall worker`: it serves, it drains, and it ends whatever its handlers do."""

import asyncio
import subprocess
from pathlib import Path

import grpc
import psutil
import pytest

from .cargo_calls import Gate, echo, running
from .processes import APPS, Processes, portcall


@pytest.mark.parametrize(
    ("app", "folder"),
    [
        ("cargo:worker", APPS),
        ("cargo", APPS),
        ("cargo.py", APPS),
        ("apps/cargo.py:worker", APPS.parent),
        ("factory:make", APPS),
        ("packaged.inner.app:worker", APPS),
        ("packaged/inner/app.py", APPS),
        ("inner/app.py", APPS / "packaged"),
    ],
)
async def test_serves_the_app_however_it_is_named(processes: Processes, app: str, folder: Path) -> None:
    hub = await processes.hub()
    await processes.worker(app, hub, folder=folder)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        assert await echo(channel, b"cargo") == b"cargo"


async def test_takes_its_settings_from_the_environment(processes: Processes) -> None:
    hub = await processes.hub()
    settings = {"PORTCALL_HUB": hub.address, "PORTCALL_WORKER_NAME": "crane", "PORTCALL_WORKER_SLOTS": "3"}
    worker = await processes.start("worker", "cargo", **settings)
    await worker.line("Attached")
    listed = await processes.run("fleet", "ls", PORTCALL_HUB=hub.address)
    assert listed.stdout.splitlines()[1].split()[0] == "crane"


@pytest.mark.parametrize("signal", ["terminate", "interrupt"])
async def test_running_call_finishes_when_the_worker_is_told_to_stop(
    processes: Processes, tmp_path: Path, signal: str
) -> None:
    hub = await processes.hub()
    worker = await processes.worker("cargo", hub)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        gate = Gate(tmp_path)
        call = await running(channel, "Hold", gate.request)
        getattr(worker, signal)()
        await worker.line("draining for up to 30 s; once more stops at once")
        await gate.open()
        assert await call.read() == b"released"
        assert await call.code() is grpc.StatusCode.OK
    assert await worker.wait() == 0


async def test_second_signal_stops_at_once(processes: Processes) -> None:
    hub = await processes.hub()
    worker = await processes.worker("cargo", hub)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        await running(channel, "Never")
        worker.terminate()
        await worker.line("draining")
        worker.terminate()
        assert await worker.wait() == 143


async def test_handlers_that_never_return_do_not_keep_a_drained_worker(processes: Processes) -> None:
    hub = await processes.hub()
    worker = await processes.worker("cargo", hub, "--grace", "0")
    async with grpc.aio.insecure_channel(hub.address) as channel:
        await running(channel, "Never")
        await running(channel, "NeverBlocking")
        worker.terminate()
        assert await worker.wait() == 0


async def test_ends_with_the_process_that_holds_its_stdin(processes: Processes) -> None:
    hub = await processes.hub()
    worker = await processes.worker("cargo", hub)
    worker.close_stdin()
    assert await worker.wait() == 0


async def test_dials_until_there_is_a_hub(processes: Processes, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/hub.sock"
    worker = await processes.start("worker", "cargo", "--hub", address)
    await worker.line("The hub cannot be reached")
    await processes.hub(listen=address)
    await worker.line("Attached to the hub")


async def test_sigterm_ends_it_while_its_hub_is_away(processes: Processes, tmp_path: Path) -> None:
    worker = await processes.start("worker", "cargo", "--hub", f"unix:{tmp_path}/nobody.sock")
    await worker.line("The hub cannot be reached")
    worker.terminate()
    assert await worker.wait() == 0


async def test_sigterm_ends_it_while_its_app_is_imported(processes: Processes) -> None:
    worker = await processes.start("worker", "slow")
    await worker.line("importing")
    worker.terminate()
    assert await worker.wait() == 143


def can_be_process_1() -> bool:
    return subprocess.run(["unshare", "--pid", "--fork", "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_be_process_1(), reason="needs the right to make a process namespace")
class TestAsProcess1:
    """To process 1, as which a container's command runs, the kernel sends no signal that it has no handler for."""

    @staticmethod
    async def inner(pid: int) -> psutil.Process:
        children: list[psutil.Process] = await asyncio.to_thread(psutil.Process(pid).children)
        return children[0]

    async def test_sigterm_drains(self, processes: Processes) -> None:
        hub = await processes.hub()
        outer = await processes.spawn("unshare", "--pid", "--fork", *portcall("worker", "cargo", "--hub", hub.address))
        await outer.line("Attached")
        (await self.inner(outer.pid)).terminate()
        assert await outer.wait() == 0

    async def test_sigterm_ends_an_import(self, processes: Processes) -> None:
        outer = await processes.spawn("unshare", "--pid", "--fork", *portcall("worker", "slow"))
        await outer.line("importing")
        (await self.inner(outer.pid)).terminate()
        assert await outer.wait() == 143
