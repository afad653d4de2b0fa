"""What a channel does when the hub goes at the worst moment: the service is scripted, so that it can."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

import portcall
from portcall.client.jobs import submitting, waiting

from .scripted import ScriptedJobs, until


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedJobs]:
    hub = ScriptedJobs()
    await hub.start()
    yield hub
    await hub.stop()


@pytest.fixture
async def channel(hub: ScriptedJobs) -> AsyncIterator[portcall.Channel]:
    async with portcall.Channel(hub.address) as channel:
        yield channel


@pytest.fixture
def method(channel: portcall.Channel) -> Any:
    return channel.unary_unary("/a.B/C")


@pytest.fixture
def stream(channel: portcall.Channel) -> Any:
    return channel.unary_stream("/a.B/S")


def die_once(hub: ScriptedJobs, method: str, after: int = 1) -> "asyncio.Task[None]":
    """Have the hub stop in the middle of the nth answer, and start again. The task ends when it has."""
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = after

    async def die(_: Any) -> None:
        nonlocal left
        left -= 1
        if left:
            return
        del hub.before_answer[method]
        gone.set_result(None)
        await asyncio.Event().wait()

    async def come_back() -> None:
        await gone
        await hub.stop()
        await hub.start()

    hub.before_answer[method] = die
    return asyncio.ensure_future(come_back())


async def test_without_a_key_nobody_can_know(hub: ScriptedJobs, method: Any) -> None:
    back = die_once(hub, "Submit")
    with pytest.raises(portcall.SubmitError, match=r"Nobody can know.*key") as raised:
        await method.submit(b"x")
    await back
    assert raised.value.is_unknown
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(hub.jobs) == 1


async def test_with_a_key_it_is_submitted_again(hub: ScriptedJobs, method: Any) -> None:
    back = die_once(hub, "Submit")
    job = await method.submit(b"x", key="k")
    await back
    assert job.existed
    assert (len(hub.jobs), hub.calls["Submit"]) == (1, 2)
    assert await job == b"x"


async def test_batches_with_keys_are_submitted_again(
    hub: ScriptedJobs, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "BATCH_JOBS", 10)
    back = die_once(hub, "Submit", after=3)
    jobs = await method.submit_many([b"%d" % number for number in range(100)], key=bytes.decode)
    await back
    assert len(hub.jobs) == 100
    assert [await job for job in jobs] == [b"%d" % number for number in range(100)]


async def test_batches_without_keys_say_which_are_unknown(
    hub: ScriptedJobs, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "BATCH_JOBS", 10)
    monkeypatch.setattr(submitting, "BATCHES_UNDER_WAY", 1)
    back = die_once(hub, "Submit", after=3)
    with pytest.raises(portcall.SubmitError, match="10 of 50") as raised:
        await method.submit_many([b"%d" % number for number in range(50)])
    await back
    unknown = [isinstance(each, portcall.SubmitError) and each.is_unknown for each in raised.value.results]
    assert unknown == [False] * 20 + [True] * 10 + [False] * 20


async def test_batches_are_bounded_in_bytes(hub: ScriptedJobs, method: Any) -> None:
    await method.submit_many([bytes(300_000)] * 7)
    assert hub.calls["Submit"] == 3
    await method.submit(bytes(3_000_000))


async def test_waiting_goes_on_with_the_next_hub(hub: ScriptedJobs, method: Any) -> None:
    hub.held.clear()
    jobs = await method.submit_many([b"%d" % number for number in range(100)])
    all_of_them = asyncio.gather(*jobs)
    back = die_once(hub, "Wait")
    await back
    hub.held.set()
    assert await all_of_them == [b"%d" % number for number in range(100)]
    assert hub.calls["Wait"] == 2


async def test_a_thousand_waits_are_one_stream(hub: ScriptedJobs, method: Any) -> None:
    jobs = await method.submit_many([b"%d" % number for number in range(1_000)])
    await asyncio.gather(*jobs)
    await asyncio.gather(*[method.job(job.id) for job in jobs])
    assert hub.calls["Wait"] == 1
    assert sum(hub.waited) == 2_000


async def test_jobs_awaited_in_turn_take_few_questions(hub: ScriptedJobs, method: Any) -> None:
    jobs = await method.submit_many([b"%d" % number for number in range(5_000)])
    for number, job in enumerate(jobs):
        assert await job == b"%d" % number
    assert sum(hub.waited) == 5_000
    assert len(hub.waited) < 20


async def test_no_more_is_held_than_was_looked_ahead_at(hub: ScriptedJobs, method: Any) -> None:
    hub.answer = lambda _: bytes(1_000_000)
    jobs = await method.submit_many([b"%d" % number for number in range(200)])
    for job in jobs[:100]:
        await job
    assert sum(hub.waited) < 100 + 3 * waiting.AHEAD_FIRST


async def test_a_refusal_ends_the_waiting(hub: ScriptedJobs, method: Any) -> None:
    async def refuse(context: Any) -> None:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    job = await method.submit(b"x")
    hub.before_answer["Wait"] = refuse
    with pytest.raises(grpc.aio.AioRpcError, match="not you"):
        await job
    del hub.before_answer["Wait"]
    assert await job == b"x", "who awaits again asks again"


async def test_events_go_on_where_they_were(hub: ScriptedJobs, method: Any) -> None:
    job = await method.submit(b"x")
    back = die_once(hub, "Watch", after=3)
    assert [event.number async for event in job.events()] == [1, 2, 3, 4, 5]
    await back
    assert hub.calls["Watch"] == 2


async def test_replies_go_on_where_they_were(hub: ScriptedJobs, stream: Any) -> None:
    job = await stream.submit(b"x")
    back = die_once(hub, "ReadReplies", after=3)
    assert [reply async for reply in job.replies()] == [b"x0", b"x1", b"x2", b"x3", b"x4"]
    await back
    assert hub.calls["ReadReplies"] == 2


async def test_a_silent_stream_is_asked_whether_there_is_a_hub(
    hub: ScriptedJobs, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TICK_S", 0.01)
    hub.held.clear()
    job = await method.submit(b"x")
    pending = asyncio.ensure_future(_result(job))

    async def fail(context: Any) -> None:
        hub.before_answer.clear()
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "nobody at home")

    await until(lambda: bool(hub.calls["Wait"]))
    hub.before_answer["Get"] = fail
    await until(lambda: hub.calls["Wait"] == 2)
    hub.held.set()
    assert await pending == b"x"


async def _result(job: Any) -> Any:
    return await job


async def test_a_stream_that_nobody_needs_is_ended(
    hub: ScriptedJobs, channel: portcall.Channel, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TICK_S", 0.01)
    await (await method.submit(b"x"))
    task = channel._session.jobs.waiter._task
    assert task is not None
    await asyncio.wait([task])
    assert await (await method.submit(b"y")) == b"y"
    assert hub.calls["Wait"] == 2


def test_errors_cross_to_another_process() -> None:
    error = portcall.JobError("0" * 13, 5, "gone")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.code(), copy.job_id) == (str(error), error.code(), error.job_id)
    refused = pickle.loads(pickle.dumps(portcall.SubmitError(grpc.StatusCode.ABORTED, "no", is_unknown=True)))
    assert (refused.code(), refused.details(), refused.is_unknown) == (grpc.StatusCode.ABORTED, "no", True)
