"""Submitting: requests become submissions, in batches that are under way a few at a time.

What is the same for all jobs of one `submit_many` is put together once and copied. A batch that the hub may have stored
before it was lost is sent again only where every job of it has a key or a step, which makes the second time harmless.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, Protocol, TypeAlias, TypedDict, TypeVar

import grpc

from portcall.client.jobs.connections import PATIENCE_S, HubConnections, JobsService
from portcall.client.jobs.errors import HubLostError, SubmitError, reason_told
from portcall.client.jobs.handles import AnyJob
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.protos.portcall.v1.options_pb2 import Backoff, JobOptions, JobOverrides
from portcall.wire.current import current_job
from portcall.wire.metadata import is_legal, to_frame
from portcall.wire.status import status_code

BATCH_JOBS: Final = 2_000
BATCH_BYTES: Final = 1_048_576
"""A batch is sent when it has so many jobs, or bytes of requests."""

BATCHES_UNDER_WAY: Final = 4
"""While the hub's disk is flushed for one, the next are made and sent."""

ATTEMPT_KEY: Final = "portcall-job-attempt"
"""Metadata of what a job submits: the number of its attempt, so that one that was replaced is refused."""

UNKNOWN_ADVICE: Final = (
    "Nobody can know whether they are stored. With a key, submitting is safe to repeat, and is repeated by itself"
)

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
Each: TypeAlias = str | Callable[[Any], str] | None
"""One text for a job; for many, what makes it of each request."""

JobT = TypeVar("JobT", bound=AnyJob[Any])


class HasId(Protocol):
    """A job, on whichever kind of channel."""

    @property
    def id(self) -> str:
        """Return the job's id."""


class SubmitOptions(TypedDict, total=False):
    """What a submission may say besides its key and its step, in the words of `portcall.v1.Submission`."""

    delay: float | timedelta
    """Not before so many seconds from now."""
    at: datetime | float
    """Not before this time; a `datetime`, or seconds since 1970."""
    priority: int
    """-100 to 100; of the jobs of one method that could start, those with the highest start first."""
    after: Iterable[HasId | str]
    """Jobs, or their ids, that have to succeed first. If one does not, this job is cancelled."""
    labels: Mapping[str, str]
    """To find jobs by."""
    metadata: Metadata
    """What the handler gets as the metadata of a call."""
    attempts: int
    backoff: Backoff | Mapping[str, float]
    """initial_s, max_s, multiplier, jitter; see `portcall/v1/options.proto`."""
    attempt_timeout: float | timedelta
    keep: float | timedelta
    """These four replace what the method's options say."""
    on_duplicate: Literal["return", "retry", "refuse"]
    """What happens if there is a job with the key: this submission gets it, or replaces it if it did not succeed, or
    is refused."""


_DUPLICATES: Final = {"return": JobOptions.RETURN, "retry": JobOptions.RETRY, "refuse": JobOptions.REFUSE}

_NAMES: Final = frozenset(SubmitOptions.__annotations__)


def shared_part(method: str, options: SubmitOptions, *, has_step: bool) -> pb.Submission:
    """Return what all jobs of these options have in common.

    Raises:
        ConfigurationError: an option cannot be; it is named.
        TypeError: there is no such option, or the value of a "-bin" key of the metadata is text.
    """
    if unknown := options.keys() - _NAMES:
        raise TypeError(f"there is no option {min(unknown)!r}; there are {', '.join(sorted(_NAMES))}")
    submission = pb.Submission(
        method=method,
        priority=_in_range("priority", options.get("priority", 0)),
        after=[job if isinstance(job, str) else job.id for job in options.get("after") or ()],
        labels=options.get("labels"),
    )
    if (at := options.get("at")) is not None:
        submission.at = at.timestamp() if isinstance(at, datetime) else at
    if (delay := options.get("delay")) is not None:
        submission.delay_s = _seconds(delay)
    if metadata := options.get("metadata"):
        if not is_legal(metadata):
            raise ConfigurationError("metadata holds a key or a value that gRPC does not allow")
        submission.metadata.extend(pb.MetadataEntry(key=entry.key, value=entry.value) for entry in to_frame(metadata))
    parent = current_job()
    if parent is not None:
        submission.parent = parent.id
    elif has_step:
        raise ConfigurationError("a step is of the job that submits it, and this code runs in no job. Use a key")
    overrides = _overrides(options)
    if overrides is not None:
        submission.overrides.CopyFrom(overrides)
    return submission


def _overrides(options: SubmitOptions) -> JobOverrides | None:
    overrides = JobOverrides()
    if (attempts := options.get("attempts")) is not None:
        overrides.attempts = _in_range("attempts", attempts)
    if (backoff := options.get("backoff")) is not None:
        try:
            overrides.backoff.CopyFrom(backoff if isinstance(backoff, Backoff) else Backoff(**backoff))
        except ValueError as error:
            raise ConfigurationError(f"backoff: {error}") from None
    if (timeout := options.get("attempt_timeout")) is not None:
        overrides.timeout_s = _seconds(timeout)
    if (keep := options.get("keep")) is not None:
        overrides.keep_s = _seconds(keep)
    if (on_duplicate := options.get("on_duplicate")) is not None:
        if on_duplicate not in _DUPLICATES:
            raise ConfigurationError(f"on_duplicate is {on_duplicate!r}; it is 'return', 'retry' or 'refuse'")
        overrides.on_duplicate = _DUPLICATES[on_duplicate]
    return overrides if overrides.ByteSize() else None


def _seconds(span: float | timedelta) -> float:
    return span.total_seconds() if isinstance(span, timedelta) else span


def _in_range(name: str, number: int) -> int:
    if not -(2**31) <= number < 2**31:
        raise ConfigurationError(f"{name} is {number}; that is far out of its range")
    return number


class Batch:
    """Submissions that go together, and their place among all."""

    __slots__ = ("message", "size", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.message = pb.SubmitRequest()
        self.size = 0

    @property
    def is_repeatable(self) -> bool:
        """Whether to send it twice is to send it once."""
        return all(job.key or job.step for job in self.message.jobs)


class Batching:
    """Makes batches of requests."""

    def __init__(self, shared: pb.Submission, serialize: Callable[[Any], bytes], key: Each, step: Each) -> None:
        self._shared = shared
        # A method's name alone is cheaper to give than to copy.
        self._is_plain = pb.Submission(method=shared.method) == shared
        self._serialize = serialize
        self._key = _each(key, "key")
        self._step = _each(step, "step")
        self._batch = Batch(0)

    def take(self, request: Any) -> Batch | None:
        """Take a request; return the batch that is full without it."""
        content = self._serialize(request)
        batch, full = self._batch, None
        jobs = batch.message.jobs
        if jobs and (batch.size + len(content) > BATCH_BYTES or len(jobs) >= BATCH_JOBS):
            full, self._batch = batch, Batch(batch.start + len(jobs))
            batch = self._batch
            jobs = batch.message.jobs
        if self._is_plain:
            job = jobs.add(method=self._shared.method, request=content)
        else:
            job = jobs.add()
            job.CopyFrom(self._shared)
            job.request = content
        if self._key is not None:
            job.key = self._key(request)
        if self._step is not None:
            job.step = self._step(request)
        batch.size += len(content)
        return full

    def batches(self, requests: Iterable[Any]) -> Iterator[Batch]:
        """Yield the batches of these requests."""
        take = self.take
        for request in requests:
            if (batch := take(request)) is not None:
                yield batch
        if (batch := self.rest()) is not None:
            yield batch

    def rest(self) -> Batch | None:
        """Return what has gathered, if anything has."""
        return self._batch if self._batch.message.jobs else None


def _each(value: Each, name: str) -> Callable[[Any], str] | None:
    if value is None or callable(value):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{name} is a {type(value).__name__}; it is a str, or a function that makes one of a request")
    return lambda _: value


class Submitter(Generic[JobT]):
    """Makes and sends the batches of one `submit` or `submit_many`."""

    def __init__(
        self,
        connections: HubConnections,
        batching: Batching,
        make: Callable[[str, bool], JobT],
        timeout_s: float | None,
    ) -> None:
        parent = current_job()
        self._metadata = () if parent is None else ((ATTEMPT_KEY, str(parent.attempt)),)
        self._connections = connections
        self._make = make
        self._patience_s = PATIENCE_S if timeout_s is None else timeout_s
        self.batching = batching

    async def send(self, batch: Batch) -> list[JobT | SubmitError]:
        """Send a batch; return what became of each submission. Whatever goes wrong is in there."""
        try:
            submitted = await self._send(batch)
        except grpc.aio.AioRpcError as error:
            return [self._failure(batch, error)] * len(batch.message.jobs)
        make = self._make
        return [
            make(job.id, job.existed)
            if job.id
            else SubmitError(status_code(job.status), job.details, reason=job.reason)
            for job in submitted
        ]

    async def _send(self, batch: Batch) -> Sequence[pb.Submitted]:
        async def submit(service: JobsService, timeout_s: float) -> pb.SubmitReply:
            reply: pb.SubmitReply = await service.submit(batch.message, timeout=timeout_s, metadata=self._metadata)
            return reply

        reply = await self._connections.patiently(
            submit, self._patience_s, may_repeat=lambda error: not error.was_sent or batch.is_repeatable
        )
        return reply.jobs

    def _failure(self, batch: Batch, error: grpc.aio.AioRpcError) -> SubmitError:
        details = error.details() or ""
        if not isinstance(error, HubLostError):
            return SubmitError(error.code(), details, reason=reason_told(error))
        if not error.was_sent:
            return SubmitError(error.code(), details, reason=error.reason)
        advice = UNKNOWN_ADVICE if not batch.is_repeatable else "They may be stored or not; submit them again"
        return SubmitError(
            error.code(), f"The hub was lost while it stored the jobs ({details}). {advice}", is_unknown=True
        )

    async def send_all(self, requests: Iterable[Any] | AsyncIterable[Any]) -> list[Any]:
        """Send all, in batches of which some are under way at a time; return what became of each, in their order."""
        results: list[Any] = []
        under_way: list[asyncio.Task[list[JobT | SubmitError]]] = []
        loop = asyncio.get_running_loop()
        try:
            async for batch in _batches(requests, self.batching):
                under_way.append(loop.create_task(self.send(batch)))
                if len(under_way) >= BATCHES_UNDER_WAY:
                    results += await under_way[0]
                    del under_way[0]
            for task in under_way:
                results += await task
        finally:
            rest = [task for task in under_way if not task.done()]
            for task in rest:
                task.cancel()
            if rest:
                await asyncio.wait(rest)
        return results


async def _batches(requests: Iterable[Any] | AsyncIterable[Any], batching: Batching) -> AsyncIterator[Batch]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            if (batch := batching.take(request)) is not None:
                yield batch
    else:
        for batch in batching.batches(requests):
            yield batch
        return
    if (batch := batching.rest()) is not None:
        yield batch


def chain(results: Sequence[AnyJob[Any] | SubmitError]) -> None:
    """Let each job know the one behind it, so that awaiting them in turn takes no round trip for each."""
    behind: AnyJob[Any] | None = None
    for job in results:
        if isinstance(job, AnyJob):
            if behind is not None:
                behind.look_behind(job)
            behind = job


def check_all(results: Sequence[Any]) -> None:
    """Raise if something was not submitted.

    Raises:
        SubmitError: with all that became of the others.
    """
    failed = [result for result in results if isinstance(result, SubmitError)]
    if failed:
        first = failed[0]
        details = f"{len(failed):,} of {len(results):,} jobs were not submitted. The first: {first.details()}"
        is_unknown = any(each.is_unknown for each in failed)
        raise SubmitError(first.code(), details, is_unknown=is_unknown, reason=first.reason, results=results)
