"""Processes that are killed, or stand still: what the others see of it, and that all is well again after it."""

import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

import portcall
from portcall.hub import Hub, HubConfig
from portcall.wire.limits import Liveness

from .ledger_calls import Ledger, Load, when_workers
from .processes import APPS, HubProcess, Processes, WorkerProcess

GRACE = ("--grace", "0.2")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


async def read_to_loss(stream: Any) -> None:
    """Read on until the worker of this call is lost."""
    with suppress(grpc.aio.AioRpcError):
        while await stream.read() is not grpc.aio.EOF:
            pass
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE
    assert "was lost while it ran this call" in await stream.details()


async def test_killed_worker_ends_its_calls_and_others_take_the_next(processes: Processes, ledger: Ledger) -> None:
    hub = await processes.hub(*GRACE)
    doomed = await processes.worker("ledger", hub)
    async with portcall.Channel(hub.address) as channel, grpc.aio.insecure_channel(hub.address) as native:
        streams = []
        for name, way in (("channel", channel), ("native", native)):
            streams.append(way.unary_stream("/acceptance.Ledger/Count")(ledger.request(name)))
            assert await streams[-1].read() == b"0"
        heir = await processes.worker("ledger", hub)
        doomed.kill()
        for stream in streams:
            await read_to_loss(stream)
        work = channel.unary_unary("/acceptance.Ledger/Work")
        replies = {await work(ledger.request(index)) for index in range(10)}
        assert replies == {str(heir.pid).encode()}
        (status,) = await when_workers(hub.address, lambda workers: len(workers) == 1)
        assert status.pid == heir.pid


@pytest.mark.parametrize("way", ["native", "channel"])
async def test_killed_client_frees_the_slot_that_it_held(processes: Processes, ledger: Ledger, way: str) -> None:
    hub = await processes.hub(*GRACE)
    await processes.worker("ledger", hub)
    request = ledger.request("stream").decode()
    client = await processes.spawn(sys.executable, str(APPS / "counted.py"), way, hub.address, request)
    await client.line("^3$")
    client.kill()
    await ledger.when("stream", "stopped")
    (status,) = await when_workers(hub.address, lambda workers: workers[0].running == 0)
    assert status.ended == 1


async def test_killed_hub_finds_its_fleet_back(processes: Processes, ledger: Ledger) -> None:
    hub = await processes.hub()
    workers = [await processes.worker("ledger", hub) for _ in range(2)]
    load = Load(ledger)
    async with load.on(hub.address):
        for _ in range(2):
            await load.when_served(50)
            hub.kill()
            await hub.wait()
            hub = await processes.hub(listen=hub.address)
        found = await when_workers(hub.address, lambda found: len(found) == len(workers))
        assert {worker.pid for worker in found} == {worker.pid for worker in workers}
        await load.when_served(50)
    load.check()


async def test_worker_that_stands_still_is_given_up_and_comes_back(processes: Processes, ledger: Ledger) -> None:
    async with Hub(HubConfig(listen="127.0.0.1:0", grace_s=0.2, liveness=Liveness(ping_interval_s=0.3))) as hub:
        worker = await processes.start("worker", "ledger", "--hub", hub.address, "--exit-with-stdin")
        await worker.line("Attached to the hub")
        async with portcall.Channel(hub.address) as channel:
            stream = channel.unary_stream("/acceptance.Ledger/Count")(ledger.request("stream"))
            assert await stream.read() == b"0"
            os.kill(worker.pid, signal.SIGSTOP)
            try:
                await read_to_loss(stream)
                await when_workers(hub.address, lambda workers: not workers)
            finally:
                os.kill(worker.pid, signal.SIGCONT)
            await ledger.when("stream", "stopped")
            (status,) = await when_workers(hub.address, bool)
            assert status.pid == worker.pid
            work = channel.unary_unary("/acceptance.Ledger/Work")
            assert await work(ledger.request("again")) == str(worker.pid).encode()


async def test_hub_that_stands_still_for_a_moment_loses_nothing(processes: Processes, ledger: Ledger) -> None:
    hub = await processes.hub()
    await processes.worker("ledger", hub)
    load = Load(ledger)
    async with load.on(hub.address):
        for _ in range(3):
            await load.when_served(20)
            os.kill(hub.pid, signal.SIGSTOP)
            os.kill(hub.pid, signal.SIGCONT)
        await load.when_served(20)
    load.check()
    assert {code for codes in load.outcomes.values() for code in codes} == {grpc.StatusCode.OK}


class Fleet:
    """A hub and workers that are killed and replaced."""

    def __init__(self, processes: Processes, hub: HubProcess, workers: list[WorkerProcess]) -> None:
        self._processes = processes
        self.hub = hub
        self.workers = workers

    async def kill_hub(self) -> None:
        self.hub.kill()
        await self.hub.wait()
        self.hub = await self._processes.hub(*GRACE, listen=self.hub.address)

    async def kill_worker(self, index: int) -> None:
        self.workers[index].kill()
        await self.workers[index].wait()
        self.workers[index] = await self._processes.worker("ledger", self.hub)


@pytest.mark.parametrize("seed", [1, 2])
async def test_calls_end_once_whatever_is_killed(processes: Processes, ledger: Ledger, seed: int) -> None:
    rng = random.Random(seed)
    hub = await processes.hub(*GRACE)
    fleet = Fleet(processes, hub, [await processes.worker("ledger", hub) for _ in range(2)])
    load = Load(ledger)
    async with load.on(hub.address):
        for _ in range(5):
            await load.when_served(rng.randrange(1, 40))
            if rng.random() < 0.4:
                await fleet.kill_hub()
            else:
                await fleet.kill_worker(rng.randrange(2))
        found = await when_workers(hub.address, lambda found: len(found) == 2)
        assert {worker.pid for worker in found} == {worker.pid for worker in fleet.workers}
        await load.when_served(20)
    load.check()
