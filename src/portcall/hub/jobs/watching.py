"""`Jobs.Watch` and `Jobs.ReadReplies`: what happens to jobs, and what they reply, read from the store as it comes.

A watcher is told only that there is more of a job; what it is, it reads from where it stopped. So what it gets has the
numbers that it can be resumed by, whether it came a second or a day ago, and a slow watcher holds nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, cast

from portcall.core.jobs.history import LOG, Happening, history
from portcall.core.jobs.identity import id_text, parse_id
from portcall.core.jobs.messages import attempt_message
from portcall.core.jobs.rows import JobRow, ReplyRow
from portcall.core.jobs.states import ENDED, JobState
from portcall.hub.jobs.failing import BusyError, Context, NotThereError
from portcall.hub.jobs.keeper import JobKeeper
from portcall.hub.jobs.requests import BadRequestError
from portcall.protos.portcall.v1 import jobs_pb2
from portcall.store.protocol import Reader

WATCHES_MAX = 20_000
"""Jobs that all streams together watch, or follow the replies of."""

STREAM_WATCHES_MAX = 1_000

NAMES_SHOWN = 5

NOTES_PAGE = 1_000
REPLIES_PAGE = 100
"""What is read from the store in one go."""


class Look(NamedTuple):
    """What there is to be told of a job now."""

    events: list[Happening]
    job: JobRow
    is_whole: bool
    """Whether there is nothing behind these events yet."""


class Watch:
    """Which jobs of one stream have news."""

    def __init__(self, keeper: JobKeeper, places: dict[int, int]) -> None:
        """Watch jobs from behind the event numbers given."""
        self._keeper = keeper
        self._places = places
        self._changed = set(places)
        self._news = asyncio.Event()
        for job in places:
            keeper.listeners.watch(job, self)

    def changed(self, job: int) -> None:
        """Take note that there may be more of a job."""
        self._changed.add(job)
        self._news.set()

    def begun(self, job: int, _: int) -> None:
        """Take note that an attempt has begun."""
        self.changed(job)

    def close(self) -> None:
        """Watch no more. Idempotent."""
        for job in self._places:
            self._keeper.listeners.unwatch(job, self)

    async def events(self) -> AsyncIterator[jobs_pb2.Event]:
        """Yield what happens until all of the jobs have ended."""
        while self._places:
            self._news.clear()
            while self._changed:
                job = self._changed.pop()
                async for event in self._events_of(job):
                    yield event
            if self._places:
                await self._news.wait()

    async def _events_of(self, job: int) -> AsyncIterator[jobs_pb2.Event]:
        """Yield what is new of a job."""
        while job in self._places:
            after = self._places[job]
            look = await self._keeper.store.read(lambda reader, after=after: _look(reader, job, after))  # type: ignore[misc]
            if look is None:
                self._forget(job)
                return
            for event in look.events:
                self._places[job] = event.number
                yield _event(job, event, look.job)
            if look.is_whole:
                if look.job.state in ENDED:
                    self._forget(job)
                return

    def _forget(self, job: int) -> None:
        self._places.pop(job, None)
        self._keeper.listeners.unwatch(job, self)


def _look(reader: Reader, job: int, after: int) -> Look | None:
    # The row last: what it says to have happened, those before it have seen.
    notes = reader.notes(job, after=after, limit=NOTES_PAGE)
    attempts = reader.attempts(job)
    rows = reader.get([job])
    if not rows:
        return None
    events = history(rows[0], attempts, notes, after)
    if len(notes) < NOTES_PAGE:
        # What was told between the look at the notes and that at the row comes before what the row says.
        more = reader.notes(job, after=notes[-1].number if notes else after, limit=NOTES_PAGE)
        return Look(history(rows[0], reader.attempts(job), [*notes, *more], after), rows[0], len(more) < NOTES_PAGE)
    return Look([event for event in events if event.number <= notes[-1].number], rows[0], is_whole=False)


def _event(job: int, event: Happening, row: JobRow) -> jobs_pb2.Event:
    message = jobs_pb2.Event(job=id_text(job), number=event.number, at=event.at, attempt=event.attempt)
    if event.note is not None:
        if event.note.kind == LOG:
            message.log.MergeFromString(event.note.body)
            message.log.SetInParent()
        else:
            message.progress.MergeFromString(event.note.body)
            message.progress.SetInParent()
    elif event.ended is not None:
        message.attempt_ended.CopyFrom(attempt_message(event.ended))
        message.status, message.details = event.ended.status, event.ended.details
    elif event.state is not None:
        message.state = cast("jobs_pb2.JobState", int(event.state))
        if event.state in ENDED:
            message.status, message.details = row.status or 0, row.details
    return message


async def serve_watch(keeper: JobKeeper, request: jobs_pb2.WatchRequest, context: Context) -> None:
    """Serve one stream of events."""
    if len(request.jobs) > STREAM_WATCHES_MAX:
        raise BadRequestError(f"{len(request.jobs):,} jobs; at most {STREAM_WATCHES_MAX:,} may be watched by a stream")
    places = {parse_id(wanted.id): wanted.after for wanted in request.jobs}
    await _check_there(keeper, list(places))
    watch = Watch(keeper, places)
    try:
        async for event in watch.events():
            await context.write(event.SerializeToString())
    finally:
        watch.close()


# --- replies ----------------------------------------------------------------------------------------------------------


class Following:
    """One reader of a job's replies, and where it is."""

    def __init__(self, keeper: JobKeeper, job: int, offset: int) -> None:
        self._keeper = keeper
        self._job = job
        self.offset = offset
        self._news = asyncio.Event()
        keeper.listeners.watch(job, self)

    def changed(self, _: int) -> None:
        """Take note that there may be more."""
        self._news.set()

    def begun(self, _: int, replies: int) -> None:
        """Go back to where another attempt begins."""
        self.offset = min(self.offset, replies)
        self._news.set()

    def close(self) -> None:
        """Follow no more."""
        self._keeper.listeners.unwatch(self._job, self)

    async def replies(self, *, is_following: bool) -> AsyncIterator[ReplyRow]:
        """Yield replies until there are none to come."""
        while True:
            self._news.clear()
            offset = self.offset
            state, page = await self._keeper.store.read(lambda reader, at=offset: _page(reader, self._job, at))  # type: ignore[misc]
            for row in page:
                if self.offset > row.offset:
                    continue
                if self.offset < offset:
                    break  # another attempt has begun meanwhile
                self.offset = row.offset + 1
                offset = self.offset
                yield row
            if page:
                continue
            if state is None or state in ENDED or not is_following:
                return
            await self._news.wait()


def _page(reader: Reader, job: int, offset: int) -> tuple[JobState | None, Sequence[ReplyRow]]:
    # The state first: what a job that has ended replied, those who look later see.
    state = reader.states([job]).get(job)
    return state, reader.replies(job, offset=offset, limit=REPLIES_PAGE)


async def serve_replies(keeper: JobKeeper, request: jobs_pb2.ReadRepliesRequest, context: Context) -> None:
    """Serve one stream of replies."""
    job = parse_id(request.id)
    await _check_there(keeper, [job])
    following = Following(keeper, job, request.offset)
    try:
        async for row in following.replies(is_following=request.follow):
            reply = jobs_pb2.StoredReply(offset=row.offset, attempt=row.attempt, message=row.message)
            await context.write(reply.SerializeToString())
    finally:
        following.close()


async def _check_there(keeper: JobKeeper, ids: Sequence[int]) -> None:
    if keeper.listeners.watches + len(ids) > WATCHES_MAX:
        raise BusyError(f"{keeper.listeners.watches:,} jobs are watched already; at most {WATCHES_MAX:,} may be")
    states = await keeper.store.read(lambda reader: reader.states(ids))
    missing = [id_text(job) for job in ids if job not in states]
    if missing:
        raise NotThereError(f"there is no job {_some(missing)} (any more)")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN} others"
