"""A stand-in for a hub's service for jobs, for what a real hub does not do when a test wants it.

Jobs run by themselves: a job's end is what `answer` makes of its request, once that is let (`hold` keeps it).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from integration.stage import LONG_S
from portcall.core.jobs.identity import id_text
from portcall.protos.portcall.v1 import jobs_pb2 as pb

METHODS = {
    "Submit": (pb.SubmitRequest, "unary_unary"),
    "Get": (pb.GetRequest, "unary_unary"),
    "Cancel": (pb.CancelRequest, "unary_unary"),
    "Wait": (pb.WaitRequest, "stream_stream"),
    "Watch": (pb.WatchRequest, "unary_stream"),
    "ReadReplies": (pb.ReadRepliesRequest, "unary_stream"),
}

Answer = Callable[[pb.Submission], bytes | tuple[int, str]]


class ScriptedJobs:
    """The service. What is stored outlives a restart, as it does with a store."""

    def __init__(self, answer: Answer = lambda submission: submission.request) -> None:
        self.answer = answer
        self.jobs: dict[str, pb.Job] = {}
        self.submissions: dict[str, pb.Submission] = {}
        self.keys: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.waited: list[int] = []
        """How many ids each request of a wait named."""
        self.held = asyncio.Event()
        self.held.set()
        """Ends are told while it is set."""
        self.before_answer: dict[str, Callable[[Any], Any]] = {}
        """By method: called before it answers; whatever it raises ends the call, or the hub."""
        self.port = 0
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 1 << 24)))
        handlers = {}
        for name, (request, kind) in METHODS.items():
            make = getattr(grpc, f"{kind}_rpc_method_handler")
            handlers[name] = make(
                getattr(self, name), request_deserializer=request.FromString, response_serializer=_serialized
            )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("portcall.v1.Jobs", handlers),))
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self._server = server

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    async def Submit(self, request: pb.SubmitRequest, context: Any) -> pb.SubmitReply:
        self.calls["Submit"] += 1
        reply = pb.SubmitReply(jobs=[self._store(each) for each in request.jobs])
        await self._before("Submit", context)
        return reply

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetReply:
        await self._before("Get", context)
        return pb.GetReply(jobs=[self.jobs[each] for each in request.ids if each in self.jobs])

    async def Cancel(self, request: pb.CancelRequest, context: Any) -> pb.CancelReply:
        for each in request.ids:
            if each in self.jobs:
                self.jobs[each].state, self.jobs[each].status = pb.JOB_STATE_CANCELLED, 1
        known = [self.jobs[each].state if each in self.jobs else pb.JOB_STATE_UNSPECIFIED for each in request.ids]
        return pb.CancelReply(states=known)

    async def Wait(self, requests: AsyncIterator[pb.WaitRequest], context: Any) -> AsyncIterator[pb.WaitReply]:
        self.calls["Wait"] += 1
        async for request in requests:
            if request.forget and not request.ids:
                continue
            self.waited.append(len(request.ids))
            await self._before("Wait", context)
            await self.held.wait()
            yield pb.WaitReply(jobs=[self._ended(each) for each in request.ids])

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.Event]:
        self.calls["Watch"] += 1
        job = request.jobs[0]
        for number in range(job.after + 1, 6):
            await self._before("Watch", context)
            state = pb.JOB_STATE_SUCCEEDED if number == 5 else pb.JOB_STATE_RUNNING
            yield pb.Event(job=job.id, number=number, state=state)

    async def ReadReplies(self, request: pb.ReadRepliesRequest, context: Any) -> AsyncIterator[pb.StoredReply]:
        self.calls["ReadReplies"] += 1
        for offset in range(request.offset, 5):
            await self._before("ReadReplies", context)
            yield pb.StoredReply(offset=offset, message=self.submissions[request.id].request + b"%d" % offset)

    async def _before(self, method: str, context: Any) -> None:
        act = self.before_answer.get(method)
        if act is not None:
            await act(context)

    def _store(self, submission: pb.Submission) -> pb.Submitted:
        if submission.request == b"refused":
            return pb.Submitted(status=3, details="not that one")
        key = submission.key or (submission.step and f"{submission.parent}/{submission.step}")
        if key in self.keys:
            return pb.Submitted(id=self.keys[key], state=pb.JOB_STATE_READY, existed=True)
        job = id_text(len(self.jobs) + 1)
        if key:
            self.keys[key] = job
        self.submissions[job] = submission
        self.jobs[job] = pb.Job(id=job, method=submission.method, state=pb.JOB_STATE_READY, key=submission.key)
        return pb.Submitted(id=job, state=pb.JOB_STATE_READY)

    def _ended(self, job_id: str) -> pb.Job:
        if job_id not in self.jobs:
            return pb.Job(id=job_id, status=5, details="there is no such job")
        job = self.jobs[job_id]
        if job.state == pb.JOB_STATE_READY:
            answer = self.answer(self.submissions[job_id])
            if isinstance(answer, bytes):
                job.state, job.reply = pb.JOB_STATE_SUCCEEDED, answer
            else:
                job.state, (job.status, job.details) = pb.JOB_STATE_FAILED, answer
                job.trailers.add(key="why", value=b"because")
        return job


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that has no event, one turn of the loop after the other."""
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0.001)


def _serialized(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized
