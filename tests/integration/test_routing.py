"""Which worker gets a call, who waits, and who is told that it is no use."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status
from interop.service import Context, InteropStub
from interop_pb2 import Empty, UnaryReply, UnaryRequest

import portcall

from .servicers import Gate, Named, echo
from .stage import LONG_S, Stage, status_of, until

RESOURCE_EXHAUSTED, UNAVAILABLE = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE


@pytest.fixture(params=["native", "channel"])
def way(request: pytest.FixtureRequest) -> str:
    """By which channel a client calls."""
    return str(request.param)


def stub_by(way: str, stage: Stage, address: str) -> InteropStub:
    return stage.native_stub(address) if way == "native" else stage.stub(address)


async def test_calls_go_where_most_slots_are_free(stage: Stage) -> None:
    small, large = Gate(), Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, slots=2, UnaryCall=small.handle)
    await stage.worker(hub.address, slots=6, UnaryCall=large.handle)
    stub = stage.stub(hub.address)
    calls = []
    for count in range(1, 5):
        calls.append(stub.UnaryCall(UnaryRequest()))
        await large.when_begun(count)
    assert not small.begun
    calls.extend(stub.UnaryCall(UnaryRequest()) for _ in range(4))
    await large.when_begun(6)
    await small.when_begun(2)
    waiting = stub.UnaryCall(UnaryRequest(body=b"9"))
    await stage.fleet(hub.address).when(lambda workers: sum(worker.running for worker in workers) == 8)
    small.opened.set()
    assert (await waiting).body == b"9"
    assert len(small.begun) == 3
    large.opened.set()
    await asyncio.gather(*calls)


async def test_equal_workers_take_turns(stage: Stage) -> None:
    hub = await stage.hub()
    workers = [Named(name) for name in (b"a", b"b", b"c")]
    for worker in workers:
        await stage.worker(hub.address, slots=5, UnaryCall=worker.handle)
    stub = stage.stub(hub.address)
    for _ in range(30):
        await stub.UnaryCall(UnaryRequest())
    assert [worker.count for worker in workers] == [10, 10, 10]


async def test_call_goes_only_to_a_worker_that_has_its_method(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, slots=100, UnaryCall=echo)
    other = portcall.Worker(hub.address, slots=1)
    handlers = {"Shout": grpc.unary_unary_rpc_method_handler(_shout)}
    other.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Shouter", handlers),))
    await other.start()
    shout = stage.channel(hub.address).unary_unary("/test.Shouter/Shout")
    assert [await shout(b"hello") for _ in range(5)] == [b"HELLO"] * 5
    await other.stop()


async def _shout(request: bytes, context: Context) -> bytes:
    return request.upper()


@pytest.mark.parametrize("modest_way", ["native", "channel"])
async def test_modest_client_is_not_held_up_by_a_greedy_one(stage: Stage, modest_way: str) -> None:
    order: list[bytes] = []
    gate = Gate()

    async def note(request: UnaryRequest, context: Context) -> UnaryReply:
        await gate.handle(request, context)
        order.append(request.body)
        return UnaryReply()

    hub = await stage.hub()
    await stage.worker(hub.address, slots=1, UnaryCall=note)
    greedy, modest = stage.native_stub(hub.address), stub_by(modest_way, stage, hub.address)
    many = [greedy.UnaryCall(UnaryRequest(body=b"greedy")) for _ in range(100)]
    await gate.when_begun()
    await until(lambda: _waiting(hub) == 99)
    one = modest.UnaryCall(UnaryRequest(body=b"modest"))
    await until(lambda: _waiting(hub) == 100)
    gate.opened.set()
    await asyncio.gather(one, *many)
    assert order.index(b"modest") <= 3


def _waiting(hub: object) -> int:
    return hub._board.switchboard.calls_waiting


async def test_too_many_waiting_calls_are_refused_with_a_time_to_retry(stage: Stage, way: str) -> None:
    gate = Gate()
    hub = await stage.hub(calls_waiting_max=2, retry_delay_s=1.5)
    await stage.worker(hub.address, slots=1, UnaryCall=gate.handle)
    stub = stub_by(way, stage, hub.address)
    accepted = [stub.UnaryCall(UnaryRequest()) for _ in range(3)]
    await gate.when_begun()
    await until(lambda: _waiting(hub) == 2)
    refused = stub.UnaryCall(UnaryRequest())
    code, details = await status_of(refused)
    assert code is RESOURCE_EXHAUSTED
    assert "no more may" in details
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await refused
    assert _retry_delay(raised.value) == timedelta(seconds=1.5)
    gate.opened.set()
    await asyncio.gather(*accepted)


async def test_waiting_calls_hold_so_many_bytes_at_most(stage: Stage, way: str) -> None:
    gate = Gate()
    hub = await stage.hub(bytes_waiting_max=300_000)
    await stage.worker(hub.address, slots=1, UnaryCall=gate.handle)
    stub = stub_by(way, stage, hub.address)
    running = stub.UnaryCall(UnaryRequest())
    await gate.when_begun()
    calls = [stub.UnaryCall(UnaryRequest(body=bytes(60_000))) for _ in range(8)]
    await until(lambda: sum(call.done() for call in calls) == 4)
    refused = [call for call in calls if call.done()]
    for call in refused:
        assert await call.code() is RESOURCE_EXHAUSTED
    gate.opened.set()
    await asyncio.gather(running, *(call for call in calls if call not in refused))


def _retry_delay(error: grpc.aio.AioRpcError) -> timedelta:
    status = rpc_status.from_call(error)
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    return info.retry_delay.ToTimedelta()


async def test_known_method_without_a_worker_waits_for_one(stage: Stage, way: str) -> None:
    hub = await stage.hub(worker_wait_max_s=LONG_S)
    worker = await stage.worker(hub.address, UnaryCall=echo)
    await worker.stop()
    stub = stub_by(way, stage, hub.address)
    call = stub.UnaryCall(UnaryRequest(body=b"1"))
    await until(lambda: _waiting(hub) == 1)
    await stage.worker(hub.address, UnaryCall=echo)
    assert await call == UnaryReply(body=b"1")


async def test_known_method_without_a_worker_gives_up_after_a_while(stage: Stage, way: str) -> None:
    hub = await stage.hub(worker_wait_max_s=0.05)
    worker = await stage.worker(hub.address, UnaryCall=echo)
    await worker.stop()
    code, details = await status_of(stub_by(way, stage, hub.address).UnaryCall(UnaryRequest()))
    assert code is UNAVAILABLE
    assert "No worker serves /interop.Interop/UnaryCall now" in details


async def test_patient_call_waits_for_a_worker_as_long_as_it_takes(stage: Stage) -> None:
    hub = await stage.hub(worker_wait_max_s=0.05)
    worker = await stage.worker(hub.address, UnaryCall=echo)
    await worker.stop()
    stub = stage.stub(hub.address)
    patient = stub.UnaryCall(UnaryRequest(body=b"1"), wait_for_ready=True)
    impatient = stub.UnaryCall(UnaryRequest())
    assert await impatient.code() is UNAVAILABLE
    assert not patient.done()
    await stage.worker(hub.address, UnaryCall=echo)
    assert await patient == UnaryReply(body=b"1")


async def test_deadline_of_a_waiting_call_ends_it(stage: Stage, way: str) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, slots=1, UnaryCall=gate.handle)
    stub = stub_by(way, stage, hub.address)
    running = stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    assert await stub.UnaryCall(UnaryRequest(body=b"2"), timeout=0.05).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    gate.opened.set()
    await running
    assert gate.begun == [b"1"]


async def test_unknown_method_is_refused_at_once(stage: Stage, way: str) -> None:
    hub = await stage.hub()
    code, details = await status_of(stub_by(way, stage, hub.address).EmptyCall(Empty()))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "/interop.Interop/EmptyCall" in details


async def test_cancelled_waiting_call_never_reaches_a_worker(stage: Stage, way: str) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, slots=1, UnaryCall=gate.handle)
    stub = stub_by(way, stage, hub.address)
    running = stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    waiting, last = (stub.UnaryCall(UnaryRequest(body=body)) for body in (b"2", b"3"))
    await until(lambda: _waiting(hub) == 2)
    waiting.cancel()
    await until(lambda: _waiting(hub) == 1)
    gate.opened.set()
    await asyncio.gather(running, last)
    assert gate.begun == [b"1", b"3"]


async def test_requests_of_all_sizes_at_once(stage: Stage, way: str) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, slots=10, UnaryCall=echo)
    stub = stub_by(way, stage, hub.address)
    bodies = [bytes([index]) * (1, 5_000, 100, 70_000, 30_000)[index % 5] for index in range(50)]
    calls = [stub.UnaryCall(UnaryRequest(body=body)) for body in bodies]
    assert [(await call).body for call in calls] == bodies
