"""A client of `portcall.v1.Jobs`, as generated code would be, and what tests of jobs have in common."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
from interop_pb2 import StreamRequest, UnaryRequest

from portcall.hub import Hub
from portcall.protos.portcall.v1 import jobs_pb2 as pb

from .stage import LONG_S, Stage

UNARY = "/interop.Interop/UnaryCall"
STREAM = "/interop.Interop/StreamingOutputCall"

READY, RUNNING = pb.JOB_STATE_READY, pb.JOB_STATE_RUNNING
SUCCEEDED, FAILED, CANCELLED = pb.JOB_STATE_SUCCEEDED, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED

OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


class Jobs:
    """The service of one hub."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        def unary(name: str, request: Any, reply: Any) -> Any:
            return channel.unary_unary(f"/portcall.v1.Jobs/{name}", request.SerializeToString, reply.FromString)

        def stream(name: str, request: Any, reply: Any) -> Any:
            return channel.unary_stream(f"/portcall.v1.Jobs/{name}", request.SerializeToString, reply.FromString)

        self.submit_all = unary("Submit", pb.SubmitRequest, pb.SubmitReply)
        self.get_all = unary("Get", pb.GetRequest, pb.GetReply)
        self.list = unary("List", pb.ListRequest, pb.ListReply)
        self.cancel = unary("Cancel", pb.CancelRequest, pb.CancelReply)
        self.retry = unary("Retry", pb.RetryRequest, pb.RetryReply)
        self.purge = unary("Purge", pb.PurgeRequest, pb.PurgeReply)
        self.put_schedule = unary("PutSchedule", pb.PutScheduleRequest, pb.Schedule)
        self.schedules = unary("ListSchedules", pb.ListSchedulesRequest, pb.ListSchedulesReply)
        self.trigger = unary("TriggerSchedule", pb.TriggerScheduleRequest, pb.SubmitReply)
        self.delete_schedule = unary("DeleteSchedule", pb.DeleteScheduleRequest, pb.DeleteScheduleReply)
        self.watch = stream("Watch", pb.WatchRequest, pb.Event)
        self.replies = stream("ReadReplies", pb.ReadRepliesRequest, pb.StoredReply)
        self.backup = stream("Backup", pb.BackupRequest, pb.BackupPart)
        self.wait: Any = channel.stream_stream(
            "/portcall.v1.Jobs/Wait", pb.WaitRequest.SerializeToString, pb.WaitReply.FromString
        )

    async def submit(self, *submissions: pb.Submission) -> list[str]:
        """Submit jobs, none of which may be refused; return their ids."""
        reply = await self.submit_all(pb.SubmitRequest(jobs=submissions), timeout=LONG_S)
        assert [job.details for job in reply.jobs if job.status] == []
        return [job.id for job in reply.jobs]

    async def get(self, job: str, **more: bool) -> pb.Job:
        reply = await self.get_all(pb.GetRequest(ids=[job], **more))
        [row] = reply.jobs
        return row

    async def ended(self, ids: Iterable[str]) -> dict[str, pb.Job]:
        """Wait until all of these have ended; return them by id."""
        call = self.wait(timeout=LONG_S)
        await call.write(pb.WaitRequest(ids=ids))
        await call.done_writing()
        return {job.id: job async for reply in call for job in reply.jobs}

    async def end(self, job: str) -> pb.Job:
        return (await self.ended([job]))[job]

    async def events(self, job: str, after: int = 0) -> AsyncIterator[pb.Event]:
        async for event in self.watch(pb.WatchRequest(jobs=[pb.WatchRequest.From(id=job, after=after)])):
            yield event


async def hub_with(stage: Stage, store: Path, **options: Any) -> Hub:
    """A hub that keeps its jobs in this file."""
    return await stage.hub(access={"store": store, **options.pop("access", {})}, **options)


def jobs_of(stage: Stage, hub: Hub) -> Jobs:
    return Jobs(stage.native_channel(hub.address))


def unary(body: bytes = b"", **more: Any) -> pb.Submission:
    """A job of `UnaryCall`."""
    return pb.Submission(method=UNARY, request=UnaryRequest(body=body).SerializeToString(), **more)


def stream(body: bytes, **more: Any) -> pb.Submission:
    """A job of `StreamingOutputCall`."""
    return pb.Submission(method=STREAM, request=StreamRequest(body=body).SerializeToString(), **more)
