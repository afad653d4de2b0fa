"""The process that submits: takes loads from standard input, a line of JSON each, and answers with their results.

Run as `python -m bench.submitting ADDRESS`. It speaks `portcall.v1.Jobs` as generated code in any language would.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import grpc

from bench.echo_pb2 import Payload
from bench.serving import say
from portcall.protos.portcall.v1 import jobs_pb2 as pb

METHOD = "/bench.Echo/Unary"
BATCH_JOBS = 1_000
BATCHES_AT_ONCE = 4
UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Submitter:
    """The service of one hub."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._submit: Any = channel.unary_unary(
            "/portcall.v1.Jobs/Submit", pb.SubmitRequest.SerializeToString, pb.SubmitReply.FromString
        )
        self._wait: Any = channel.stream_stream(
            "/portcall.v1.Jobs/Wait", pb.WaitRequest.SerializeToString, pb.WaitReply.FromString
        )

    async def many(self, jobs: int, size: int) -> float:
        """Submit so many and wait for all; return how long it took."""
        request = Payload(data=bytes(size)).SerializeToString()
        waiting, writing, at_once = self._wait(), asyncio.Lock(), asyncio.Semaphore(BATCHES_AT_ONCE)

        async def submit(batch: int) -> None:
            submissions = [pb.Submission(method=METHOD, request=request) for _ in range(batch)]
            async with at_once:
                reply = await self._submit(pb.SubmitRequest(jobs=submissions))
            async with writing:
                await waiting.write(pb.WaitRequest(ids=[job.id for job in reply.jobs]))

        begun = perf_counter()
        batches = [min(BATCH_JOBS, jobs - done) for done in range(0, jobs, BATCH_JOBS)]
        async with asyncio.TaskGroup() as tasks:
            for batch in batches:
                tasks.create_task(submit(batch))
            done = 0
            async for reply in waiting:
                _check(reply.jobs, request)
                done += len(reply.jobs)
                if done == jobs:
                    break
        took = perf_counter() - begun
        waiting.cancel()
        return took

    async def one_by_one(self, jobs: int, size: int) -> list[float]:
        """Submit one after the other; return how long each took until its result was here."""
        request = Payload(data=bytes(size)).SerializeToString()
        waiting, times = self._wait(), []
        for _ in range(jobs):
            begun = perf_counter()
            reply = await self._submit(pb.SubmitRequest(jobs=[pb.Submission(method=METHOD, request=request)]))
            await waiting.write(pb.WaitRequest(ids=[reply.jobs[0].id]))
            _check((await waiting.read()).jobs, request)
            times.append(perf_counter() - begun)
        waiting.cancel()
        return times

    async def idle(self, jobs: int, size: int) -> None:
        """Submit jobs that wait for a day."""
        request = Payload(data=bytes(size)).SerializeToString()
        for begin in range(0, jobs, BATCH_JOBS):
            batch = min(BATCH_JOBS, jobs - begin)
            later = pb.Submission(method=METHOD, request=request, delay_s=86_400)
            await self._submit(pb.SubmitRequest(jobs=[later] * batch))


def _check(jobs: Sequence[pb.Job], request: bytes) -> None:
    for job in jobs:
        if job.reply != request:
            raise RuntimeError(f"job {job.id} has ended with status {job.status}: {job.details}")


async def main() -> None:
    """Perform loads until standard input ends."""
    async with grpc.aio.insecure_channel(sys.argv[1], UNLIMITED) as channel:
        submitter = Submitter(channel)
        say({})
        while line := await asyncio.to_thread(sys.stdin.readline):
            load = json.loads(line)
            match load["kind"]:
                case "many":
                    say({"seconds": await submitter.many(load["jobs"], load["bytes"])})
                case "one by one":
                    say({"times": await submitter.one_by_one(load["jobs"], load["bytes"])})
                case _:
                    await submitter.idle(load["jobs"], load["bytes"])
                    say({})


if __name__ == "__main__":
    asyncio.run(main())
