"""kill -9 of hubs, workers and callers under a load of jobs: none is lost, none is recorded twice.

The handlers write a ledger, which is held against what the hub has recorded.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.protos.portcall.v1.options_pb2 import Backoff, JobOverrides

from .processes import WAIT_S, HubProcess, Processes

IDS_AT_ONCE = 10_000

ADOPT_S = 10.0
GRACE_S = 0.3
BATCH = 25
OVERRIDES = JobOverrides(attempts=100, backoff=Backoff(initial_s=0.01, max_s=0.1))
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)

SUCCEEDED = pb.JOB_STATE_SUCCEEDED


class Harness:
    """A hub on a store, jobs that are submitted to it whatever happens, and what became of them."""

    def __init__(self, processes: Processes, folder: Path, seed: int) -> None:
        self._processes = processes
        self._folder = folder
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.rng = random.Random(seed)
        self.hub: HubProcess
        self.acknowledged: dict[str, str] = {}
        """Ids of jobs by their names."""
        self.is_over = False

    async def start_hub(self) -> None:
        """Start a hub, again at the same address."""
        listen = self.hub.address if hasattr(self, "hub") else "127.0.0.1:0"
        more = ("--store", str(self._folder / "jobs.db"), "--adopt", str(ADOPT_S), "--grace", str(GRACE_S))
        self.hub = await self._processes.hub(*more, listen=listen)

    async def kill_hub(self) -> None:
        """Kill the hub and start another."""
        self.hub.kill()
        await self.hub.wait()
        await self.start_hub()

    async def submit(self, prefix: str, hold_ms: int) -> None:
        """Submit batches until it is over; one that was not answered is submitted again, with the same keys."""
        number = 0
        while not self.is_over:
            names = [f"{prefix}.{number + index}" for index in range(BATCH)]
            submissions = [self._submission(name, self.rng.choice((0, hold_ms))) for name in names]
            reply = await self._answer(submissions)
            for name, job in zip(names, reply.jobs, strict=True):
                assert not job.status, job.details
                self.acknowledged[name] = job.id
            number += BATCH
            await asyncio.sleep(0.01)

    def _submission(self, name: str, hold_ms: int) -> pb.Submission:
        request = f"{self.ledger} {name} {hold_ms}".encode()
        return pb.Submission(method="/acceptance.Jobs/Work", request=request, key=name, overrides=OVERRIDES)

    async def _answer(self, submissions: list[pb.Submission]) -> pb.SubmitReply:
        async with asyncio.timeout(WAIT_S):
            while True:
                with suppress(grpc.aio.AioRpcError):
                    async with grpc.aio.insecure_channel(self.hub.address, OPTIONS) as channel:
                        reply: pb.SubmitReply = await _method(channel, "Submit", pb.SubmitReply)(
                            pb.SubmitRequest(jobs=submissions)
                        )
                        return reply
                await asyncio.sleep(0.05)

    async def outcomes(self) -> dict[str, pb.Job]:
        """Wait until all acknowledged jobs have ended; return them by their names."""
        wanted = list(self.acknowledged.values())
        ended: dict[str, pb.Job] = {}
        async with grpc.aio.insecure_channel(self.hub.address, OPTIONS) as channel:
            call: Any = channel.stream_stream(
                "/portcall.v1.Jobs/Wait", pb.WaitRequest.SerializeToString, pb.WaitReply.FromString
            )(timeout=WAIT_S)
            for begin in range(0, len(wanted), IDS_AT_ONCE):
                await call.write(pb.WaitRequest(ids=wanted[begin : begin + IDS_AT_ONCE]))
            await call.done_writing()
            async for reply in call:
                for job in reply.jobs:
                    assert job.id not in ended, f"{job.id} was told twice"
                    ended[job.id] = job
        return {name: ended[job] for name, job in self.acknowledged.items()}

    def attempts(self, what: str) -> dict[str, list[int]]:
        """Return the attempts of each job that the ledger has as "begun" or "ended"."""
        found: dict[str, list[int]] = defaultdict(list)
        for line in self.ledger.read_text().splitlines():
            name, said, attempt = line.split()
            if said == what:
                found[name].append(int(attempt))
        return found


def _method(channel: grpc.aio.Channel, name: str, reply: Any) -> Callable[..., Awaitable[Any]]:
    return channel.unary_unary(
        f"/portcall.v1.Jobs/{name}", lambda message: message.SerializeToString(), reply.FromString
    )


@pytest.fixture
def harness(processes: Processes, tmp_path: Path) -> Harness:
    return Harness(processes, tmp_path, seed=4)


async def test_killed_hubs_lose_nothing_and_run_nothing_again(processes: Processes, harness: Harness) -> None:
    await harness.start_hub()
    for _ in range(2):
        await processes.worker("job_ledger", harness.hub)
    async with asyncio.TaskGroup() as clients:
        for name in ("a", "b"):
            clients.create_task(harness.submit(name, hold_ms=700))
        for _ in range(5):
            await asyncio.sleep(harness.rng.uniform(0.1, 0.7))
            await harness.kill_hub()
        await asyncio.sleep(0.3)
        harness.is_over = True
    outcomes = await harness.outcomes()
    assert len(outcomes) > 100
    assert Counter(job.state for job in outcomes.values()) == {SUCCEEDED: len(outcomes)}
    begun, ended = harness.attempts("begun"), harness.attempts("ended")
    # The workers lived all the time, so no attempt that has begun was given to anybody again.
    assert {name: len(begun[name]) for name in outcomes if len(begun[name]) != 1} == {}
    assert {name for name, job in outcomes.items() if ended[name] != [int(job.reply)]} == set()


async def test_killed_hubs_workers_and_callers_lose_nothing(processes: Processes, harness: Harness) -> None:
    await harness.start_hub()
    workers = [await processes.worker("job_ledger", harness.hub) for _ in range(2)]
    clients = [asyncio.create_task(harness.submit(name, hold_ms=200)) for name in "ab"]
    for turn in range(9):
        await asyncio.sleep(harness.rng.uniform(0.1, 0.5))
        match turn % 3:
            case 0:
                await harness.kill_hub()
            case 1:
                workers.pop(0).kill()
                workers.append(await processes.worker("job_ledger", harness.hub))
            case _:
                # What this one had submitted and had not been told of is submitted again, under the same keys.
                clients.pop(0).cancel()
                clients.append(asyncio.create_task(harness.submit("ab"[turn % 2], hold_ms=200)))
    harness.is_over = True
    await asyncio.gather(*clients)
    outcomes = await harness.outcomes()
    assert len(outcomes) > 100
    assert Counter(job.state for job in outcomes.values()) == {SUCCEEDED: len(outcomes)}
    begun, ended = harness.attempts("begun"), harness.attempts("ended")
    for name, job in outcomes.items():
        # No attempt has run twice, and the recorded outcome is that of one that did run to its end: the last.
        assert len(begun[name]) == len(set(begun[name])), name
        assert int(job.reply) == job.attempt == max(begun[name]), name
        assert job.attempt in ended[name], name
