"""`portcall attach`: a server that knows nothing of a fleet joins it, and the sidecar ends as a worker does."""

import sys
from pathlib import Path

import grpc
import pytest

from .cargo_calls import Gate, echo, running
from .ledger_calls import when_workers
from .processes import HubProcess, Process, Processes, portcall
from .test_cli_worker import TestAsProcess1 as AsProcess1
from .test_cli_worker import can_be_process_1

ATTACHED = "Attached to the hub"


async def server(processes: Processes, address: str) -> Process:
    """A server with the methods of the app `cargo`."""
    started = await processes.spawn(sys.executable, "cargo_server.py", address)
    await started.line("serving")
    return started


async def sidecar(processes: Processes, hub: HubProcess, address: str, *arguments: str) -> Process:
    """A sidecar that has attached."""
    started = await processes.start("attach", "--hub", hub.address, "--upstream", address, *arguments)
    await started.line(ATTACHED)
    return started


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/cargo.sock"


async def test_server_joins_and_is_followed_through_kill_and_return(processes: Processes, address: str) -> None:
    hub = await processes.hub()
    first = await processes.start("attach", "--hub", hub.address, "--upstream", address)
    await first.line("cannot be reached, dialling on: .*No such file")
    upstream = await server(processes, address)
    await first.line("is there, with acceptance.Cargo; followed by its connection, since it has no health service")
    async with grpc.aio.insecure_channel(hub.address) as channel:
        assert await echo(channel, b"one") == b"one"
        call = await running(channel, "Never")
        upstream.kill()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert (await call.details()).startswith(f"The upstream {address} is not available: ")
        await when_workers(hub.address, lambda workers: not workers)
        await server(processes, address)
        assert await echo(channel, b"two") == b"two"


async def test_takes_its_settings_from_the_environment(processes: Processes, address: str) -> None:
    hub = await processes.hub()
    await server(processes, address)
    settings = {"UPSTREAM": address, "NAME": "crane", "SLOTS": "3", "SERVICE": "acceptance.Cargo", "GRACE": "1"}
    started = await processes.start(
        "attach", PORTCALL_HUB=hub.address, **{f"PORTCALL_ATTACH_{name}": value for name, value in settings.items()}
    )
    await started.line(ATTACHED)
    (worker,) = await when_workers(hub.address, lambda workers: len(workers) == 1)
    assert (worker.name, worker.slots) == ("crane", 3)
    started.terminate()
    await started.line("SIGTERM: draining for up to 1 s")
    assert await started.wait() == 0


@pytest.mark.parametrize("signal", ["terminate", "interrupt"])
async def test_running_call_finishes_when_it_is_told_to_stop(
    processes: Processes, address: str, tmp_path: Path, signal: str
) -> None:
    hub = await processes.hub()
    await server(processes, address)
    started = await sidecar(processes, hub, address)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        gate = Gate(tmp_path)
        call = await running(channel, "Hold", gate.request)
        getattr(started, signal)()
        await started.line("draining for up to 30 s; once more stops at once")
        await gate.open()
        assert await call.read() == b"released"
        assert await call.code() is grpc.StatusCode.OK
    assert await started.wait() == 0


async def test_call_that_does_not_end_is_cancelled_after_the_grace(processes: Processes, address: str) -> None:
    hub = await processes.hub()
    await server(processes, address)
    started = await sidecar(processes, hub, address, "--grace", "0")
    async with grpc.aio.insecure_channel(hub.address) as channel:
        await running(channel, "Never")
        started.terminate()
        assert await started.wait() == 0


async def test_second_signal_stops_at_once(processes: Processes, address: str) -> None:
    hub = await processes.hub()
    await server(processes, address)
    started = await sidecar(processes, hub, address)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        await running(channel, "Never")
        started.terminate()
        await started.line("draining")
        started.terminate()
        assert await started.wait() == 143


async def test_sigterm_ends_it_while_it_dials(processes: Processes, address: str) -> None:
    started = await processes.start("attach", "--upstream", address)
    await started.line("cannot be reached")
    started.terminate()
    assert await started.wait() == 0


async def test_ends_with_the_process_that_holds_its_stdin(processes: Processes, address: str) -> None:
    started = await processes.start("attach", "--upstream", address, "--exit-with-stdin")
    await started.line("cannot be reached")
    started.close_stdin()
    assert await started.wait() == 0


@pytest.mark.skipif(not can_be_process_1(), reason="needs the right to make a process namespace")
async def test_sigterm_drains_process_1(processes: Processes, address: str) -> None:
    hub = await processes.hub()
    await server(processes, address)
    command = portcall("attach", "--hub", hub.address, "--upstream", address)
    outer = await processes.spawn("unshare", "--pid", "--fork", *command)
    await outer.line(ATTACHED)
    (await AsProcess1.inner(outer.pid)).terminate()
    assert await outer.wait() == 0


MISTAKES = {
    "": "which server? Say --upstream HOST:PORT or unix:PATH. See: portcall attach --help",
    "--upstream 50051": (
        "the upstream's address is '50051'; it should be HOST:PORT, as in localhost:50051, or unix:PATH"
    ),
    "--upstream app:1 --hub nonsense": (
        "invalid value for '--hub': 'nonsense' is not HOST:PORT, as in 127.0.0.1:7070, nor unix:PATH."
        " See: portcall attach --help"
    ),
    "--upstream app:1 --slots 0": (
        "invalid value for '--slots': '0' is not a whole number, 1 or more. See: portcall attach --help"
    ),
    "--upstream {address} --log-level error --service Cargo": (
        "reflection of the upstream {address}: there is no service 'Cargo'. Did you mean acceptance.Cargo?"
    ),
    "--upstream app:1 --log-level error --descriptor-set nope.binpb": (
        "descriptor set nope.binpb: it cannot be read: No such file or directory"
    ),
    "--upstream app:1 --log-level error --descriptor-set cargo.py": (
        "descriptor set cargo.py: this is not a descriptor set; protoc --descriptor_set_out writes one"
    ),
}


@pytest.mark.parametrize("arguments", MISTAKES)
async def test_mistake_is_one_line(processes: Processes, address: str, arguments: str) -> None:
    if "{address}" in arguments:
        await server(processes, address)
    done = await processes.run("attach", *arguments.format(address=address).split())
    assert done.stderr == f"portcall: error: {MISTAKES[arguments].format(address=address)}\n"
    assert done.code == 2
