"""What one channel has of jobs: its connection to the hub's service, its waiter, and the questions that it asks."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import grpc

from portcall.client.jobs.connections import FINAL, HubConnections, JobsService
from portcall.client.jobs.errors import HubLostError, JobError
from portcall.client.jobs.telling import JobEvent, JobStatus, event_of, status_of
from portcall.client.jobs.waiting import IDS_MAX, Waiter
from portcall.core.jobs.states import ENDED, JobState
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.access import Access
from portcall.wire.dialer import Backoff

OnLost = Callable[[HubLostError], None]

NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]


class JobKeeper:
    """The jobs of one channel. Made without touching the network, and without a loop."""

    def __init__(self, access: Access) -> None:
        self.connections = HubConnections(access)
        self.waiter = Waiter(self.connections)

    async def suspend(self) -> None:
        """Let go of gRPC; `resume` goes on with what is waited for."""
        await self.waiter.suspend()
        await self.connections.suspend()

    def resume(self) -> None:
        """Go on after `suspend`."""
        self.connections.resume()
        self.waiter.resume()

    async def close(self) -> None:
        """End what is under way: CANCELLED. Idempotent."""
        await self.waiter.close()
        await self.connections.close()

    async def status(self, job_id: str) -> JobStatus:
        """Ask how a job stands.

        Raises:
            JobError: there is no such job (any more): NOT_FOUND.
        """

        async def ask(service: JobsService, timeout_s: float) -> pb.GetReply:
            reply: pb.GetReply = await service.get(pb.GetRequest(ids=[job_id]), timeout=timeout_s)
            return reply

        found = (await self.connections.patiently(ask)).jobs
        if not found:
            raise _not_found(job_id)
        return status_of(found[0])

    async def cancel(self, job_id: str) -> JobState:
        """Cancel a job; return the state that it is in then.

        Raises:
            JobError: there is no such job (any more): NOT_FOUND.
        """

        async def ask(service: JobsService, timeout_s: float) -> pb.CancelReply:
            reply: pb.CancelReply = await service.cancel(pb.CancelRequest(ids=[job_id]), timeout=timeout_s)
            return reply

        state = (await self.connections.patiently(ask)).states[0]
        if state == pb.JOB_STATE_UNSPECIFIED:
            raise _not_found(job_id)
        return JobState(state)

    async def events(self, job_id: str, after: int) -> AsyncGenerator[JobEvent, None]:
        """Yield what happens to a job until it has ended; through restarts of the hub."""
        async with aclosing(self.watched({job_id: after})) as messages:
            async for message in messages:
                event = event_of(message)
                if event is not None:
                    yield event

    async def watched(
        self, after: Mapping[str, int], on_lost: OnLost = lambda _: None
    ) -> AsyncGenerator[pb.Event, None]:
        """Yield what happens to jobs, each from behind an event's number, until all have ended.

        Whenever the hub is lost, `on_lost` is told, and it is dialled again.
        """
        left = dict(after)

        def watch(service: JobsService) -> Any:
            jobs = [pb.WatchRequest.From(id=job, after=number) for job, number in left.items()]
            return service.watch(pb.WatchRequest(jobs=jobs))

        async with aclosing(_resumed(self.connections, watch, on_lost)) as messages:
            async for message in messages:
                left[message.job] = message.number
                yield message
                if message.HasField("state") and message.state in ENDED:
                    del left[message.job]
                    if not left:
                        return

    async def ends(self, job_ids: Iterable[str], on_lost: OnLost = lambda _: None) -> AsyncGenerator[pb.Job, None]:
        """Yield jobs as they end, each once, as `Jobs.Wait` tells them; through restarts of the hub, as `watched`."""
        left = dict.fromkeys(job_ids)

        async def requests() -> AsyncGenerator[pb.WaitRequest, None]:
            ids = list(left)
            for start in range(0, len(ids), IDS_MAX):
                yield pb.WaitRequest(ids=ids[start : start + IDS_MAX])

        async with aclosing(_resumed(self.connections, lambda service: service.wait(requests()), on_lost)) as replies:
            async for reply in replies:
                for job in reply.jobs:
                    if job.id in left:
                        del left[job.id]
                        yield job
                if not left:
                    return

    async def replies(self, job_id: str, offset: int, *, follow: bool) -> AsyncGenerator[pb.StoredReply, None]:
        """Yield stored replies from an offset on, and with `follow` those to come; through restarts of the hub."""
        following = offset

        def read(service: JobsService) -> Any:
            return service.read_replies(pb.ReadRepliesRequest(id=job_id, offset=following, follow=follow))

        async with aclosing(_resumed(self.connections, read)) as messages:
            async for message in messages:
                following = message.offset + 1
                yield message


async def _resumed(
    connections: HubConnections, begin: Callable[[JobsService], Any], on_lost: OnLost = lambda _: None
) -> Any:
    """Yield the messages of a stream, which is begun anew, by where it stands then, when its hub is lost."""
    backoff, attempt, rng = Backoff(), 0, random.Random()
    while True:
        try:
            async with connections.use() as connection:
                stream = connection.follow(begin)
                try:
                    async for message in stream:
                        attempt = 0
                        yield message
                finally:
                    stream.let_go()
                return
        except HubLostError as error:
            if error.code() in FINAL:
                raise
            if not attempt:
                on_lost(error)
        await asyncio.sleep(backoff.delay_s(attempt, rng))
        attempt += 1


def _not_found(job_id: str) -> JobError:
    return JobError(job_id, NOT_FOUND, "There is no such job. It may have been forgotten: see keep_s of its method")
