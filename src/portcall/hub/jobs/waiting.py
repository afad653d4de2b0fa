"""`Jobs.Wait`: one stream for thousands of jobs, told as they end.

Theory of operation. Ids that come are first entered among the waiters, and then the store is asked for their states,
unless they were stored a moment ago and are known to go on; so a job that ends in between is told by one or the other,
and by whoever is first only. Ends gather while the last reply
is being written, and go out together. What a slow reader leaves is kept by id, and read from the store in its turn.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from portcall.core.jobs.effects import Outcome
from portcall.core.jobs.identity import id_text, submitted_at
from portcall.core.jobs.rows import JobRow
from portcall.core.jobs.states import ENDED
from portcall.core.refusals import NOT_FOUND
from portcall.hub.jobs.failing import BusyError, Context
from portcall.hub.jobs.keeper import JobKeeper
from portcall.hub.jobs.requests import BadRequestError, read_ids
from portcall.protos.portcall.v1 import jobs_pb2

WAITS_MAX = 4_000_000
"""Ends that all streams together wait for."""

STREAM_WAITS_MAX = 1_000_000
"""Those of one stream."""

KEPT_BYTES_MAX = 4_194_304
"""Replies that are kept in memory for one stream that does not read them."""

REPLY_BYTES_MAX = 1_048_576
REPLY_JOBS_MAX = 2_000
"""What goes into one message, if a single job has no more."""

READ_JOBS = 100
"""Jobs that are read from the store in one go."""


class Wait:
    """One stream: what it waits for, and what has ended and is not told yet."""

    def __init__(self, keeper: JobKeeper) -> None:
        self._keeper = keeper
        self._waiting: set[int] = set()
        self._outcomes: deque[Outcome | int] = deque()
        """Ends to be told; as an id where the rest is to be read from the store."""
        self._bytes_kept = 0
        self._missing: list[int] = []
        self._news = asyncio.Event()
        self._is_half_closed = False

    def ended(self, outcome: Outcome) -> None:
        """Take the end of a job."""
        self._waiting.discard(outcome.job)
        size = len(outcome.reply or b"") + len(outcome.details)
        if self._bytes_kept + size > KEPT_BYTES_MAX:
            self._outcomes.append(outcome.job)
        else:
            self._bytes_kept += size
            self._outcomes.append(outcome)
        self._news.set()

    async def listen(self, context: Context) -> None:
        """Take what the caller wants to wait for, until it half-closes."""
        while isinstance(serialised := await context.read(), bytes):
            try:
                request = jobs_pb2.WaitRequest.FromString(serialised)
            except DecodeError:
                raise BadRequestError("this is not a portcall.v1.WaitRequest") from None
            self._forget(read_ids(request.forget))
            await self._wait_for(read_ids(request.ids))
        self._is_half_closed = True
        self._news.set()

    async def tell(self, context: Context) -> None:
        """Tell what ends, until the caller has half-closed and there is nothing left."""
        while True:
            self._news.clear()
            while self._outcomes or self._missing:
                await context.write((await self._next_reply()).SerializeToString())
            if self._is_half_closed and not self._waiting:
                return
            await self._news.wait()

    def close(self) -> None:
        """Wait no more."""
        self._keeper.listeners.forget(self._waiting, self)

    def _forget(self, ids: Sequence[int]) -> None:
        gone = [job for job in ids if job in self._waiting]
        self._keeper.listeners.forget(gone, self)
        self._waiting.difference_update(gone)
        self._news.set()

    async def _wait_for(self, ids: Sequence[int]) -> None:
        new = [job for job in dict.fromkeys(ids) if job not in self._waiting]
        listeners = self._keeper.listeners
        if len(self._waiting) + len(new) > STREAM_WAITS_MAX:
            raise BadRequestError(f"a stream can wait for {STREAM_WAITS_MAX:,} jobs at a time; open another one")
        if listeners.waits + len(new) > WAITS_MAX:
            raise BusyError(f"{listeners.waits:,} jobs are waited for already; at most {WAITS_MAX:,} may be")
        self._waiting.update(new)
        listeners.wait_for(new, self)
        old = [job for job in new if job not in listeners.fresh]
        if not old:
            return
        states = await self._keeper.store.read(lambda reader: reader.states(old))
        # What has ended meanwhile is told already.
        over = [job for job in old if job in self._waiting and states.get(job) in ENDED]
        missing = [job for job in old if job in self._waiting and job not in states]
        listeners.forget([*over, *missing], self)
        self._waiting.difference_update(over, missing)
        self._outcomes.extend(over)
        self._missing += missing
        self._news.set()

    async def _next_reply(self) -> jobs_pb2.WaitReply:
        """Return some of what there is to tell."""
        reply = jobs_pb2.WaitReply()
        for job in self._missing[:REPLY_JOBS_MAX]:
            reply.jobs.add(id=id_text(job), status=NOT_FOUND, details="there is no such job (any more)")
        del self._missing[:REPLY_JOBS_MAX]
        outcomes, size, to_read = self._outcomes, 0, list[int]()
        while outcomes and size < REPLY_BYTES_MAX and len(reply.jobs) < REPLY_JOBS_MAX and len(to_read) < READ_JOBS:
            outcome = outcomes.popleft()
            if isinstance(outcome, int):
                to_read.append(outcome)
                continue
            size += len(outcome.reply or b"") + len(outcome.details)
            _add_outcome(reply.jobs, outcome)
        self._bytes_kept = max(0, self._bytes_kept - size)
        if to_read:
            rows = await self._keeper.store.read(lambda reader: reader.get(to_read))
            for row in rows:
                _add_row(reply.jobs, row)
            self._missing += set(to_read) - {row.id for row in rows}
        return reply


def _add_outcome(jobs: Any, outcome: Outcome) -> None:
    # Field by field: as arguments of `add` they take half as long again.
    id_, method, state, attempt, at, status, details, reply, trailers = outcome
    job = jobs.add()
    job.id, job.method, job.state, job.attempt = id_text(id_), method, int(state), attempt
    job.submitted_at, job.ended_at = submitted_at(id_), at
    if reply:
        job.reply = reply
    if status or details:
        job.status, job.details = status, details
    if trailers is not None:
        job.trailers.extend(jobs_pb2.MetadataEntries.FromString(trailers).entries)


def _add_row(jobs: Any, row: JobRow) -> None:
    at = row.ended_at or 0.0
    _add_outcome(
        jobs,
        Outcome(row.id, row.method, row.state, row.attempt, at, row.status or 0, row.details, row.reply, row.trailers),
    )


async def serve_wait(keeper: JobKeeper, context: Context) -> None:
    """Serve one stream."""
    wait = Wait(keeper)
    telling = asyncio.create_task(wait.tell(context))
    listening = asyncio.create_task(wait.listen(context))
    try:
        await asyncio.wait([telling, listening], return_when=asyncio.FIRST_EXCEPTION)
        for task in (listening, telling):
            if task.done():
                task.result()
        await telling
    finally:
        wait.close()
        telling.cancel()
        listening.cancel()
        await asyncio.wait([telling, listening])
