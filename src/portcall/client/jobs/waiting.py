"""Waiting for jobs to end: all that a channel waits for, on one stream.

Theory of operation. Whoever awaits a handle puts it among the wanted, and the ids go out on the stream of `Jobs.Wait`,
those of one turn of the loop together. The hub tells each job's end once. When the stream breaks, a new one is begun,
after a back-off, with all that is still wanted: so waiting survives the hub, and ends when the waiter gives up.

A loop over the handles of `submit_many` would wait for one round trip each. So each handle knows the one behind it, and
to await one is to want some of those behind it as well, as many as hold `AHEAD_BYTES` by the size of the last replies.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

import grpc

from portcall.client.jobs.connections import CLOSED, FINAL, HubConnections, JobsService
from portcall.client.jobs.errors import HubLostError
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.dialer import Backoff

logger = logging.getLogger("portcall.client")

IDS_MAX: Final = 10_000
"""Ids that one request may name."""

AHEAD_FIRST: Final = 16
AHEAD_MAX: Final = 2_000
AHEAD_BYTES: Final = 4_194_304
"""Jobs, and bytes of their replies, that are had before they are awaited. The first step is short: until a reply has
come, nobody knows how large they are."""

TICK_S: Final = 10.0
"""A stream that was silent for so long is asked whether there is still a hub; one that nobody needs is ended."""

PROOF_S: Final = 10.0


class Failed(NamedTuple):
    """How a job ended whose status is not OK."""

    status: int
    details: str
    trailers: Sequence[pb.MetadataEntry]


Ending = bytes | Failed
"""The reply, or how the job ended without one."""


class Waiting:
    """What waits for one job: a handle's part of it."""

    __slots__ = ("_ahead", "ending", "futures", "id", "method")

    def __init__(self, job_id: str, method: str) -> None:
        self.id = job_id
        self.method = method
        self.ending: Ending | None = None
        self.futures: list[asyncio.Future[None]] | None = None
        self._ahead: Waiting | None = None
        """The one to look ahead from when this one is awaited."""

    @property
    def has_ahead(self) -> bool:
        """Whether there is something to look ahead at when this is awaited."""
        return self._ahead is not None

    def look_behind(self, ahead: "Waiting") -> None:
        """Let this other one be wanted when this one is awaited."""
        self._ahead = ahead

    def take_ahead(self) -> "Waiting | None":
        """Return where to look ahead from, once."""
        ahead, self._ahead = self._ahead, None
        return ahead

    def settle(self, ending: Ending) -> None:
        """Take the end, and tell it."""
        self.ending = ending
        futures, self.futures = self.futures, None
        for future in futures or ():
            if not future.done():
                future.set_result(None)

    def fail(self, error: grpc.aio.AioRpcError) -> None:
        """Tell those who await that nobody can be asked. Who awaits again asks again."""
        futures, self.futures = self.futures, None
        for future in futures or ():
            if not future.done():
                future.set_exception(error)


class Waiter:
    """Everything that one channel waits for."""

    def __init__(self, connections: HubConnections) -> None:
        self._connections = connections
        self._wanted: dict[str, list[Waiting]] = {}
        self._new: list[str] = []
        self._gone: list[str] = []
        """Jobs that nobody waits for any more, of which the stream does not know that yet."""
        self._is_new = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._rng = random.Random()
        self._reply_bytes = AHEAD_BYTES / AHEAD_FIRST
        self._has_heard = False
        self._is_closed = False
        self._is_suspended = False

    async def ended(self, waiting: Waiting) -> None:
        """Return when it has its ending. Cancelling this gives up one's own wait and no other's."""
        self.look_ahead(waiting)
        while waiting.ending is None:
            future = asyncio.get_running_loop().create_future()
            if waiting.futures is None:
                waiting.futures = []
            waiting.futures.append(future)
            self._want([waiting])
            try:
                await future
            except asyncio.CancelledError:
                self._give_up(waiting, future)
                raise

    def look_ahead(self, waiting: Waiting) -> None:
        """Want some of the jobs behind one that is awaited. The next are due when half of them have been awaited."""
        ahead = waiting.take_ahead()
        if ahead is None:
            return
        step = max(1, min(AHEAD_MAX, int(AHEAD_BYTES / self._reply_bytes)))
        wanted: list[Waiting] = []
        while ahead is not None and len(wanted) < step:
            wanted.append(ahead)
            ahead = ahead.take_ahead()
        if ahead is not None:
            wanted[len(wanted) // 2].look_behind(ahead)
        self._want([each for each in wanted if each.ending is None])

    async def suspend(self) -> None:
        """End the stream. It begins anew with `resume`, if something is wanted then."""
        self._is_suspended = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def resume(self) -> None:
        """Go on with what is wanted."""
        self._is_suspended = False
        self._begin()

    async def close(self) -> None:
        """End all waiting: CANCELLED. Idempotent."""
        self._is_closed = True
        await self.suspend()
        self._fail(_closed())

    # --- within -------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._wanted and self._task is None and not self._is_closed and not self._is_suspended:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="portcall jobs")

    def _want(self, waitings: Sequence[Waiting]) -> None:
        wanted, new = self._wanted, self._new
        for waiting in waitings:
            others = wanted.get(waiting.id)
            if others is None:
                wanted[waiting.id] = [waiting]
                new.append(waiting.id)
            elif waiting not in others:
                others.append(waiting)
        if self._is_closed:
            self._fail(_closed())
        elif new:
            self._is_new.set()
            self._begin()

    def _give_up(self, waiting: Waiting, future: asyncio.Future[None]) -> None:
        """Want it no more if nobody else does, and let the hub forget it too."""
        if waiting.futures is not None and future in waiting.futures:
            waiting.futures.remove(future)
        wanting = self._wanted.get(waiting.id)
        if waiting.futures or not wanting or waiting not in wanting:
            return
        wanting.remove(waiting)
        if not wanting:
            del self._wanted[waiting.id]
            self._gone.append(waiting.id)
            self._is_new.set()

    async def _run(self) -> None:
        """Follow the stream for as long as something is wanted."""
        backoff, attempt = Backoff(), 0
        while self._wanted:
            self._has_heard = False
            try:
                async with self._connections.use() as connection:
                    await self._follow(connection.service)
            except grpc.aio.AioRpcError as error:
                if error.code() in FINAL:
                    self._fail(error)
                    break
                if not attempt:
                    logger.info("Waiting for jobs without a hub, dialling on: %s", error.details())
                attempt = 0 if self._has_heard else attempt + 1
                await asyncio.sleep(backoff.delay_s(attempt, self._rng))
            except Exception as error:
                # A defect of ours must not keep those waiting who wait.
                logger.exception("Waiting for jobs failed in a way that it should not")
                self._fail(HubLostError(grpc.StatusCode.INTERNAL, repr(error), was_sent=True))
                break
        if self._task is asyncio.current_task():
            self._task = None

    async def _follow(self, service: JobsService) -> None:
        """Take ends from one stream, until it breaks or nobody needs it."""
        stream = service.wait(self._requests())
        minding = asyncio.get_running_loop().create_task(self._mind(service, stream))
        try:
            async for reply in stream:
                self._take(reply)
        except asyncio.CancelledError:
            # This task was cancelled, or the stream was: with its channel, or by what minds it.
            if not minding.done():
                raise
        finally:
            minding.cancel()
            await asyncio.wait([minding])
            stream.cancel()
        if self._wanted:
            raise HubLostError(grpc.StatusCode.UNAVAILABLE, "The hub does not answer any more", was_sent=True)

    async def _requests(self) -> AsyncIterator[pb.WaitRequest]:
        """Yield all that is wanted, and then what is new."""
        ids, gone = list(self._wanted), list[str]()
        self._new.clear()
        self._gone.clear()
        while True:
            self._is_new.clear()
            # What is gone goes first, since it may be wanted again.
            for start in range(0, len(gone), IDS_MAX):
                yield pb.WaitRequest(forget=gone[start : start + IDS_MAX])
            for start in range(0, len(ids), IDS_MAX):
                yield pb.WaitRequest(ids=ids[start : start + IDS_MAX])
            if not (self._new or self._gone):
                await self._is_new.wait()
            ids, gone = [job for job in self._new if job in self._wanted], self._gone[:]
            self._new.clear()
            self._gone.clear()

    async def _mind(self, service: JobsService, stream: Any) -> None:
        """End a stream whose hub does not answer any more, or that nobody needs."""
        while True:
            self._has_heard = False
            was_needed = bool(self._wanted)
            await asyncio.sleep(TICK_S)
            if not was_needed and not self._wanted:
                break
            if not self._has_heard and self._wanted:
                try:
                    await service.get(pb.GetRequest(), timeout=PROOF_S)
                except grpc.aio.AioRpcError:
                    break
        stream.cancel()

    def _take(self, reply: pb.WaitReply) -> None:
        self._has_heard = True
        wanted = self._wanted
        size = 0
        jobs = reply.jobs
        for job in jobs:
            waitings = wanted.pop(job.id, None)
            if waitings is None:
                continue
            status = job.status
            ending: Ending
            if status or job.state != pb.JOB_STATE_SUCCEEDED:
                ending = Failed(status or grpc.StatusCode.UNKNOWN.value[0], job.details, job.trailers)
            else:
                ending = job.reply
                size += len(ending)
            for waiting in waitings:
                waiting.settle(_other_method(job) if job.method not in {"", waiting.method} else ending)
        if jobs:
            self._reply_bytes = max(1.0, (self._reply_bytes + size / len(jobs)) / 2, size / len(jobs))

    def _fail(self, error: grpc.aio.AioRpcError) -> None:
        """Tell everybody who awaits."""
        wanted, self._wanted = self._wanted, {}
        self._new.clear()
        self._gone.clear()
        for waitings in wanted.values():
            for waiting in waitings:
                waiting.fail(error)


def _closed() -> HubLostError:
    return HubLostError(grpc.StatusCode.CANCELLED, CLOSED, was_sent=True)


def _other_method(job: pb.Job) -> Failed:
    details = f"It is a job of {job.method.removeprefix('/')}, not of the method whose stub was asked for it"
    return Failed(grpc.StatusCode.INVALID_ARGUMENT.value[0], details, ())
