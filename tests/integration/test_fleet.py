"""What the hub says of its workers."""

import os
import platform
from typing import Any

from interop_pb2 import UnaryRequest

from portcall.hub import fleet
from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus
from portcall.protos.portcall.v1.link_pb2 import End, Frame, Goodbye, ProcessStatus, Report

from .rawpeer import RawPeer, worker_hello
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


def report(*states: "ProcessStatus.State", **fields: Any) -> Frame:
    processes = [ProcessStatus(pid=number, state=state, **fields) for number, state in enumerate(states, 1)]
    return Frame(report=Report(processes=processes))


async def test_last_report_of_its_processes_is_shown_with_the_time_since(stage: Stage) -> None:
    hub = await stage.hub()
    raw, view = RawPeer(stage.native_channel(hub.address), "Attach"), stage.fleet(hub.address)
    welcome = await raw.shake_hands(worker=worker_hello())
    assert welcome.takes_reports
    await raw.send(report(ProcessStatus.STATE_STARTING))
    await raw.send(
        report(ProcessStatus.STATE_READY, ProcessStatus.STATE_BLOCKED, state_s=60.0, predecessor_end="x" * 500)
    )
    (status,) = await view.when(lambda workers: len(workers) == 1 and len(workers[0].processes) == 2)
    assert [process.state for process in status.processes] == [ProcessStatus.STATE_READY, ProcessStatus.STATE_BLOCKED]
    assert all(process.state_s >= 60.0 for process in status.processes)
    assert {len(process.predecessor_end) for process in status.processes} == {fleet.REASON_CHARACTERS_MAX}
    raw.leave()


async def test_report_stands_before_frames_of_calls_in_its_batch(stage: Stage) -> None:
    hub = await stage.hub()
    raw = RawPeer(stage.native_channel(hub.address), "Attach")
    await raw.shake_hands(worker=worker_hello())
    call = stage.stub(hub.address).UnaryCall(UnaryRequest())
    (opened,) = (await raw.read()).frames
    await raw.send(report(ProcessStatus.STATE_READY), Frame(call_id=opened.call_id, end=End(message=b"")))
    await call
    (status,) = await stage.fleet(hub.address).workers()
    assert len(status.processes) == 1
    await raw.send(Frame(call_id=opened.call_id, end=End()), report(ProcessStatus.STATE_READY))
    assert (await raw.goodbye()).reason == Goodbye.REASON_PROTOCOL_ERROR


async def test_report_of_too_many_processes_ends_the_link(stage: Stage) -> None:
    hub = await stage.hub()
    raw = RawPeer(stage.native_channel(hub.address), "Attach")
    await raw.shake_hands(worker=worker_hello())
    await raw.send(report(*[ProcessStatus.STATE_READY] * (fleet.PROCESSES_MAX + 1)))
    goodbye = await raw.goodbye()
    assert goodbye.reason == Goodbye.REASON_PROTOCOL_ERROR
    assert goodbye.details == "a report of 1025 processes; at most 1024 may be"
