"""A worker that stops: it takes no new calls, finishes those that it has, and nobody's call fails for it."""

import asyncio
from collections.abc import Sequence

import grpc
import pytest
from interop.service import Context
from interop_pb2 import StreamRequest, UnaryReply, UnaryRequest

from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus
from portcall.protos.portcall.v1.link_pb2 import Drain, Frame, Open, Opens
from portcall.worker.execution import Execution
from portcall.worker.handlers import Methods
from portcall.worker.server import _WorkerLink

from .servicers import Gate, Named, Source, number
from .stage import LONG_S, Stage

DRAINING, READY = WorkerStatus.STATE_DRAINING, WorkerStatus.STATE_READY


async def test_running_calls_finish_while_another_worker_takes_the_new_ones(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    old = await stage.worker(hub.address, slots=10, UnaryCall=gate.handle)
    stub, fleet = stage.stub(hub.address), stage.fleet(hub.address)
    running = [stub.UnaryCall(UnaryRequest(body=b"%d" % index)) for index in range(10)]
    await gate.when_begun(10)
    stopping = asyncio.create_task(old.stop(LONG_S))
    await fleet.when_state(DRAINING)
    await stage.worker(hub.address, slots=1, UnaryCall=Named(b"new").handle)
    assert [(await stub.UnaryCall(UnaryRequest())).body for _ in range(20)] == [b"new"] * 20
    assert not stopping.done()
    gate.opened.set()
    assert [(await call).body for call in running] == [b"%d" % index for index in range(10)]
    await stopping
    assert len(gate.begun) == 10
    await fleet.when_state(READY)


async def test_link_lives_on_while_a_worker_drains(stage: Stage) -> None:
    source = Source(body_bytes=1_000)
    hub = await stage.hub()
    worker = await stage.worker(hub.address, StreamingOutputCall=source.handle)
    call = stage.stub(hub.address).StreamingOutputCall(StreamRequest(body=b"3000"))
    received = [number(await call.read())]
    stopping = asyncio.create_task(worker.stop(LONG_S))
    await stage.fleet(hub.address).when_state(DRAINING)
    assert not source.is_done.is_set()
    received.extend([number(reply) async for reply in _rest(call)])
    assert received == list(range(3_000))
    await stopping


async def _rest(call: object):
    while (reply := await call.read()) is not grpc.aio.EOF:
        yield reply


async def test_nothing_fails_while_workers_come_and_go(stage: Stage) -> None:
    hub = await stage.hub(worker_wait_max_s=LONG_S)
    stub = stage.stub(hub.address)
    workers = [await stage.worker(hub.address, slots=4, UnaryCall=_echo_in_a_turn)]

    async def replace_workers() -> None:
        for _ in range(5):
            workers.append(await stage.worker(hub.address, slots=4, UnaryCall=_echo_in_a_turn))
            await workers[-2].stop(LONG_S)

    replacing = asyncio.create_task(replace_workers())
    count = 0
    while not replacing.done():
        bodies = [b"%d" % index for index in range(count, count + 50)]
        requests = [UnaryRequest(body=body) for body in bodies]
        assert [reply.body async for reply in stub.UnaryCall.map(requests)] == bodies
        count += 50
    await replacing


async def _echo_in_a_turn(request: UnaryRequest, context: Context) -> UnaryReply:
    await asyncio.sleep(0)
    return UnaryReply(body=request.body)


@pytest.mark.parametrize("grace", [None, 0.05])
async def test_calls_that_outlast_the_grace_are_cancelled(stage: Stage, grace: float | None) -> None:
    gate = Gate()
    hub = await stage.hub()
    worker = await stage.worker(hub.address, UnaryCall=gate.handle)
    call = stage.stub(hub.address).UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    await worker.stop(grace)
    assert gate.cancelled == [b"1"]
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert await stage.fleet(hub.address).workers() == []


async def test_shorter_grace_shortens_the_wait(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    worker = await stage.worker(hub.address, UnaryCall=gate.handle)
    call = stage.stub(hub.address).UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    patient = asyncio.create_task(worker.stop(LONG_S))
    await stage.fleet(hub.address).when_state(DRAINING)
    await worker.stop(0)
    await patient
    assert gate.cancelled == [b"1"]
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_worker_that_cannot_reach_its_hub_stops_all_the_same(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    proxy = await stage.proxy(hub.address)
    worker = await stage.worker(proxy.address, UnaryCall=gate.handle)
    call = stage.stub(hub.address).UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    proxy.cut()
    await stage.fleet(hub.address).when_state(WorkerStatus.STATE_SUSPENDED)
    await worker.stop(0.05)
    assert gate.cancelled == [b"1"]
    call.cancel()


async def test_worker_that_stops_during_a_blip_delivers_its_results(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    proxy = await stage.proxy(hub.address)
    worker = await stage.worker(proxy.address, UnaryCall=gate.handle)
    fleet = stage.fleet(hub.address)
    call = stage.stub(hub.address).UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    proxy.cut()
    await fleet.when_state(WorkerStatus.STATE_SUSPENDED)
    stopping = asyncio.create_task(worker.stop(LONG_S))
    gate.opened.set()
    await gate.when_ended()
    proxy.restore()
    assert await call == UnaryReply(body=b"1")
    await stopping
    assert await fleet.workers() == []


async def test_calls_that_come_together_in_the_batch_of_the_hubs_last_word_are_run() -> None:
    taken: list[Frame] = []

    class Calls(Execution):
        def on_frames(self, frames: Sequence[Frame]) -> None:
            taken.extend(frames)

    link = _WorkerLink(Calls(Methods(()), 9), asyncio.get_running_loop().create_future())
    many = Frame(opens=Opens(shared=Open(method="/a.B/C"), call_ids=[1, 2], messages=[b"x", b"y"]))
    link.on_frames([many, Frame(drain=Drain())])
    assert taken == [many]
