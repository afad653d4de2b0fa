"""A link that drops for less than the grace period goes on as if nothing had been; after it, its calls are over."""

import logging
from collections.abc import AsyncIterator

import grpc
import pytest
from interop.service import InteropStub, interop_stub
from interop_pb2 import StreamRequest, UnaryReply, UnaryRequest

import portcall
from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus

from .proxy import Proxy
from .servicers import Gate, Source, echo_each, join, number
from .stage import FleetView, Stage, status_of, when_channel

READY, SUSPENDED = WorkerStatus.STATE_READY, WorkerStatus.STATE_SUSPENDED
GRACE_S = 0.2


class Blip:
    """A hub, a worker and a channel, with a proxy on the link of the one or of the other."""

    def __init__(self, side: str, proxy: Proxy, fleet: FleetView, channel: portcall.Channel) -> None:
        self._side = side
        self.proxy = proxy
        self.fleet = fleet
        self.channel = channel
        self.stub: InteropStub = interop_stub(channel)

    @classmethod
    async def set_up(cls, stage: Stage, side: str, *, grace_s: float = 30.0, **handlers: object) -> "Blip":
        hub = await stage.hub(grace_s=grace_s)
        proxy = await stage.proxy(hub.address)
        await stage.worker(proxy.address if side == "worker" else hub.address, **handlers)
        channel = stage.channel(proxy.address if side == "client" else hub.address)
        await channel.channel_ready()
        return cls(side, proxy, stage.fleet(hub.address), channel)

    async def drop(self) -> None:
        """Cut the link; return when those at its ends have noticed."""
        self.proxy.cut()
        if self._side == "worker":
            await self.fleet.when_state(SUSPENDED)
        else:
            await when_channel(self.channel, grpc.ChannelConnectivity.TRANSIENT_FAILURE)

    async def restore(self) -> None:
        """Let the link be made anew; return when it has been."""
        self.proxy.restore()
        if self._side == "worker":
            await self.fleet.when_state(READY)
        else:
            await when_channel(self.channel, grpc.ChannelConnectivity.READY)


@pytest.fixture(params=["worker", "client"])
def side(request: pytest.FixtureRequest) -> str:
    """Whose link drops."""
    return str(request.param)


async def test_running_calls_go_on_after_a_blip(stage: Stage, side: str) -> None:
    gate = Gate()
    blip = await Blip.set_up(stage, side, UnaryCall=gate.handle)
    bodies = [b"%d" % index for index in range(20)]
    calls = [blip.stub.UnaryCall(UnaryRequest(body=body)) for body in bodies]
    await gate.when_begun(len(bodies))
    await blip.drop()
    await blip.restore()
    gate.opened.set()
    assert [(await call).body for call in calls] == bodies
    assert sorted(gate.begun) == sorted(bodies)


async def test_calls_that_end_during_a_blip_are_answered_after_it(stage: Stage, side: str) -> None:
    gate = Gate()
    blip = await Blip.set_up(stage, side, UnaryCall=gate.handle)
    calls = [blip.stub.UnaryCall(UnaryRequest(body=b"%d" % index)) for index in range(20)]
    await gate.when_begun(len(calls))
    await blip.drop()
    gate.opened.set()
    await blip.restore()
    assert [(await call).body for call in calls] == [b"%d" % index for index in range(20)]
    assert len(gate.begun) == len(calls)


async def test_calls_made_during_a_blip_wait_for_its_end(stage: Stage, side: str) -> None:
    gate = Gate()
    gate.opened.set()
    blip = await Blip.set_up(stage, side, UnaryCall=gate.handle)
    await blip.stub.UnaryCall(UnaryRequest())
    await blip.drop()
    calls = [blip.stub.UnaryCall(UnaryRequest(body=b"%d" % index)) for index in range(20)]
    assert not any(call.done() for call in calls)
    await blip.restore()
    assert [(await call).body for call in calls] == [b"%d" % index for index in range(20)]
    assert len(gate.begun) == 1 + len(calls)


async def test_replies_stream_on_without_loss_or_repetition(stage: Stage, side: str) -> None:
    blip = await Blip.set_up(stage, side, StreamingOutputCall=Source(body_bytes=1_000).handle)
    call = blip.stub.StreamingOutputCall(StreamRequest(body=b"3000"))
    received = []
    async for reply in call:
        received.append(number(reply))
        if len(received) in {10, 1_500}:
            await blip.drop()
            await blip.restore()
    assert received == list(range(3_000))


async def test_requests_stream_on_without_loss_or_repetition(stage: Stage, side: str) -> None:
    blip = await Blip.set_up(stage, side, StreamingInputCall=join)

    async def requests() -> AsyncIterator[StreamRequest]:
        for index in range(3_000):
            if index in {10, 1_500}:
                await blip.drop()
                await blip.restore()
            yield StreamRequest(body=(b"%d" % index).rjust(1_000))

    assert (await blip.stub.StreamingInputCall(requests())).messages == 3_000


async def test_a_conversation_goes_on_over_many_blips(stage: Stage, side: str) -> None:
    blip = await Blip.set_up(stage, side, FullDuplexCall=echo_each)
    call = blip.stub.FullDuplexCall()
    for index in range(5):
        await call.write(StreamRequest(body=b"%d before" % index))
        await blip.drop()
        await call.write(StreamRequest(body=b"%d within" % index))
        await blip.restore()
        assert [(await call.read()).body for _ in range(2)] == [b"%d before" % index, b"%d within" % index]
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_cancel_during_a_blip_arrives_after_it(stage: Stage, side: str) -> None:
    gate = Gate()
    blip = await Blip.set_up(stage, side, UnaryCall=gate.handle)
    call = blip.stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    await blip.drop()
    call.cancel()
    await blip.restore()
    await gate.when_cancelled()


async def test_calls_of_a_worker_that_stays_away_end(stage: Stage) -> None:
    gate = Gate()
    blip = await Blip.set_up(stage, "worker", grace_s=GRACE_S, UnaryCall=gate.handle)
    call = blip.stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    blip.proxy.cut()
    code, details = await status_of(call)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "was lost while it ran this call" in details
    await gate.when_cancelled()
    await blip.restore()
    gate.opened.set()
    assert await blip.stub.UnaryCall(UnaryRequest(body=b"2")) == UnaryReply(body=b"2")
    assert gate.begun == [b"1", b"2"]


async def test_calls_of_a_client_that_stays_away_are_cancelled(stage: Stage) -> None:
    gate = Gate()
    blip = await Blip.set_up(stage, "client", grace_s=GRACE_S, UnaryCall=gate.handle)
    call = blip.stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    blip.proxy.cut()
    code, details = await status_of(call)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "lost" in details
    await gate.when_cancelled()
    await blip.restore()
    gate.opened.set()
    assert await blip.stub.UnaryCall(UnaryRequest(body=b"2")) == UnaryReply(body=b"2")


async def test_deaf_link_is_noticed_and_made_anew(stage: Stage, side: str) -> None:
    gate = Gate()
    hub = await stage.hub(ping_interval_s=0.02)
    proxy = await stage.proxy(hub.address)
    await stage.worker(proxy.address if side == "worker" else hub.address, UnaryCall=gate.handle)
    stub = stage.stub(proxy.address if side == "client" else hub.address)
    call = stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    proxy.deafen()
    gate.opened.set()
    # The reply was swallowed, and nobody has closed a socket: only pings can tell.
    assert await call == UnaryReply(body=b"1")
    assert gate.begun == [b"1"]


async def test_session_that_one_side_gave_up_is_not_taken_up_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    hub = await stage.hub(grace_s=GRACE_S)
    proxy = await stage.proxy(hub.address)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    channel = stage.channel(proxy.address)
    stub = interop_stub(channel)
    call = stub.UnaryCall(UnaryRequest(body=b"1"))
    await gate.when_begun()
    # The hub sees the old stream live on, while the client's next hello is held up until its grace is over.
    proxy.hold()
    proxy.drop_dialling_side()
    assert (await status_of(call))[0] is grpc.StatusCode.UNAVAILABLE
    proxy.release()
    await gate.when_cancelled()
    gate.opened.set()
    assert await stub.UnaryCall(UnaryRequest(body=b"2"), wait_for_ready=True) == UnaryReply(body=b"2")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
