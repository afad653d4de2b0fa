"""Health, as load balancers and orchestrators ask for it."""

import asyncio

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from interop_pb2 import UnaryRequest

from .servicers import Gate, echo
from .stage import LONG_S, Stage

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
INTEROP = HealthCheckRequest(service="interop.Interop")


async def test_hub_itself_serves(stage: Stage) -> None:
    hub = await stage.hub()
    health = HealthStub(stage.native_channel(hub.address))
    for service in ("", "portcall.v1.Hub", "grpc.health.v1.Health"):
        assert (await health.Check(HealthCheckRequest(service=service))).status == SERVING


async def test_service_serves_as_long_as_a_worker_takes_calls_for_it(stage: Stage) -> None:
    hub = await stage.hub()
    health = HealthStub(stage.native_channel(hub.address))
    with pytest.raises(grpc.aio.AioRpcError, match="no worker has brought") as raised:
        await health.Check(INTEROP)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    worker = await stage.worker(hub.address, UnaryCall=echo)
    assert (await health.Check(INTEROP)).status == SERVING
    await worker.stop()
    assert (await health.Check(INTEROP)).status == NOT_SERVING


async def test_watch_tells_every_change(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    proxy = await stage.proxy(hub.address)
    watch = HealthStub(stage.native_channel(hub.address)).Watch(INTEROP)
    assert (await watch.read()).status == UNKNOWN
    worker = await stage.worker(proxy.address, UnaryCall=gate.handle)
    assert (await watch.read()).status == SERVING
    proxy.cut()
    assert (await watch.read()).status == NOT_SERVING
    proxy.restore()
    assert (await watch.read()).status == SERVING
    await worker.stop()
    assert (await watch.read()).status == NOT_SERVING
    await stage.worker(hub.address, UnaryCall=echo)
    assert (await watch.read()).status == SERVING


async def test_draining_worker_does_not_serve(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    worker = await stage.worker(hub.address, UnaryCall=gate.handle)
    watch = HealthStub(stage.native_channel(hub.address)).Watch(INTEROP)
    assert (await watch.read()).status == SERVING
    call = stage.stub(hub.address).UnaryCall(UnaryRequest())
    await gate.when_begun()
    stopping = asyncio.create_task(worker.stop(LONG_S))
    assert (await watch.read()).status == NOT_SERVING
    gate.opened.set()
    await call
    await stopping


async def test_second_worker_keeps_a_service_up(stage: Stage) -> None:
    hub = await stage.hub()
    workers = [await stage.worker(hub.address, UnaryCall=echo) for _ in range(2)]
    health = HealthStub(stage.native_channel(hub.address))
    await workers[0].stop()
    assert (await health.Check(INTEROP)).status == SERVING


@pytest.mark.parametrize("service", ["", "interop.Interop"])
async def test_watch_ends_when_the_hub_stops(stage: Stage, service: str) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    watch = HealthStub(stage.native_channel(hub.address)).Watch(HealthCheckRequest(service=service))
    assert (await watch.read()).status == SERVING
    await hub.stop()
    assert (await watch.read()).status == NOT_SERVING
    assert await watch.read() is grpc.aio.EOF
