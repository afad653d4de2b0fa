"""What the hub says of its workers."""

import os
import platform

from interop_pb2 import UnaryRequest

from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus

from .servicers import Gate, echo
from .stage import Stage


async def test_no_workers(stage: Stage) -> None:
    hub = await stage.hub()
    assert await stage.fleet(hub.address).workers() == []


async def test_status_of_a_worker(stage: Stage) -> None:
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, slots=7, name="seven", UnaryCall=gate.handle, EmptyCall=echo)
    stub, fleet = stage.stub(hub.address), stage.fleet(hub.address)
    calls = [stub.UnaryCall(UnaryRequest()) for _ in range(3)]
    await gate.when_begun(3)
    (status,) = await fleet.workers()
    assert (status.name, status.state, status.slots, status.running, status.ended) == (
        "seven",
        WorkerStatus.STATE_READY,
        7,
        3,
        0,
    )
    assert list(status.services) == ["interop.Interop"]
    assert (status.pid, status.python) == (os.getpid(), platform.python_version())
    assert status.host
    assert status.attached_s >= 0
    gate.opened.set()
    for call in calls:
        await call
    (status,) = await fleet.workers()
    assert (status.running, status.ended) == (0, 3)


async def test_worker_without_a_name_is_called_by_host_and_process(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    (status,) = await stage.fleet(hub.address).workers()
    assert status.name == f"{status.host}-{os.getpid()}"


async def test_workers_come_by_name_whatever_their_order(stage: Stage) -> None:
    hub = await stage.hub()
    for name in ("b", "c", "a", "b"):
        await stage.worker(hub.address, name=name, UnaryCall=echo)
    assert [worker.name for worker in await stage.fleet(hub.address).workers()] == ["a", "b", "b", "c"]
