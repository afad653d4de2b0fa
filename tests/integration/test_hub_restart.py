"""A hub that goes and comes back at the same address finds its workers and clients back by itself."""

import asyncio

import grpc
from interop.service import interop_stub
from interop_pb2 import UnaryReply, UnaryRequest

from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus

from .servicers import Gate, echo
from .stage import Stage, status_of, when_channel

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
FAILURE = grpc.ChannelConnectivity.TRANSIENT_FAILURE
READY = WorkerStatus.STATE_READY


async def test_workers_and_channels_are_back_by_themselves(stage: Stage) -> None:
    first = await stage.hub()
    for name in ("a", "b"):
        await stage.worker(first.address, name=name, UnaryCall=echo)
    stub = stage.stub(first.address)
    await stub.UnaryCall(UnaryRequest())
    await first.stop()
    second = await stage.hub(listen=first.address)
    workers = await stage.fleet(second.address).when_state(READY, READY)
    assert [worker.name for worker in workers] == ["a", "b"]
    assert await stub.UnaryCall(UnaryRequest(body=b"2"), wait_for_ready=True) == UnaryReply(body=b"2")


async def test_sessions_that_a_new_hub_does_not_know_are_begun_anew(stage: Stage) -> None:
    gate = Gate()
    first, second = await stage.hub(), await stage.hub()
    proxy = await stage.proxy(first.address)
    await stage.worker(proxy.address, UnaryCall=gate.handle)
    stub = stage.stub(proxy.address)
    call = stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    # As after a kill: no goodbye, and another hub at the same address.
    proxy.target = second.address
    proxy.cut()
    proxy.restore()
    code, details = await status_of(call)
    assert code is UNAVAILABLE
    assert "probably restarted" in details
    await gate.when_cancelled()
    gate.opened.set()
    await stage.fleet(second.address).when_state(READY)
    assert await stub.UnaryCall(UnaryRequest(body=b"2")) == UnaryReply(body=b"2")
    assert gate.begun == [b"1", b"2"]


async def test_calls_in_flight_end_with_the_hub(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub, native_stub = stage.stub(hub.address), stage.native_stub(hub.address)
    calls = [stub.UnaryCall(UnaryRequest()), native_stub.UnaryCall(UnaryRequest())]
    await gate.when_begun(2)
    await hub.stop()
    for call in calls:
        code, details = await status_of(call)
        assert code is UNAVAILABLE
        assert "hub is shutting down" in details
    await gate.when_cancelled(2)


async def test_patient_call_waits_for_the_hub_to_come_back(stage: Stage) -> None:
    first = await stage.hub()
    await stage.worker(first.address, UnaryCall=echo)
    channel = stage.channel(first.address)
    stub = interop_stub(channel)
    await stub.UnaryCall(UnaryRequest())
    await first.stop()
    await when_channel(channel, FAILURE)
    patient = [stub.UnaryCall(UnaryRequest(body=b"%d" % index), wait_for_ready=True) for index in range(3)]
    await stage.hub(listen=first.address, settle_s=30.0)
    assert [(await call).body for call in patient] == [b"0", b"1", b"2"]


async def test_impatient_call_fails_at_once_and_says_which_hub(stage: Stage) -> None:
    hub = await stage.hub()
    channel = stage.channel(hub.address)
    await channel.channel_ready()
    await hub.stop()
    await when_channel(channel, FAILURE)
    code, details = await status_of(interop_stub(channel).UnaryCall(UnaryRequest()))
    assert code is UNAVAILABLE
    assert f"No hub answers at {hub.address}" in details


async def test_impatient_call_on_a_new_channel_fails_when_no_hub_answers(stage: Stage) -> None:
    hub = await stage.hub()
    await hub.stop()
    code, details = await status_of(stage.stub(hub.address).UnaryCall(UnaryRequest()))
    assert code is UNAVAILABLE
    assert f"No hub answers at {hub.address}" in details


async def test_new_hub_waits_for_methods_that_it_does_not_know_yet(stage: Stage) -> None:
    hub = await stage.hub(settle_s=30.0)
    calls = [
        stub.UnaryCall(UnaryRequest(body=b"1")) for stub in (stage.stub(hub.address), stage.native_stub(hub.address))
    ]
    await stage.worker(hub.address, UnaryCall=echo)
    assert [await call for call in calls] == [UnaryReply(body=b"1")] * 2


async def test_method_that_no_worker_brings_is_unknown_after_a_while(stage: Stage) -> None:
    hub = await stage.hub(settle_s=0.05)
    code, details = await status_of(stage.stub(hub.address).UnaryCall(UnaryRequest()))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "/interop.Interop/UnaryCall" in details


async def test_calls_of_which_nothing_had_left_are_made_at_the_new_hub(stage: Stage) -> None:
    gate = Gate()
    first = await stage.hub()
    proxy = await stage.proxy(first.address)
    await stage.worker(first.address, UnaryCall=gate.handle)
    channel = stage.channel(proxy.address)
    stub = interop_stub(channel)
    lost = stub.UnaryCall(UnaryRequest(body=b"lost"))
    await gate.when_begun()
    proxy.cut()
    await when_channel(channel, FAILURE)
    unsent = [stub.UnaryCall(UnaryRequest(body=body)) for body in (b"small", b"large" * 2_000, b"small too")]
    await asyncio.sleep(0)  # the calls get to the link, which is down
    second = await stage.hub()
    await stage.worker(second.address, UnaryCall=echo)
    proxy.target = second.address
    proxy.restore()
    assert [(await call).body for call in unsent] == [b"small", b"large" * 2_000, b"small too"]
    assert await lost.code() is UNAVAILABLE
    assert gate.begun == [b"lost"]
