"""Starting, stopping and closing: in any order, more than once, and with nothing left behind."""

import asyncio
import signal
import sys
from pathlib import Path

import grpc
import psutil
import pytest
from interop.service import interop_stub
from interop_pb2 import StreamRequest, UnaryReply, UnaryRequest

import portcall
from portcall.hub import Hub, HubConfig, sessions

from .servicers import Gate, Source, echo
from .stage import LONG_S, Stage, status_of, until, when_channel

CANCELLED, UNAVAILABLE = grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE


async def test_worker_starts_once(stage: Stage) -> None:
    hub = await stage.hub()
    worker = await stage.worker(hub.address, UnaryCall=echo)
    with pytest.raises(portcall.ConfigurationError, match="starts once"):
        await worker.start()


async def test_worker_stops_as_often_as_one_likes(stage: Stage) -> None:
    hub = await stage.hub()
    worker = stage.make_worker(hub.address, UnaryCall=echo)
    await worker.stop()  # before it started
    await worker.start()
    await asyncio.gather(worker.stop(), worker.stop(1.0), worker.stop())
    await worker.stop()
    assert await stage.fleet(hub.address).workers() == []


async def test_worker_without_methods_does_not_start(stage: Stage) -> None:
    hub = await stage.hub()
    with pytest.raises(portcall.ConfigurationError, match="no methods"):
        await portcall.Worker(hub.address).start()


async def test_methods_are_added_before_the_start(stage: Stage) -> None:
    hub = await stage.hub()
    worker = await stage.worker(hub.address, UnaryCall=echo)
    with pytest.raises(portcall.ConfigurationError, match="before it starts"):
        worker.add_generic_rpc_handlers(())
    with pytest.raises(portcall.ConfigurationError, match="before it starts"):
        worker.add_registered_method_handlers("a.B", {})


@pytest.mark.parametrize("add", ["add_insecure_port", "add_secure_port"])
def test_worker_has_no_port(add: str) -> None:
    worker = portcall.Worker("127.0.0.1:7070")
    with pytest.raises(portcall.ConfigurationError, match="does not listen"):
        getattr(worker, add)("[::]:50051", *([None] if add == "add_secure_port" else []))


@pytest.mark.parametrize("slots", [0, -1])
def test_worker_needs_slots(slots: int) -> None:
    with pytest.raises(portcall.ConfigurationError, match="slots"):
        portcall.Worker("127.0.0.1:7070", slots=slots)


async def test_worker_that_finds_no_hub_dials_on_until_it_is_stopped(stage: Stage) -> None:
    hub = await stage.hub()
    await hub.stop()
    worker = stage.make_worker(hub.address, UnaryCall=echo)
    starting = asyncio.create_task(worker.start())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(starting)
    await worker.stop(LONG_S)
    await starting
    assert not await worker.wait_for_termination()


async def test_welcome_may_take_longer_than_a_peer_is_told_anything_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does where the machine is so busy that a hub gets no turn for seconds."""
    monkeypatch.setattr(sessions, "SAY_S", 0.0)
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    stub = stage.stub(hub.address)
    for body in (b"1", b"2"):
        assert await stub.UnaryCall(UnaryRequest(body=body)) == UnaryReply(body=body)


async def test_worker_that_came_first_attaches_when_the_hub_is_there(stage: Stage) -> None:
    first = await stage.hub()
    await first.stop()
    worker = stage.make_worker(first.address, UnaryCall=echo)
    starting = asyncio.create_task(worker.start())
    hub = await stage.hub(listen=first.address)
    await starting
    assert await stage.stub(hub.address).UnaryCall(UnaryRequest(body=b"1")) == UnaryReply(body=b"1")


async def test_wait_for_termination(stage: Stage) -> None:
    hub = await stage.hub()
    worker = stage.make_worker(hub.address, UnaryCall=echo)
    with pytest.raises(portcall.ConfigurationError, match="has not started"):
        await worker.wait_for_termination()
    await worker.start()
    assert await worker.wait_for_termination(timeout=0.01)
    waiting = asyncio.create_task(worker.wait_for_termination())
    await worker.stop()
    assert not await waiting
    assert not await worker.wait_for_termination(timeout=0.01)


async def test_channel_closes_as_often_as_one_likes(stage: Stage) -> None:
    hub = await stage.hub()
    idle = stage.channel(hub.address)
    await idle.close()
    await idle.close()
    channel = stage.channel(hub.address)
    await channel.channel_ready()
    await asyncio.gather(channel.close(), channel.close())
    assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    assert channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.SHUTDOWN


async def test_channel_that_closes_cancels_its_calls(stage: Stage) -> None:
    gate, source = Gate(), Source()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle, StreamingOutputCall=source.handle)
    channel = stage.channel(hub.address)
    stub = interop_stub(channel)
    calls = [stub.UnaryCall(UnaryRequest()), stub.StreamingOutputCall(StreamRequest(body=b"1000000"))]
    await gate.when_begun()
    await until(lambda: source.sent > 0)
    await channel.close()
    assert [await call.code() for call in calls] == [CANCELLED] * 2
    await gate.when_cancelled()
    await source.is_done.wait()


async def test_channel_lets_calls_finish_within_its_grace(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    channel = stage.channel(hub.address)
    call = interop_stub(channel).UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    closing = asyncio.create_task(channel.close(LONG_S))
    await until(channel._channel.closed)
    gate.opened.set()
    assert await call == UnaryReply(body=b"1")
    await closing


async def test_channel_that_never_found_its_hub_closes(stage: Stage) -> None:
    hub = await stage.hub()
    await hub.stop()
    channel = stage.channel(hub.address)
    call = interop_stub(channel).UnaryCall(UnaryRequest(), wait_for_ready=True)
    await when_channel(channel, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
    await channel.close()
    assert await call.code() is CANCELLED


@pytest.mark.parametrize("address", ["", "nowhere", "localhost:", "localhost:0", "localhost:99999", ":7070"])
async def test_address_that_cannot_be_dialled(address: str) -> None:
    with pytest.raises(portcall.ConfigurationError, match="HOST:PORT"):
        portcall.Channel(address)


async def test_address_comes_from_the_environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = await stage.hub()
    monkeypatch.setenv("PORTCALL_HUB", hub.address)
    await stage.worker(None, UnaryCall=echo)
    assert await stage.stub(None).UnaryCall(UnaryRequest(body=b"1")) == UnaryReply(body=b"1")


async def test_hub_on_a_unix_socket(stage: Stage, tmp_path: Path) -> None:
    hub = await stage.hub(listen=f"unix:{tmp_path}/hub.sock")
    await stage.worker(hub.address, UnaryCall=echo)
    assert await stage.stub(hub.address).UnaryCall(UnaryRequest(body=b"1")) == UnaryReply(body=b"1")


async def test_hub_stops_as_often_as_one_likes(stage: Stage) -> None:
    never_started = Hub(HubConfig(listen="127.0.0.1:0"))
    await never_started.stop()
    await never_started.wait()
    hub = await stage.hub()
    await asyncio.gather(hub.stop(), hub.stop(1.0))
    await hub.stop()
    await hub.wait()


async def test_two_hubs_cannot_share_a_port(stage: Stage) -> None:
    hub = await stage.hub()
    with pytest.raises(portcall.ConfigurationError, match="another process listens there"):
        await stage.hub(listen=hub.address)


async def test_port_is_free_when_the_hub_has_stopped(stage: Stage) -> None:
    hub = await stage.hub()
    port = int(hub.address.rpartition(":")[2])
    await stage.worker(hub.address, UnaryCall=echo)
    await hub.stop()
    listening = [connection for connection in psutil.Process().net_connections() if connection.status == "LISTEN"]
    assert port not in {connection.laddr.port for connection in listening}


@pytest.mark.parametrize("way", ["native", "channel"])
async def test_hub_that_stops_lets_calls_finish_within_its_grace(stage: Stage, way: str) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = stage.stub(hub.address) if way == "channel" else stage.native_stub(hub.address)
    running = stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    stopping = asyncio.create_task(hub.stop(LONG_S))
    await until(lambda: hub._board.switchboard.is_closing)
    code, details = await status_of(stub.UnaryCall(UnaryRequest(body=b"2")))
    assert code is UNAVAILABLE
    assert "shutting down" in details
    gate.opened.set()
    assert await running == UnaryReply(body=b"1")
    await stopping


async def test_hub_that_stops_ends_calls_that_outlast_its_grace(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    calls = [stub.UnaryCall(UnaryRequest()) for stub in (stage.stub(hub.address), stage.native_stub(hub.address))]
    await gate.when_begun(2)
    await hub.stop(0.05)
    assert [await call.code() for call in calls] == [UNAVAILABLE] * 2
    await gate.when_cancelled(2)


async def test_many_rounds_leave_nothing_behind(stage: Stage) -> None:
    hub = await stage.hub()

    async def one_round() -> None:
        worker = await stage.worker(hub.address, UnaryCall=echo)
        async with portcall.Channel(hub.address) as channel:
            await interop_stub(channel).UnaryCall(UnaryRequest())
        await worker.stop()

    await one_round()
    tasks, files = len(asyncio.all_tasks()), psutil.Process().num_fds()
    for _ in range(10):
        await one_round()
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    await until(lambda: psutil.Process().num_fds() <= files + 2)
    assert len(hub._sessions) == 0


WORKER_SCRIPT = """
import asyncio, sys
import grpc
import portcall

started = 0

async def hold(request, context):
    print("begun", flush=True)
    try:
        await asyncio.sleep(float(request))
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise
    return b"done"

worker = portcall.Worker(sys.argv[1])
handlers = {"Hold": grpc.unary_unary_rpc_method_handler(hold)}
worker.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Holder", handlers),))
asyncio.run(worker.run(grace_s=float(sys.argv[2])))
print("over", flush=True)
"""


class RunningWorker:
    """A process that serves by `Worker.run`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, stage: Stage, address: str, *, grace_s: float) -> "RunningWorker":
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER_SCRIPT, address, str(grace_s), stdout=asyncio.subprocess.PIPE
        )

        async def end() -> None:
            if process.returncode is None:
                process.kill()
            await process.communicate()

        stage.on_exit(end)
        return cls(process)

    async def line(self) -> str:
        return (await self.process.stdout.readline()).decode().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_drains_a_running_worker(stage: Stage, number: signal.Signals) -> None:
    hub = await stage.hub(worker_wait_max_s=LONG_S, settle_s=LONG_S)
    running = await RunningWorker.start(stage, hub.address, grace_s=LONG_S)
    call = stage.channel(hub.address).unary_unary("/test.Holder/Hold")(b"0.2")
    assert await running.line() == "begun"
    running.process.send_signal(number)
    assert await call == b"done"
    assert await running.line() == "over"
    assert await running.process.wait() == 0


async def test_signal_cancels_what_outlasts_the_grace(stage: Stage) -> None:
    hub = await stage.hub(settle_s=LONG_S)
    running = await RunningWorker.start(stage, hub.address, grace_s=0.05)
    call = stage.channel(hub.address).unary_unary("/test.Holder/Hold")(b"60")
    assert await running.line() == "begun"
    running.process.terminate()
    assert await call.code() is CANCELLED
    assert [await running.line() for _ in range(2)] == ["cancelled", "over"]
    assert await running.process.wait() == 0


async def test_second_signal_ends_a_worker_at_once(stage: Stage) -> None:
    hub = await stage.hub(settle_s=LONG_S, grace_s=0.1)
    running = await RunningWorker.start(stage, hub.address, grace_s=60)
    call = stage.channel(hub.address).unary_unary("/test.Holder/Hold")(b"60")
    assert await running.line() == "begun"
    running.process.terminate()
    await stage.fleet(hub.address).when(lambda workers: workers[0].state == 2)
    running.process.terminate()
    assert await running.process.wait() == 128 + signal.SIGTERM
    assert await call.code() is UNAVAILABLE


async def test_signal_stops_a_worker_that_finds_no_hub(stage: Stage) -> None:
    hub = await stage.hub()
    proxy = await stage.proxy(hub.address)
    proxy.hold()
    running = await RunningWorker.start(stage, proxy.address, grace_s=60)
    await until(lambda: bool(proxy._wires))
    running.process.terminate()
    assert await running.line() == "over"
    assert await running.process.wait() == 0
