"""`portcall hub`: its ready line, its settings, its end."""

import json
import socket
from pathlib import Path

import grpc
import pytest

from portcall import __version__

from .cargo_calls import Gate, echo, running
from .processes import Processes


async def test_says_where_it_listens_and_what_to_do_next(processes: Processes) -> None:
    hub = await processes.start("hub", "--listen", "127.0.0.1:0")
    address = (await hub.line(r"^Hub listens on (127\.0\.0\.1:\d+)$"))[1]
    await hub.line(rf"^Start a worker in the folder of your app:  portcall worker app:worker --hub {address}$")


async def test_says_it_to_programs(processes: Processes) -> None:
    hub = await processes.start("hub", "--listen", "127.0.0.1:0", "--json")
    ready = json.loads((await hub.line(r"^\{.*")).group())
    assert ready["address"].startswith("127.0.0.1:")
    assert ready == {"event": "ready", "address": ready["address"], "pid": hub.pid, "version": __version__}
    hub.terminate()
    assert await hub.wait() == 0
    assert hub.stdout.count("\n") == 1


async def test_takes_settings_from_the_environment(processes: Processes, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/hub.sock"
    hub = await processes.start("hub", PORTCALL_HUB_LISTEN=address)
    await hub.line(f"^Hub listens on {address}$")


async def test_option_wins_over_the_environment(processes: Processes, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/hub.sock"
    hub = await processes.start("hub", "--listen", address, PORTCALL_HUB_LISTEN="nonsense")
    await hub.line(f"^Hub listens on {address}$")


async def test_unguarded_network_is_named_by_its_host(processes: Processes) -> None:
    hub = await processes.start("hub", "--listen", "0.0.0.0:0", "--insecure")
    port = (await hub.line(r"^Hub listens on 0\.0\.0\.0:(\d+)$"))[1]
    await hub.line(f" --hub {socket.gethostname()}:{port}$")


@pytest.mark.parametrize("signal", ["terminate", "interrupt"])
async def test_running_call_finishes_when_the_hub_is_told_to_stop(
    processes: Processes, tmp_path: Path, signal: str
) -> None:
    hub = await processes.hub()
    await processes.worker("cargo.py", hub)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        gate = Gate(tmp_path)
        call = await running(channel, "Hold", gate.request)
        getattr(hub, signal)()
        await hub.line("draining for up to 10 s; once more stops at once")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await echo(channel, b"late")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        await gate.open()
        assert await call.read() == b"released"
        assert await call.code() is grpc.StatusCode.OK
    assert await hub.wait() == 0


async def test_stops_though_a_call_goes_on_for_longer_than_the_drain(processes: Processes) -> None:
    hub = await processes.hub("--drain", "0.1")
    await processes.worker("cargo.py", hub)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        call = await running(channel, "Never")
        hub.terminate()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
    assert await hub.wait() == 0


async def test_second_signal_stops_at_once(processes: Processes) -> None:
    hub = await processes.hub()
    await processes.worker("cargo.py", hub)
    async with grpc.aio.insecure_channel(hub.address) as channel:
        await running(channel, "Never")
        hub.terminate()
        await hub.line("draining")
        hub.terminate()
        assert await hub.wait() == 143


async def test_ends_with_the_process_that_holds_its_stdin(processes: Processes) -> None:
    hub = await processes.hub()
    hub.close_stdin()
    assert await hub.wait() == 0


async def test_idle_hub_says_nothing_more_than_that_it_stops(processes: Processes) -> None:
    hub = await processes.hub("--log-level", "warning")
    hub.terminate()
    assert await hub.wait() == 0
    assert hub.stderr == ""
