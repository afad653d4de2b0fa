"""`portcall.v1.Jobs`: what programs and people ask of stored jobs. `jobs.proto` says what each method promises."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message

from portcall.core.jobs.effects import Submitted
from portcall.core.jobs.identity import id_text
from portcall.core.jobs.messages import attempt_message, job_message
from portcall.core.jobs.requests import CancelJobs, PurgeJobs, PutSchedule, RemoveSchedule, RetryJobs
from portcall.core.jobs.rows import AttemptRow, JobFilter, JobRow
from portcall.core.jobs.schedules import ScheduleError, parse_schedule
from portcall.core.jobs.states import CANCELLED, ENDED, FAILED, JobState
from portcall.core.jobs.submissions import Submission
from portcall.core.refusals import RESOURCE_EXHAUSTED, UNAVAILABLE, explained, overload, refusal
from portcall.errors import PortcallError
from portcall.hub.jobs.backing_up import stream_backup
from portcall.hub.jobs.failing import (
    RETRY_DELAY_S,
    Context,
    NotThereError,
    abort,
    end_of,
    no_store,
    refusing,
)
from portcall.hub.jobs.keeper import JobKeeper
from portcall.hub.jobs.requests import (
    JOBS_MAX,
    BadRequestError,
    Submissions,
    page_token,
    read_filter,
    read_ids,
)
from portcall.hub.jobs.waiting import serve_wait
from portcall.hub.jobs.watching import serve_replies, serve_watch
from portcall.protos.portcall.v1 import jobs_pb2
from portcall.store.protocol import Reader

SERVICE = "portcall.v1.Jobs"

TICKET_JOBS = 1_000
"""Jobs that are read, and stored, in one go: what other work of the hub waits behind."""

PAYLOAD_PAGE_JOBS = 100
"""Jobs whose payloads are read from the store in one go."""

ATTEMPT_KEY = "portcall-job-attempt"
"""Metadata of a Submit out of a job: the number of the attempt that submits. One that has been replaced is refused."""

Request = TypeVar("Request", bound=Message)

Answering = Callable[[Any, Context], Awaitable[Message]]
Streaming = Callable[[JobKeeper, Any, Context], Awaitable[None]]


class JobsService:
    """Answers for a keeper; without one, it says how to get one."""

    def __init__(
        self, keeper: JobKeeper | None, submissions: Submissions | None, has_worker: Callable[[str], bool]
    ) -> None:
        self._maybe_keeper = keeper
        self._maybe_submissions = submissions
        self._has_worker = has_worker

    @property
    def _keeper(self) -> JobKeeper:
        assert self._maybe_keeper is not None
        return self._maybe_keeper

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the service for a `grpc.aio.Server`."""
        unary: dict[str, tuple[type[Message], Answering]] = {
            "Submit": (jobs_pb2.SubmitRequest, self._submit),
            "Get": (jobs_pb2.GetRequest, self._get),
            "List": (jobs_pb2.ListRequest, self._list),
            "Cancel": (jobs_pb2.CancelRequest, self._cancel),
            "Retry": (jobs_pb2.RetryRequest, self._retry),
            "Purge": (jobs_pb2.PurgeRequest, self._purge),
            "PutSchedule": (jobs_pb2.PutScheduleRequest, self._put_schedule),
            "ListSchedules": (jobs_pb2.ListSchedulesRequest, self._list_schedules),
            "TriggerSchedule": (jobs_pb2.TriggerScheduleRequest, self._trigger_schedule),
            "DeleteSchedule": (jobs_pb2.DeleteScheduleRequest, self._delete_schedule),
        }
        streams: dict[str, tuple[type[Message], Streaming]] = {
            "Watch": (jobs_pb2.WatchRequest, serve_watch),
            "ReadReplies": (jobs_pb2.ReadRepliesRequest, serve_replies),
            "Backup": (jobs_pb2.BackupRequest, stream_backup),
        }
        names = (*unary, *streams, "Wait")
        if self._maybe_keeper is None:
            handlers: dict[str, Any] = dict.fromkeys(names, refusing(no_store))
        else:
            keeper = self._maybe_keeper
            handlers = {
                name: grpc.unary_unary_rpc_method_handler(_answering(kind, answer))
                for name, (kind, answer) in unary.items()
            }
            for name, (kind, serve) in streams.items():
                handlers[name] = grpc.unary_stream_rpc_method_handler(_streaming(kind, keeper, serve))
            handlers["Wait"] = grpc.stream_stream_rpc_method_handler(_waiting(keeper))
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    # --- submitting ---------------------------------------------------------------------------------------------------

    async def _submit(self, request: jobs_pb2.SubmitRequest, context: Context) -> jobs_pb2.SubmitReply:
        keeper, reader = self._keeper, self._maybe_submissions
        assert reader is not None
        messages = request.jobs
        if len(messages) > JOBS_MAX:
            raise BadRequestError(f"{len(messages):,} jobs; at most {JOBS_MAX:,} may be submitted at once")
        attempt = _attempt_number(context)
        answers = []
        for begin in range(0, len(messages), TICKET_JOBS):
            if begin:
                await asyncio.sleep(0)
            some = messages[begin : begin + TICKET_JOBS]
            plain = reader.read_plain(some)
            storing = (
                _submitted(keeper, reader.read(some, keeper.clock(), attempt))
                if plain is None
                else keeper.submit(plain)
            )
            answers.append(asyncio.ensure_future(storing))
        submitted = list(chain.from_iterable(await asyncio.gather(*answers)))
        _check_all_refused(submitted)
        return _submit_reply(submitted)

    # --- jobs ---------------------------------------------------------------------------------------------------------

    async def _get(self, request: jobs_pb2.GetRequest, _: Context) -> jobs_pb2.GetReply:
        ids = read_ids(request.ids)
        reply = jobs_pb2.GetReply()
        for begin in range(0, len(ids), PAYLOAD_PAGE_JOBS):
            page = ids[begin : begin + PAYLOAD_PAGE_JOBS]
            rows, attempts = await self._keeper.store.read(
                lambda reader, page=page: _rows(reader, page, with_attempts=request.with_attempts)  # type: ignore[misc]
            )
            reply.jobs.extend(self._message(row, with_request=request.with_requests) for row in rows)
            reply.attempts.extend(map(attempt_message, attempts))
        return reply

    async def _list(self, request: jobs_pb2.ListRequest, _: Context) -> jobs_pb2.ListReply:
        wanted, below, limit = read_filter(request)
        with_payloads = request.with_replies or request.with_requests
        if with_payloads:
            limit = min(limit, PAYLOAD_PAGE_JOBS)
        page = await self._keeper.store.read(
            lambda reader: reader.find(wanted, before=below, limit=limit, with_payloads=with_payloads)
        )
        jobs = [
            self._message(row, with_request=request.with_requests, with_reply=request.with_replies) for row in page.jobs
        ]
        return jobs_pb2.ListReply(jobs=jobs, page_token=page_token(page.next_before))

    def _message(self, row: JobRow, *, with_request: bool, with_reply: bool = True) -> jobs_pb2.Job:
        message = job_message(row)
        if not with_request:
            message.ClearField("request")
        if not with_reply:
            message.ClearField("reply")
        if row.state not in ENDED:
            message.reason = self._keeper.engine.why_waiting(row, has_worker=self._has_worker(row.method))
        return message

    async def _cancel(self, request: jobs_pb2.CancelRequest, _: Context) -> jobs_pb2.CancelReply:
        ids, keeper = read_ids(request.ids), self._keeper
        children = await self._unfinished_children(ids)
        await keeper.request(lambda done: CancelJobs(token=done, jobs=ids))
        states = await self._states([*ids, *children])
        stopped = [child for child in children if states.get(child) in (CANCELLED, JobState.CANCELLING)]
        return jobs_pb2.CancelReply(states=_state_numbers(ids, states), children=len(stopped))

    async def _unfinished_children(self, ids: Sequence[int]) -> list[int]:
        """Return the descendants of jobs that a cancellation reaches, if they are few enough to be counted."""
        generation, found = list(ids), list[int]()
        while generation and len(found) < JOBS_MAX:
            generation = await self._keeper.store.read(lambda reader, parents=generation: _children(reader, parents))  # type: ignore[misc]
            found += generation
        return found

    async def _retry(self, request: jobs_pb2.RetryRequest, _: Context) -> jobs_pb2.RetryReply:
        ids, keeper = read_ids(request.ids), self._keeper
        ranks: list[tuple[int, int]] = []
        for begin in range(0, len(ids), PAYLOAD_PAGE_JOBS):
            rows = await keeper.store.read(lambda reader, at=begin: reader.get(ids[at : at + PAYLOAD_PAGE_JOBS]))  # type: ignore[misc]
            ranks += [(row.id, row.rank) for row in rows if row.state in (FAILED, CANCELLED)]
        await keeper.request(lambda done: RetryJobs(token=done, jobs=ranks))
        return jobs_pb2.RetryReply(states=_state_numbers(ids, await self._states(ids)))

    async def _purge(self, request: jobs_pb2.PurgeRequest, _: Context) -> jobs_pb2.PurgeReply:
        ids = read_ids(request.ids)
        before = await self._states(ids)
        await self._keeper.request(lambda done: PurgeJobs(token=done, jobs=ids))
        after = await self._states(ids)
        return jobs_pb2.PurgeReply(purged=len(before.keys() - after.keys()))

    async def _states(self, ids: Sequence[int]) -> dict[int, JobState]:
        return await self._keeper.store.read(lambda reader: reader.states(ids))

    # --- schedules ----------------------------------------------------------------------------------------------------

    async def _put_schedule(self, request: jobs_pb2.PutScheduleRequest, _: Context) -> jobs_pb2.Schedule:
        schedule = parse_schedule(request.name, request.spec)
        assert self._maybe_submissions is not None
        [read] = self._maybe_submissions.read([schedule.spec.job], self._keeper.clock())
        fault = read if isinstance(read, Submitted) else self._keeper.engine.fault_of(read)
        if fault is not None:
            raise ScheduleError(f"schedule {request.name!r}: its job cannot be: {fault.details}")
        await self._keeper.request(lambda done: PutSchedule(token=done, schedule=schedule))
        stored = await self._schedules()
        return stored.get(request.name) or jobs_pb2.Schedule(name=request.name, spec=request.spec)

    async def _list_schedules(self, _: jobs_pb2.ListSchedulesRequest, __: Context) -> jobs_pb2.ListSchedulesReply:
        return jobs_pb2.ListSchedulesReply(schedules=(await self._schedules()).values())

    async def _trigger_schedule(self, request: jobs_pb2.TriggerScheduleRequest, _: Context) -> jobs_pb2.SubmitReply:
        self._check_schedule(request.name)
        submitted = await self._keeper.trigger(request.name)
        _check_all_refused(submitted)
        return _submit_reply(submitted)

    async def _delete_schedule(
        self, request: jobs_pb2.DeleteScheduleRequest, _: Context
    ) -> jobs_pb2.DeleteScheduleReply:
        engine = self._keeper.engine
        existed = request.name in engine.schedules or request.name in engine.broken_schedules
        await self._keeper.request(lambda done: RemoveSchedule(token=done, name=request.name))
        return jobs_pb2.DeleteScheduleReply(existed=existed)

    def _check_schedule(self, name: str) -> None:
        engine = self._keeper.engine
        if name in engine.broken_schedules:
            raise ScheduleError(f"schedule {name!r} cannot be used: {engine.broken_schedules[name]}")
        if name not in engine.schedules:
            raise NotThereError(f"there is no schedule {name[:128]!r}")

    async def _schedules(self) -> dict[str, jobs_pb2.Schedule]:
        rows = await self._keeper.store.read(lambda reader: reader.schedules())
        return {
            row.name: jobs_pb2.Schedule(
                name=row.name,
                spec=jobs_pb2.ScheduleSpec.FromString(row.spec),
                next_at=row.next_at or 0.0,
                last_at=row.last_at or 0.0,
                last_job="" if row.last_job is None else id_text(row.last_job),
            )
            for row in rows
        }


# --- submitting -------------------------------------------------------------------------------------------------------


async def _submitted(keeper: JobKeeper, read: Sequence[Submission | Submitted]) -> Sequence[Submitted]:
    """Store what can be; return what became of each, in their order."""
    submissions = [one for one in read if isinstance(one, Submission)]
    if len(submissions) == len(read):
        return await keeper.submit(submissions)
    stored = iter(await keeper.submit(submissions) if submissions else ())
    return [one if isinstance(one, Submitted) else next(stored) for one in read]


def _submit_reply(submitted: Sequence[Submitted]) -> jobs_pb2.SubmitReply:
    reply = jobs_pb2.SubmitReply()
    add: Any = reply.jobs.add
    for job, state, existed, status, details, reason in submitted:
        told = add()
        if job is None or state is None:
            told.status, told.details, told.reason = status, details, reason
            continue
        told.id, told.state = id_text(job), int(state)
        if existed:
            told.existed = True
    return reply


class _RefusedError(PortcallError):
    """None of the jobs was stored, because of the hub or its store and not because of them."""

    def __init__(self, first: Submitted) -> None:
        super().__init__(first.details)
        delay_s = RETRY_DELAY_S if first.status == RESOURCE_EXHAUSTED or first.reason else None
        if first.reason:
            self.end = explained(first.status, first.details, first.reason, delay_s)
        else:
            self.end = overload(first.details, RETRY_DELAY_S) if delay_s else refusal(first.status, first.details)


def _check_all_refused(submitted: Sequence[Submitted]) -> None:
    """Fail the whole call if nothing was stored because the hub or its store could not."""
    if submitted and submitted[0].status in (RESOURCE_EXHAUSTED, UNAVAILABLE):
        first = submitted[0]
        if all(one.status == first.status and one.details == first.details for one in submitted):
            raise _RefusedError(first)


def _attempt_number(context: Context) -> int | None:
    for key, value in context.invocation_metadata() or ():
        if key == ATTEMPT_KEY:
            try:
                return int(value)
            except ValueError:
                raise BadRequestError(f"{ATTEMPT_KEY} is {value!r}; it should be a number") from None
    return None


# --- questions --------------------------------------------------------------------------------------------------------


def _rows(reader: Reader, ids: Sequence[int], *, with_attempts: bool) -> tuple[list[JobRow], list[AttemptRow]]:
    rows = reader.get(ids)
    return rows, [attempt for row in rows for attempt in reader.attempts(row.id)] if with_attempts else []


def _children(reader: Reader, parents: Sequence[int]) -> list[int]:
    """Return the unfinished children of jobs, up to as many as are counted."""
    found: list[int] = []
    unfinished = frozenset(JobState) - ENDED
    for parent in parents:
        below: int | None = None
        wanted = JobFilter(parent=parent, states=unfinished)
        while len(found) < JOBS_MAX:
            page = reader.find(wanted, before=below, limit=JOBS_MAX, with_payloads=False)
            found += [row.id for row in page.jobs]
            below = page.next_before
            if below is None:
                break
    return found


def _state_numbers(ids: Sequence[int], states: dict[int, JobState]) -> list[jobs_pb2.JobState]:
    return [cast("jobs_pb2.JobState", int(states.get(job, 0))) for job in ids]


# --- handlers ---------------------------------------------------------------------------------------------------------


def _answering(kind: type[Request], answer: Answering) -> Any:
    """Return the behaviour of a unary method: bytes in, bytes out, and what goes wrong as a status in words."""

    async def serve(serialised: bytes, context: Context) -> bytes:
        try:
            reply = await answer(_parsed(kind, serialised), context)
        except _RefusedError as error:
            await abort(context, error.end)
        except PortcallError as error:
            await abort(context, end_of(error))
        return reply.SerializeToString()

    return serve


def _streaming(kind: type[Request], keeper: JobKeeper, serve_stream: Streaming) -> Any:
    async def serve(serialised: bytes, context: Context) -> None:
        try:
            await serve_stream(keeper, _parsed(kind, serialised), context)
        except PortcallError as error:
            await abort(context, end_of(error))

    return serve


def _waiting(keeper: JobKeeper) -> Any:
    async def serve(_: object, context: Context) -> None:
        try:
            await serve_wait(keeper, context)
        except PortcallError as error:
            await abort(context, end_of(error))

    return serve


def _parsed(kind: type[Request], serialised: bytes) -> Request:
    try:
        return kind.FromString(serialised)
    except DecodeError:
        raise BadRequestError(f"this is not a {kind.DESCRIPTOR.full_name}") from None
