"""Jobs from a stub, with a real hub: submitted, awaited, watched, cancelled, and over the loss of whatever there is."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

import portcall
from portcall.jobs import AttemptEnded, JobState, Progressed, StateChanged
from portcall.testing import Fleet

from .ports import Dock, Manifest, PortStub, Refusal, WatchRequest, add


@pytest.fixture
async def dock(portcall_fleet: Fleet) -> Dock:
    dock = Dock()
    await portcall_fleet.serve(add, dock)
    return dock


@pytest.fixture
def stub(portcall_fleet: Fleet, dock: Dock) -> Any:
    return PortStub(portcall_fleet.channel())


def manifests(count: int) -> list[Manifest]:
    return [Manifest(string_value=f"{number}") for number in range(count)]


async def test_a_job_gives_the_reply_of_its_method(stub: Any) -> None:
    job = await stub.Inspect.submit(Manifest(string_value="a"))
    assert (await job).string_value == "a"
    assert (await job).string_value == "a"
    assert (await stub.Inspect.job(job.id)).string_value == "a"


async def test_a_job_fails_with_the_status_of_its_method(stub: Any) -> None:
    job = await stub.Refuse.submit(Refusal(code=grpc.StatusCode.NOT_FOUND.value[0], details="no berth"))
    with pytest.raises(portcall.JobError, match="no berth") as raised:
        await job
    error = raised.value
    assert isinstance(error, grpc.aio.AioRpcError)
    assert (error.code(), error.details(), error.job_id) == (grpc.StatusCode.NOT_FOUND, "no berth", job.id)
    assert set(error.trailing_metadata()) >= {("why", "because"), ("why-bin", b"\x00\xff")}


async def test_many_jobs_come_back_in_the_order_of_the_requests(stub: Any) -> None:
    jobs = await stub.Inspect.submit_many(manifests(5_000))
    assert [(await job).string_value for job in jobs] == [f"{number}" for number in range(5_000)]
    again = await asyncio.gather(*[stub.Inspect.job(job.id) for job in jobs[:100]])
    assert [reply.string_value for reply in again] == [f"{number}" for number in range(100)]


async def test_the_same_key_is_the_same_job(stub: Any, dock: Dock) -> None:
    first = await stub.Inspect.submit(Manifest(string_value="a"), key="k")
    second = await stub.Inspect.submit(Manifest(string_value="b"), key="k")
    assert (first.existed, second.existed) == (False, True)
    assert first.id == second.id
    assert (await second).string_value == "a"
    with pytest.raises(portcall.SubmitError) as raised:
        await stub.Inspect.submit(Manifest(), key="k", on_duplicate="refuse")
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert not raised.value.is_unknown
    keyed = await stub.Inspect.submit_many(manifests(3), key=lambda manifest: f"key {manifest.string_value}")
    assert [(await job.status()).key for job in keyed] == ["key 0", "key 1", "key 2"]
    assert dock.begun.count("b") == 0


async def test_what_is_refused_is_told_and_the_others_are_stored(stub: Any) -> None:
    def key(manifest: Manifest) -> str:
        return "x" * 1_000 if manifest.string_value == "1" else manifest.string_value

    with pytest.raises(portcall.SubmitError, match="1 of 3 jobs were not submitted") as raised:
        await stub.Inspect.submit_many(manifests(3), key=key)
    first, refused, third = raised.value.results
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [(await job).string_value for job in (first, third)] == ["0", "2"]
    found = await stub.Inspect.submit_many(manifests(3), key=key, return_exceptions=True)
    assert [type(each) for each in found] == [portcall.Job, portcall.SubmitError, portcall.Job]


async def test_delays_are_those_of_the_clock(portcall_fleet: Fleet, stub: Any, dock: Dock) -> None:
    now = portcall_fleet.clock.now
    jobs = [
        await stub.Inspect.submit(Manifest(), delay=3_600),
        await stub.Inspect.submit(Manifest(), delay=timedelta(hours=1)),
        await stub.Inspect.submit(Manifest(), at=now + timedelta(hours=1)),
        await stub.Inspect.submit(Manifest(), at=now.timestamp() + 3_600),
    ]
    for job in jobs:
        status = await job.status()
        assert status.state is JobState.SCHEDULED
        assert status.due_at.tzinfo is UTC
        assert not status.has_ended
    assert not dock.begun
    portcall_fleet.clock.advance(3_601)
    await asyncio.gather(*jobs)


async def test_a_failed_attempt_is_repeated_after_its_back_off(portcall_fleet: Fleet, stub: Any, dock: Dock) -> None:
    dock.failures_left = 2
    job = await stub.Inspect.submit(Manifest(), attempts=3, backoff={"initial_s": 600, "max_s": 600, "jitter": 0})
    seen = []
    async for event in job.events():
        seen.append(event)
        if isinstance(event, AttemptEnded):
            assert (event.code, event.details) == (grpc.StatusCode.UNAVAILABLE, "not now")
            portcall_fleet.clock.advance(601)
    assert dock.attempts == [1, 2, 3]
    assert [event.state for event in seen if isinstance(event, StateChanged)] == [
        JobState.READY,
        JobState.RUNNING,
        JobState.RUNNING,
        JobState.RUNNING,
        JobState.SUCCEEDED,
    ]
    assert {event.note for event in seen if isinstance(event, Progressed)} == {"half way"}
    numbers = [event.number for event in seen]
    assert numbers == sorted(set(numbers))
    assert [event.number async for event in job.events(after=numbers[3])] == numbers[4:]


async def test_status_says_what_was_submitted(stub: Any) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    parent = await stub.Inspect.submit(Manifest(), key="first")
    job = await stub.Inspect.submit(
        Manifest(), after=[parent], labels={"run": "7"}, priority=-5, keep=timedelta(days=2)
    )
    await job
    status = await job.status()
    assert (status.state, status.labels, status.priority) == (JobState.SUCCEEDED, {"run": "7"}, -5)
    assert status.method == "harbour.Port/Inspect"
    assert status.has_ended
    assert before < status.submitted_at
    assert status.ended_at is not None
    assert status.expires_at == status.ended_at + timedelta(days=2)


async def test_cancelling_ends_the_handler(stub: Any, dock: Dock) -> None:
    dock.opened.clear()
    job = await stub.Inspect.submit(Manifest())
    await dock.when_begun(1)
    assert await job.cancel() in {JobState.CANCELLING, JobState.CANCELLED}
    with pytest.raises(portcall.JobError) as raised:
        await job
    assert raised.value.code() is grpc.StatusCode.CANCELLED


async def test_a_job_that_is_not_there_says_so(stub: Any) -> None:
    ghost = stub.Inspect.job("0" * 12 + "1")
    for ask in (ghost, ghost.status(), ghost.cancel(), anext(ghost.events())):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await ask
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Inspect.job("nonsense")
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_handle_of_another_method_is_refused(stub: Any) -> None:
    job = await stub.Inspect.submit(Manifest())
    with pytest.raises(portcall.JobError, match=r"a job of harbour\.Port/Inspect"):
        await stub.Refuse.job(job.id)


async def test_stored_replies_are_followed_and_resumed_by_offset(stub: Any, dock: Dock) -> None:
    dock.opened.clear()
    job = await stub.Watch.submit(WatchRequest(count=5))
    replies = job.replies()
    following = asyncio.ensure_future(anext(replies))
    dock.opened.set()
    assert (await following).number == 0
    assert [reply.number async for reply in replies] == [1, 2, 3, 4]
    assert [reply.number async for reply in stub.Watch.job(job.id).replies(3)] == [3, 4]
    assert await job is None
    assert (await job.status()).replies == 5


async def test_waiting_and_watching_survive_a_restart_of_the_hub(portcall_fleet: Fleet, stub: Any, dock: Dock) -> None:
    dock.opened.clear()
    jobs = await stub.Inspect.submit_many(manifests(50))
    waiting = asyncio.gather(*jobs)
    watching = asyncio.ensure_future(_last_state(jobs[0]))
    await dock.when_begun(50)
    await portcall_fleet.restart_hub()
    dock.opened.set()
    assert [reply.string_value for reply in await waiting] == [f"{number}" for number in range(50)]
    assert await watching is JobState.SUCCEEDED
    assert sorted(dock.attempts) == [1] * 50, "an attempt whose worker lives is not made again"


async def _last_state(job: Any) -> JobState:
    events = [event async for event in job.events() if isinstance(event, StateChanged)]
    return events[-1].state


async def test_submitting_waits_for_a_hub_that_is_away(portcall_fleet: Fleet, stub: Any) -> None:
    await portcall_fleet.stop_hub()
    submitting = asyncio.ensure_future(stub.Inspect.submit(Manifest(string_value="a")))
    with pytest.raises(portcall.SubmitError) as raised:
        await stub.Inspect.submit(Manifest(), timeout=0.01)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert not raised.value.is_unknown
    await portcall_fleet.start_hub()
    assert (await (await submitting)).string_value == "a"


async def test_a_worker_that_is_lost_is_replaced(portcall_fleet: Fleet) -> None:
    first, second = Dock(), Dock()
    first.opened.clear()
    stub: Any = PortStub(portcall_fleet.channel())
    lost = await portcall_fleet.serve(add, first)
    job = await stub.Inspect.submit(Manifest(string_value="a"), backoff={"initial_s": 0, "max_s": 0})
    await first.when_begun(1)
    await portcall_fleet.serve(add, second)
    await lost.kill()
    assert (await job).string_value == "a"
    status = await job.status()
    assert (second.attempts, status.failures, status.deaths) == ([2], 1, 1)


async def test_a_link_that_is_cut_costs_no_attempt(portcall_fleet: Fleet, dock: Dock) -> None:
    stub: Any = PortStub(portcall_fleet.channel())
    worker = await portcall_fleet.serve(add, Dock())
    dock.opened.clear()
    job = await stub.Inspect.submit(Manifest())
    worker.wire.cut()
    portcall_fleet.client_wire.cut()
    waiting = asyncio.ensure_future(_result(job))
    worker.wire.restore()
    portcall_fleet.client_wire.restore()
    dock.opened.set()
    await waiting
    assert (await job.status()).attempt == 1


async def _result(job: Any) -> Any:
    return await job


async def test_jobs_of_a_job_are_its_children(portcall_fleet: Fleet) -> None:
    class Parent(Dock):
        async def Inspect(self, request: Manifest, context: Any) -> Manifest:
            if request.string_value == "child":
                self.begun.append("child")
                return request
            job = portcall.current_job()
            assert job is not None
            child = await stub.Inspect.submit(Manifest(string_value="child"), step="one")
            self.parents.append(job.id)
            reply = await child
            if job.attempt == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "once more")
            return Manifest(string_value=f"{reply.string_value} {child.existed}", note=child.id)

    parent = Parent()
    await portcall_fleet.serve(add, parent)
    stub: Any = PortStub(portcall_fleet.channel())
    job = await stub.Inspect.submit(Manifest(), backoff={"initial_s": 0, "max_s": 0})
    reply = await job
    assert reply.string_value == "child True"
    assert parent.begun == ["child"], "a step that is done is not done again"
    status = await stub.Inspect.job(reply.note).status()
    assert (status.parent, status.step) == (job.id, "one")
    assert parent.parents == [job.id, job.id]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"step": "one"}, "runs in no job"),
        ({"priority": 1 << 40}, "priority"),
        ({"backoff": {"initial": 1}}, "initial"),
        ({"on_duplicate": "maybe"}, "maybe"),
        ({"metadata": (("Not A Key", "x"),)}, "metadata"),
    ],
)
async def test_options_that_cannot_be_are_named(stub: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(portcall.ConfigurationError, match=words):
        await stub.Inspect.submit(Manifest(), **options)


async def test_unknown_options_are_named(stub: Any) -> None:
    with pytest.raises(TypeError, match="dealy"):
        await stub.Inspect.submit(Manifest(), dealy=3)
    with pytest.raises(TypeError, match="functions"):
        await stub.Inspect.submit_many([Manifest()], key="k")


async def test_metadata_reaches_the_handler(portcall_fleet: Fleet) -> None:
    class Told(Dock):
        async def Inspect(self, request: Manifest, context: Any) -> Manifest:
            return Manifest(string_value=dict(context.invocation_metadata())["x-tenant"])

    await portcall_fleet.serve(add, Told())
    stub: Any = PortStub(portcall_fleet.channel())
    assert (await (await stub.Inspect.submit(Manifest(), metadata=(("x-tenant", "acme"),)))).string_value == "acme"


async def test_a_closed_channel_ends_the_waiting(portcall_fleet: Fleet, dock: Dock) -> None:
    dock.opened.clear()
    channel = portcall_fleet.channel()
    stub: Any = PortStub(channel)
    job = await stub.Inspect.submit(Manifest())
    waiting = asyncio.ensure_future(_result(job))
    await dock.when_begun(1)
    await channel.close()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await waiting
    assert raised.value.code() is grpc.StatusCode.CANCELLED
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Inspect.submit(Manifest())


async def test_giving_up_a_wait_leaves_the_job_and_other_waits(stub: Any, dock: Dock) -> None:
    dock.opened.clear()
    job = await stub.Inspect.submit(Manifest())
    impatient, patient = asyncio.ensure_future(_result(job)), asyncio.ensure_future(_result(job))
    await dock.when_begun(1)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    dock.opened.set()
    await patient


@pytest.mark.portcall(store=False)
async def test_a_hub_without_a_store_says_how_to_get_one(stub: Any) -> None:
    with pytest.raises(portcall.SubmitError, match="--store") as raised:
        await stub.Inspect.submit(Manifest())
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.aio.AioRpcError, match="--store"):
        await stub.Inspect.job("0" * 13)
