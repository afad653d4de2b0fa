"""Handles of jobs, on a `portcall.Channel`."""

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Generic, TypeVar

from portcall.client.jobs.errors import JobError
from portcall.client.jobs.keeper import JobKeeper
from portcall.client.jobs.telling import JobEvent, JobStatus
from portcall.client.jobs.waiting import Failed, Waiting
from portcall.core.jobs.states import JobState

Reply = TypeVar("Reply")
Result = TypeVar("Result")


class AnyJob(Waiting, Generic[Result]):
    """What handles of all jobs have. A handle holds nothing: without it, the job goes on."""

    __slots__ = ("_keeper", "_parse", "existed")

    def __init__(
        self, keeper: JobKeeper, job_id: str, method: str, parse: Callable[[bytes], Any], *, existed: bool = False
    ) -> None:
        super().__init__(job_id, method)
        self._keeper = keeper
        self._parse = parse
        self.existed = existed
        """Whether the job was there already when this was submitted, under the same key or step."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of {self.method.removeprefix('/')}>"

    def __await__(self) -> Generator[Any, None, Result]:
        """Wait until the job has ended, through restarts of the hub; return its result. Bound it by `asyncio.timeout`.

        Raises:
            JobError: the job has ended with another status than OK.
        """
        if self.ending is None:
            yield from self.ended().__await__()
        elif self.has_ahead:
            self.look_ahead()
        return self.result()

    async def ended(self) -> None:
        """Wait until the job has ended, however it did."""
        await self._keeper.waiter.ended(self)

    def look_ahead(self) -> None:
        """Have the next results on their way before they are awaited; see `waiting`."""
        self._keeper.waiter.look_ahead(self)

    def is_of(self, keeper: JobKeeper) -> bool:
        """Whether it asks and waits there."""
        return self._keeper is keeper

    def result(self) -> Result:
        """Return the result of a job that is known to have ended, as it is after it was awaited; see `__await__`."""
        ending = self.ending
        if ending is None:
            raise RuntimeError(f"job {self.id} is not known to have ended; await it first")
        if isinstance(ending, Failed):
            raise JobError(self.id, ending.status, ending.details, ending.trailers)
        return self._result(ending)

    def _result(self, reply: bytes) -> Result:
        raise NotImplementedError

    async def status(self) -> JobStatus:
        """Ask how the job stands.

        Raises:
            JobError: there is no such job (any more): NOT_FOUND.
        """
        return await self._keeper.status(self.id)

    async def cancel(self) -> JobState:
        """Cancel the job and its children; return its state. One that runs is CANCELLING until it has stopped."""
        return await self._keeper.cancel(self.id)

    def events(self, *, after: int = 0) -> AsyncGenerator[JobEvent, None]:
        """Yield what happens to the job, from behind the event number `after`, until it has ended."""
        return self._keeper.events(self.id, after)


class Job(AnyJob[Reply]):
    """A job of a unary method. Awaited, it gives the reply."""

    __slots__ = ()

    def _result(self, reply: bytes) -> Reply:
        parsed: Reply = self._parse(reply)
        return parsed


class StreamJob(AnyJob[None], Generic[Reply]):
    """A job of a server-streaming method, whose replies are stored as a sequence. Awaited, it gives None."""

    __slots__ = ()

    def _result(self, reply: bytes) -> None:
        return None

    async def replies(self, offset: int = 0) -> AsyncGenerator[Reply, None]:
        """Yield the replies as they come, from the one at `offset` on, until the job has ended.

        When an attempt fails, the next one begins again where its last checkpoint was, and repeats the replies behind.

        Raises:
            JobError: the job has ended with another status than OK; after its last reply.
        """
        async for stored in self._keeper.replies(self.id, offset, follow=True):
            yield self._parse(stored.message)
        await self
