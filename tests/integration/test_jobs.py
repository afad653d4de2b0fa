"""Jobs from their submission to their end, with a hub, workers and callers in one process."""

import asyncio
from pathlib import Path

import grpc
import pytest
from interop.timeouts import timeouts
from interop_pb2 import StreamReply, UnaryReply, UnaryRequest

import portcall
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.protos.portcall.v1.options_pb2 import Backoff, JobOverrides

from .jobdesk import CANCELLED, FAILED, READY, RUNNING, SUCCEEDED, UNARY, hub_with, jobs_of, stream, unary
from .servicers import Gate, Source, echo, number
from .stage import Stage, status_of, until


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


async def test_a_job_runs_and_its_reply_is_kept(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, name="w", UnaryCall=echo)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary(b"1"))
    ended = await jobs.end(job)
    assert (ended.id, ended.method, ended.state, ended.attempt) == (job, UNARY, SUCCEEDED, 1)
    assert UnaryReply.FromString(ended.reply) == UnaryReply(body=b"1")
    row = await jobs.get(job, with_requests=True)
    assert (row.reply, row.worker, row.status) == (ended.reply, "w", 0)
    assert row.request == UnaryRequest(body=b"1").SerializeToString()


async def test_thousands_of_jobs_are_told_on_one_stream_each_once(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, slots=300, UnaryCall=echo)
    jobs = jobs_of(stage, hub)
    call = jobs.wait()
    ids = await jobs.submit(*(unary(b"%d" % body) for body in range(3_000)))
    await call.write(pb.WaitRequest(ids=ids))
    await call.write(pb.WaitRequest(ids=ids[:10]))
    await call.done_writing()
    told = [job async for reply in call for job in reply.jobs]
    assert sorted({job.id for job in told}) == ids
    # Those that were named twice may be told twice, if they had ended in between.
    assert len(told) <= len(ids) + 10
    bodies = {job.id: UnaryReply.FromString(job.reply).body for job in told}
    assert [bodies[job] for job in ids] == [b"%d" % body for body in range(3_000)]


async def test_large_requests_and_replies_pass_in_chunks(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=echo)
    jobs = jobs_of(stage, hub)
    body = bytes(range(256)) * 3_000
    [job] = await jobs.submit(unary(body))
    assert UnaryReply.FromString((await jobs.end(job)).reply).body == body


async def test_a_job_waits_for_a_worker_and_says_so(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary(b"1"))
    row = await jobs.get(job)
    assert (row.state, row.reason) == (READY, f"no worker serves {UNARY.removeprefix('/')}")
    await stage.worker(hub.address, UnaryCall=echo)
    assert (await jobs.end(job)).state == SUCCEEDED


async def test_jobs_take_the_slots_that_calls_leave(stage: Stage, store: Path) -> None:
    gate = Gate()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, slots=1, UnaryCall=gate.handle)
    call = asyncio.ensure_future(_call(stage, hub.address))
    await gate.when_begun()
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary(b"job"))
    assert (await jobs.get(job)).reason == "waits for a free slot"
    gate.opened.set()
    assert (await jobs.end(job)).state == SUCCEEDED
    assert (await call).body == b"call"
    assert gate.begun == [b"call", b"job"]


async def test_jobs_go_on_beside_calls_that_never_stop(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, slots=1, UnaryCall=echo)
    stub = stage.stub(hub.address)

    async def call_on() -> None:
        while True:
            await stub.UnaryCall(UnaryRequest(body=b"call"))

    callers = [asyncio.ensure_future(call_on()) for _ in range(10)]
    jobs = jobs_of(stage, hub)
    ended = await jobs.ended(await jobs.submit(*(unary(b"job") for _ in range(20))))
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    assert {job.state for job in ended.values()} == {SUCCEEDED}


async def _call(stage: Stage, address: str) -> UnaryReply:
    reply: UnaryReply = await stage.stub(address).UnaryCall(UnaryRequest(body=b"call"))
    return reply


async def test_a_failed_attempt_is_repeated_and_its_trailers_are_kept(stage: Stage, store: Path) -> None:
    attempts: list[int] = []

    async def fail(request: UnaryRequest, context: grpc.aio.ServicerContext) -> UnaryReply:
        attempts.append(portcall.current_job().attempt)
        context.set_trailing_metadata((("x-why-bin", b"\x00\x01"),))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=fail)
    jobs = jobs_of(stage, hub)
    overrides = JobOverrides(attempts=3, backoff=Backoff(initial_s=0))
    [job] = await jobs.submit(unary(overrides=overrides))
    ended = await jobs.end(job)
    assert (ended.state, ended.status, ended.details, ended.attempt) == (FAILED, 14, "not now", 3)
    assert [(entry.key, entry.value) for entry in ended.trailers] == [("x-why-bin", b"\x00\x01")]
    assert attempts == [1, 2, 3]
    reply = await jobs.get_all(pb.GetRequest(ids=[job], with_attempts=True))
    assert [(attempt.number, attempt.status) for attempt in reply.attempts] == [(1, 14), (2, 14)]


async def test_a_status_that_is_not_worth_it_fails_at_once_and_retry_runs_it_again(stage: Stage, store: Path) -> None:
    is_broken = True

    async def refuse(request: UnaryRequest, context: grpc.aio.ServicerContext) -> UnaryReply:
        if is_broken:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bad")
        return UnaryReply()

    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=refuse)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary())
    ended = await jobs.end(job)
    assert (ended.state, ended.status, ended.attempt) == (FAILED, 3, 1)
    is_broken = False
    assert (await jobs.retry(pb.RetryRequest(ids=[job, "0" * 13]))).states[1] == pb.JOB_STATE_UNSPECIFIED
    ended = await jobs.end(job)
    assert (ended.state, ended.attempt) == (SUCCEEDED, 2)


async def test_a_running_job_is_cancelled_with_its_children(stage: Stage, store: Path) -> None:
    gate = Gate()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    jobs = jobs_of(stage, hub)
    [parent] = await jobs.submit(unary(b"parent"))
    [child] = await jobs.submit(unary(b"child", parent=parent, delay_s=3_600))
    await gate.when_begun()
    reply = await jobs.cancel(pb.CancelRequest(ids=[parent]))
    assert reply.children == 1
    ended = await jobs.ended([parent, child])
    assert {job.state for job in ended.values()} == {CANCELLED}
    assert gate.cancelled == [b"parent"]


async def test_a_stream_can_stop_waiting_for_a_job(stage: Stage, store: Path) -> None:
    gate = Gate()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, slots=3, UnaryCall=gate.handle)
    jobs = jobs_of(stage, hub)
    first, second = await jobs.submit(unary(b"1"), unary(b"2"))
    assert hub.jobs is not None
    listeners = hub.jobs.listeners
    call = jobs.wait()
    await call.write(pb.WaitRequest(ids=[first, second]))
    await until(lambda: listeners.waits == 2)
    await call.write(pb.WaitRequest(forget=[first, "0" * 13]))
    await until(lambda: listeners.waits == 1)
    await call.write(pb.WaitRequest(forget=[second], ids=[second]))
    await call.done_writing()
    gate.opened.set()
    assert [job.id async for reply in call for job in reply.jobs] == [second]
    assert listeners.waits == 0


async def test_what_nobody_awaits_any_more_is_not_waited_for(stage: Stage, store: Path) -> None:
    gate = Gate()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, slots=3, UnaryCall=gate.handle)
    assert hub.jobs is not None
    listeners, stub = hub.jobs.listeners, stage.stub(hub.address)
    one, two = [await stub.UnaryCall.submit(UnaryRequest(body=body)) for body in (b"1", b"2")]
    twice = [asyncio.ensure_future(_await(one)) for _ in range(2)]
    once = asyncio.ensure_future(_await(two))
    await until(lambda: listeners.waits == 2)
    twice[0].cancel()
    once.cancel()
    await until(lambda: listeners.waits == 1)
    again = asyncio.ensure_future(_await(two))
    await until(lambda: listeners.waits == 2)
    gate.opened.set()
    assert [(await task).body for task in (twice[1], again)] == [b"1", b"2"]


async def _await(job: "portcall.Job[UnaryReply]") -> UnaryReply:
    return await job


async def test_a_timeout_ends_an_attempt(stage: Stage, store: Path) -> None:
    gate = Gate()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    jobs = jobs_of(stage, hub)
    for timeout_s in timeouts(lambda: bool(gate.begun)):
        [job] = await jobs.submit(unary(overrides=JobOverrides(attempts=1, timeout_s=timeout_s)))
        ended = await jobs.end(job)
        assert (ended.state, ended.status) == (FAILED, 4)
    await gate.when_cancelled()


async def test_an_attempt_whose_worker_leaves_without_a_word_is_repeated(stage: Stage, store: Path) -> None:
    gate = Gate()
    hub = await hub_with(stage, store, grace_s=0.0)
    proxy = await stage.proxy(hub.address)
    await stage.worker(proxy.address, name="lost", UnaryCall=gate.handle)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary(b"1", overrides=JobOverrides(backoff=Backoff(initial_s=0))))
    await gate.when_begun()
    proxy.cut()
    await stage.worker(hub.address, name="other", UnaryCall=echo)
    ended = await jobs.end(job)
    assert (ended.state, ended.attempt) == (SUCCEEDED, 2)
    row = await jobs.get(job)
    assert (row.failures, row.deaths) == (1, 1)


async def test_running_jobs_are_adopted_by_the_next_hub_and_not_run_again(stage: Stage, store: Path) -> None:
    gate = Gate()
    first = await hub_with(stage, store)
    await stage.worker(first.address, slots=10, UnaryCall=gate.handle)
    ids = await jobs_of(stage, first).submit(*(unary(b"%d" % body) for body in range(12)))
    await gate.when_begun(10)
    await first.stop()
    second = await hub_with(stage, store, listen=first.address)
    jobs = jobs_of(stage, second)
    rows = await jobs.get_all(pb.GetRequest(ids=ids))
    assert [job.state for job in rows.jobs] == [RUNNING] * 10 + [READY] * 2
    gate.opened.set()
    ended = await jobs.ended(ids)
    assert [UnaryReply.FromString(ended[job].reply).body for job in ids] == [b"%d" % body for body in range(12)]
    assert {job.attempt for job in ended.values()} == {1}
    assert sorted(gate.begun) == sorted(b"%d" % body for body in range(12))


async def test_a_stream_of_replies_is_stored_and_read_by_offset(stage: Stage, store: Path) -> None:
    source = Source(body_bytes=40_000)
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, StreamingOutputCall=source.handle)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(stream(b"50"))
    request = pb.ReadRepliesRequest(id=job, follow=True)
    followed = [reply async for reply in jobs.replies(request)]
    assert [reply.offset for reply in followed] == list(range(50))
    assert [number(StreamReply.FromString(reply.message)) for reply in followed] == list(range(50))
    row = await jobs.get(job)
    assert (row.state, row.replies, row.reply) == (SUCCEEDED, 50, b"")
    rest = [reply.offset async for reply in jobs.replies(pb.ReadRepliesRequest(id=job, offset=47))]
    assert rest == [47, 48, 49]


async def test_what_an_attempt_tells_is_watched_and_resumed(stage: Stage, store: Path) -> None:
    told, go_on = asyncio.Event(), asyncio.Event()

    async def tell(request: UnaryRequest, context: grpc.aio.ServicerContext) -> UnaryReply:
        job = portcall.current_job()
        job.log(20, "begun")
        await job.checkpoint(b"half way")
        told.set()
        await go_on.wait()
        return UnaryReply(body=job.last_checkpoint)

    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=tell)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary())
    events: list[pb.Event] = []
    async for event in jobs.events(job):
        events.append(event)
        if event.HasField("log"):
            await told.wait()
            go_on.set()
    assert [event.WhichOneof("event") for event in events] == ["state", "state", "log", "state"]
    assert [event.state for event in events if event.HasField("state")] == [READY, RUNNING, SUCCEEDED]
    assert events[2].log.text == "begun"
    numbers = [event.number for event in events]
    assert numbers == sorted(numbers)
    again = [event async for event in jobs.events(job, after=events[1].number)]
    assert again == events[2:]


async def test_a_later_attempt_begins_at_the_checkpoint(stage: Stage, store: Path) -> None:
    async def fail_once(request: UnaryRequest, context: grpc.aio.ServicerContext) -> UnaryReply:
        job = portcall.current_job()
        if job.last_checkpoint is None:
            await job.checkpoint(b"here")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "once")
        return UnaryReply(body=job.last_checkpoint)

    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=fail_once)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary(overrides=JobOverrides(backoff=Backoff(initial_s=0))))
    ended = await jobs.end(job)
    assert (ended.attempt, UnaryReply.FromString(ended.reply).body) == (2, b"here")


async def test_a_job_gets_its_metadata(stage: Stage, store: Path) -> None:
    async def tell(request: UnaryRequest, context: grpc.aio.ServicerContext) -> UnaryReply:
        return UnaryReply(body=dict(context.invocation_metadata())["x-site-bin"])

    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=tell)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary(metadata=[pb.MetadataEntry(key="x-site-bin", value=b"\xff")]))
    assert UnaryReply.FromString((await jobs.end(job)).reply).body == b"\xff"


async def test_jobs_are_listed_by_filters_page_by_page(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    jobs = jobs_of(stage, hub)
    ids = await jobs.submit(*(unary(labels={"n": str(n % 2)}, key=f"k{n}") for n in range(7)))
    first = await jobs.list(pb.ListRequest(method=UNARY, page_size=4))
    second = await jobs.list(pb.ListRequest(method=UNARY, page_size=4, page_token=first.page_token))
    assert [job.id for job in (*first.jobs, *second.jobs)] == ids[::-1]
    assert second.page_token == ""
    odd = await jobs.list(pb.ListRequest(label="n", label_value="1"))
    assert [job.key for job in odd.jobs] == ["k5", "k3", "k1"]
    assert [job.id for job in (await jobs.list(pb.ListRequest(method=UNARY, key="k2"))).jobs] == [ids[2]]


async def test_ended_jobs_are_purged_on_request(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=echo)
    jobs = jobs_of(stage, hub)
    done, waiting = await jobs.submit(unary(), unary(delay_s=3_600))
    await jobs.end(done)
    assert (await jobs.purge(pb.PurgeRequest(ids=[done, waiting]))).purged == 1
    assert [job.id for job in (await jobs.get_all(pb.GetRequest(ids=[done, waiting]))).jobs] == [waiting]
    gone = await jobs.end(done)
    assert (gone.state, gone.status) == (pb.JOB_STATE_UNSPECIFIED, 5)
    code, details = await status_of(jobs.watch(pb.WatchRequest(jobs=[pb.WatchRequest.From(id=done)])))
    assert (code, details) == (grpc.StatusCode.NOT_FOUND, f"there is no job {done} (any more)")


async def test_schedules_are_kept_triggered_and_removed(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=echo)
    jobs = jobs_of(stage, hub)
    spec = pb.ScheduleSpec(cron="0 3 1 1 *", job=unary(b"nightly"))
    put = await jobs.put_schedule(pb.PutScheduleRequest(name="report", spec=spec))
    assert (put.name, put.next_at > 0) == ("report", True)
    triggered = await jobs.trigger(pb.TriggerScheduleRequest(name="report"))
    ended = await jobs.end(triggered.jobs[0].id)
    assert UnaryReply.FromString(ended.reply).body == b"nightly"
    assert [one.name for one in (await jobs.schedules(pb.ListSchedulesRequest())).schedules] == ["report"]
    assert (await jobs.delete_schedule(pb.DeleteScheduleRequest(name="report"))).existed
    assert not (await jobs.delete_schedule(pb.DeleteScheduleRequest(name="report"))).existed
    code, _ = await status_of(jobs.trigger(pb.TriggerScheduleRequest(name="report")))
    assert code is grpc.StatusCode.NOT_FOUND


async def test_waiters_of_a_wait_that_is_given_up_are_forgotten(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    jobs = jobs_of(stage, hub)
    ids = await jobs.submit(unary(), unary())
    call = jobs.wait()
    await call.write(pb.WaitRequest(ids=ids))
    assert hub.jobs is not None
    listeners = hub.jobs.listeners
    await until(lambda: listeners.waits == 2)
    call.cancel()
    await until(lambda: listeners.waits == 0)


async def test_a_hub_that_drains_stores_what_ends_and_starts_nothing(stage: Stage, store: Path) -> None:
    gate = Gate()
    first = await hub_with(stage, store)
    await stage.worker(first.address, slots=1, UnaryCall=gate.handle)
    ids = await jobs_of(stage, first).submit(unary(b"1"), unary(b"2"))
    await gate.when_begun()
    stopping = asyncio.ensure_future(first.stop(grace_s=30.0))
    await asyncio.sleep(0)
    gate.opened.set()
    await stopping
    second = await hub_with(stage, store)
    rows = await jobs_of(stage, second).get_all(pb.GetRequest(ids=ids))
    assert [job.state for job in rows.jobs] == [SUCCEEDED, READY]
    assert gate.begun == [b"1"]


async def test_a_hub_that_drains_serves_calls_that_wait_beside_ready_jobs(stage: Stage, store: Path) -> None:
    gate = Gate()
    hub = await hub_with(stage, store, job_share=1)
    await stage.worker(hub.address, slots=1, UnaryCall=gate.handle)
    calls = [asyncio.ensure_future(_call(stage, hub.address)) for _ in range(2)]
    await gate.when_begun()
    board = hub._board.switchboard
    await until(lambda: board.calls_waiting == 1)
    await jobs_of(stage, hub).submit(unary(b"job"))
    await until(lambda: bool(board.sought))
    stopping = asyncio.ensure_future(hub.stop(grace_s=30.0))
    await until(lambda: board.is_closing)
    gate.opened.set()
    assert [(await call).body for call in calls] == [b"call", b"call"]
    await stopping
    assert gate.begun == [b"call", b"call"]
