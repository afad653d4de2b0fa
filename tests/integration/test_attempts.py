"""Attempts at jobs over real links: what becomes of them when links, hubs and workers go."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
from interop.service import Context
from interop.timeouts import timeouts
from interop_pb2 import StreamReply, StreamRequest, UnaryReply, UnaryRequest

import portcall
from portcall.protos.job_ids import id_text
from portcall.protos.portcall.v1.link_pb2 import End
from portcall.worker.execution import Execution

from .jobs_by_hand import SERVICE, STREAM, JobsByHand
from .servicers import Gate, echo
from .stage import Stage, until

UNAVAILABLE: int = grpc.StatusCode.UNAVAILABLE.value[0]
CANCELLED: int = grpc.StatusCode.CANCELLED.value[0]
DEADLINE_EXCEEDED: int = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
UNIMPLEMENTED: int = grpc.StatusCode.UNIMPLEMENTED.value[0]


async def free_slots(jobs: JobsByHand, count: int) -> None:
    """Wait until so many slots are free."""
    await until(lambda: sum(free for _, free in jobs.board.switchboard.free_slots()) == count)


def held_by(worker: portcall.Worker) -> int:
    """How many attempts a worker holds."""
    assert worker._execution is not None
    return len(worker._execution.holding.named())


# --- running ----------------------------------------------------------------------------------------------------------


async def test_attempts_run_like_calls_and_take_their_slots(stage: Stage) -> None:
    hub = await stage.hub()
    jobs, gate = JobsByHand(hub), Gate()
    worker = await stage.worker(hub.address, slots=3, UnaryCall=gate.handle)
    one, many = jobs.open(body=b"1"), jobs.open_many([b"2", b"3", b"4"])
    assert many[2].lost == [False], "there were three slots"
    await gate.when_begun(3)
    gate.opened.set()
    await jobs.when_over(one, *many[:2])
    assert [attempt.body for attempt in (one, *many[:2])] == [b"1", b"2", b"3"]
    await free_slots(jobs, 3)
    assert held_by(worker) == 3
    jobs.record(one, *many[:2])
    await until(lambda: not held_by(worker))


async def test_calls_go_first_and_on_free_tells_what_they_leave(stage: Stage) -> None:
    hub = await stage.hub()
    jobs, gate = JobsByHand(hub), Gate()
    await stage.worker(hub.address, slots=1, UnaryCall=gate.handle)
    stub = stage.stub(hub.address)
    calls = [asyncio.ensure_future(stub.UnaryCall(UnaryRequest(body=b"%d" % number))) for number in range(2)]
    await until(lambda: jobs.board.switchboard.calls_waiting == 1)
    assert jobs.board.switchboard.free_slots() == []
    told = asyncio.Event()
    jobs.board.switchboard.on_free = told.set
    assert jobs.open().lost == [False]
    gate.opened.set()
    await asyncio.gather(*calls)
    await told.wait()
    await free_slots(jobs, 1)


async def test_an_attempt_knows_its_job(stage: Stage) -> None:
    seen: dict[str, Any] = {}

    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        job = portcall.current_job()
        assert job is not None
        inner = await asyncio.create_task(same_job())
        seen.update(id=job.id, attempt=job.attempt, last=job.last_checkpoint, inner=inner)
        seen["metadata"] = dict(context.invocation_metadata())
        return UnaryReply()

    async def same_job() -> bool:
        return portcall.current_job() is not None

    hub = await stage.hub()
    jobs = JobsByHand(hub)
    await stage.worker(hub.address, UnaryCall=handle)
    attempt = jobs.open(number=3, checkpoint=b"page 7")
    await jobs.when_over(attempt)
    text = id_text(attempt.job)
    metadata = {"portcall-job-id": text, "portcall-job-attempt": "3"}
    assert seen == {"id": text, "attempt": 3, "last": b"page 7", "inner": True, "metadata": metadata}
    assert portcall.current_job() is None


async def test_a_call_is_no_job(stage: Stage) -> None:
    jobs: list[object] = []

    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        jobs.append(portcall.current_job())
        return UnaryReply()

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=handle)
    await stage.stub(hub.address).UnaryCall(UnaryRequest())
    assert jobs == [None]


async def test_what_an_attempt_tells(stage: Stage) -> None:
    kept = asyncio.Event()

    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        job = portcall.current_job()
        assert job is not None
        for done in range(1_000):
            job.progress(done, 1_000, "pages")
        job.log(logging.INFO, "began")
        await job.checkpoint(b"half")
        kept.set()
        assert job.last_checkpoint == b"half"
        job.progress(1_000, 1_000)
        return UnaryReply()

    hub = await stage.hub()
    jobs = JobsByHand(hub)
    await stage.worker(hub.address, UnaryCall=handle)
    attempt = jobs.open()
    await until(lambda: bool(attempt.checkpoints))
    assert attempt.checkpoints == [b"half"]
    assert attempt.lines == ["began"]
    assert not kept.is_set()
    jobs.keep(attempt)
    await jobs.when_over(attempt)
    assert kept.is_set()
    assert (attempt.progress[0].done, attempt.progress[-1].done, attempt.progress[0].note) == (0, 1_000, "pages")
    assert len(attempt.progress) <= 3, "what comes faster than it can be read is told by its last word"


async def test_what_an_attempt_tells_from_a_thread(stage: Stage) -> None:
    log = logging.getLogger("test.of.jobs")
    handler = portcall.JobLogHandler()

    def handle(request: UnaryRequest, context: Any) -> UnaryReply:
        job = portcall.current_job()
        assert job is not None
        job.progress(1, 2)
        log.warning("in a thread, %d", 1)
        job.checkpoint_blocking(b"half")
        return UnaryReply(body=threading.current_thread().name.encode())

    hub = await stage.hub()
    jobs = JobsByHand(hub)
    await stage.worker(hub.address, UnaryCall=handle)
    log.addHandler(handler)
    try:
        attempt = jobs.open()
        await until(lambda: bool(attempt.checkpoints))
        jobs.keep(attempt)
        await jobs.when_over(attempt)
    finally:
        log.removeHandler(handler)
    assert attempt.body.startswith(b"portcall-handler")
    assert attempt.lines == ["in a thread, 1"]
    assert [progress.done for progress in attempt.progress] == [1]


async def test_a_job_is_one_request(stage: Stage) -> None:
    async def never(requests: AsyncIterator[StreamRequest], context: Context) -> AsyncIterator[StreamReply]:
        raise AssertionError("it was entered")
        yield StreamReply()

    hub = await stage.hub()
    jobs = JobsByHand(hub)
    await stage.worker(hub.address, FullDuplexCall=never)
    attempt = jobs.open(f"{SERVICE}/FullDuplexCall")
    await jobs.when_over(attempt)
    assert attempt.ends[0].status == UNIMPLEMENTED
    assert "takes a stream" in attempt.ends[0].details


async def test_a_cancelled_attempt_ends_when_its_worker_says_so(stage: Stage) -> None:
    hub = await stage.hub()
    jobs, gate = JobsByHand(hub), Gate()
    await stage.worker(hub.address, slots=1, UnaryCall=gate.handle)
    attempt = jobs.open()
    await gate.when_begun()
    jobs.cancel(attempt)
    await jobs.when_over(attempt)
    assert attempt.ends[0].status == CANCELLED
    await free_slots(jobs, 1)


async def test_the_worker_keeps_the_time_of_an_attempt(stage: Stage) -> None:
    hub = await stage.hub()
    jobs, gate = JobsByHand(hub), Gate()
    await stage.worker(hub.address, UnaryCall=gate.handle)
    for timeout_s in timeouts(lambda: bool(gate.begun)):
        attempt = jobs.open(timeout_s=timeout_s)
        await jobs.when_over(attempt)
        assert attempt.ends[0].status == DEADLINE_EXCEEDED
    await gate.when_cancelled()


# --- links and hubs that go -------------------------------------------------------------------------------------------


async def test_a_blip_is_no_matter(stage: Stage) -> None:
    hub = await stage.hub()
    jobs, gate = JobsByHand(hub), Gate()
    proxy = await stage.proxy(hub.address)
    await stage.worker(proxy.address, UnaryCall=gate.handle)
    attempt = jobs.open(body=b"1")
    await gate.when_begun()
    proxy.cut()
    gate.opened.set()
    await until(lambda: bool(gate.ended))
    proxy.restore()
    await jobs.when_over(attempt)
    assert attempt.body == b"1"
    assert gate.begun == [b"1"]
    assert not jobs.held


class Restarted:
    """A hub that is killed, and another that takes its place, for a worker behind a proxy."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def begin(self, **handlers: Any) -> None:
        hub = await self._stage.hub()
        self.before = JobsByHand(hub)
        self._proxy = await self._stage.proxy(hub.address)
        self.worker = await self._stage.worker(self._proxy.address, slots=4, **handlers)

    async def cut(self) -> None:
        self._proxy.cut()
        await until(lambda: self.worker._dialer.link.state.value == "suspended")  # type: ignore[union-attr]

    async def restart(self, **options: Any) -> JobsByHand:
        hub = await self._stage.hub()
        self.after = JobsByHand(hub, **options)
        self._proxy.target = hub.address
        self._proxy.cut()
        self._proxy.restore()
        return self.after


async def test_a_restarted_hub_adopts_what_runs(stage: Stage) -> None:
    gate, world = Gate(), Restarted(stage)
    await world.begin(UnaryCall=gate.handle)
    attempt = world.before.open(body=b"1")
    await gate.when_begun()
    jobs = await world.restart()
    await jobs.when_held()
    assert jobs.held == [(attempt.job, 1)]
    assert not gate.cancelled
    await free_slots(jobs, 3)
    gate.opened.set()
    adopted = jobs.by_job(attempt.job)
    await jobs.when_over(adopted)
    assert (adopted.body, gate.begun) == (b"1", [b"1"])
    await free_slots(jobs, 4)
    jobs.record(adopted)
    await until(lambda: not held_by(world.worker))


async def test_an_end_that_is_not_recorded_is_told_again(stage: Stage) -> None:
    world = Restarted(stage)
    await world.begin(UnaryCall=echo)
    recorded, unrecorded = world.before.open(body=b"1"), world.before.open(body=b"x" * 60_000)
    await world.before.when_over(recorded, unrecorded)
    world.before.record(recorded)
    await until(lambda: held_by(world.worker) == 1)
    jobs = await world.restart()
    await jobs.when_held()
    assert jobs.held == [(unrecorded.job, 1)]
    adopted = jobs.by_job(unrecorded.job)
    await jobs.when_over(adopted)
    assert adopted.body == b"x" * 60_000
    await free_slots(jobs, 4)


async def test_what_a_hub_does_not_want_is_stopped_and_forgotten(stage: Stage) -> None:
    gate, world = Gate(), Restarted(stage)
    await world.begin(UnaryCall=gate.handle)
    world.before.open(body=b"1")
    await gate.when_begun()
    jobs = await world.restart(adopts=False)
    await jobs.when_held()
    await gate.when_cancelled()
    await until(lambda: not held_by(world.worker))
    assert not jobs.attempts
    await free_slots(jobs, 4)


async def test_a_hub_without_jobs_releases_what_it_does_not_know(stage: Stage) -> None:
    gate, world = Gate(), Restarted(stage)
    await world.begin(UnaryCall=gate.handle)
    world.before.open(body=b"1")
    await gate.when_begun()
    jobs = await world.restart()
    jobs.board.on_held = None
    await gate.when_cancelled()
    await until(lambda: not held_by(world.worker))


async def test_a_calls_session_ends_and_an_attempt_goes_on(stage: Stage) -> None:
    gate, world = Gate(), Restarted(stage)
    await world.begin(UnaryCall=gate.handle)
    call = stage.stub(world._proxy.target).UnaryCall(UnaryRequest(body=b"call"))
    attempt = world.before.open(body=b"job")
    await gate.when_begun(2)
    jobs = await world.restart()
    await gate.when_cancelled()
    assert gate.cancelled == [b"call"]
    call.cancel()
    await jobs.when_held()
    gate.opened.set()
    await jobs.when_over(jobs.by_job(attempt.job))


async def test_a_large_reply_is_sent_anew_from_its_beginning(stage: Stage) -> None:
    body = bytes(range(256)) * 4_096

    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=body)

    world = Restarted(stage)
    await world.begin(UnaryCall=handle)
    attempt = world.before.open()
    await world.before.when_over(attempt)
    jobs = await world.restart()
    await jobs.when_held()
    adopted = jobs.by_job(attempt.job)
    await jobs.when_over(adopted)
    assert adopted.body == body


async def test_a_stream_goes_on_behind_what_the_hub_has_kept(stage: Stage) -> None:
    opened = asyncio.Event()

    async def handle(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        for number in range(10):
            yield StreamReply(body=b"%d" % number * 9_000)
            if number == 5:
                await opened.wait()

    def numbers(replies: list[bytes]) -> list[int]:
        return [int(StreamReply.FromString(reply).body[:1]) for reply in replies]

    world = Restarted(stage)
    await world.begin(StreamingOutputCall=handle)
    attempt = world.before.open(STREAM)
    await until(lambda: len(attempt.replies) == 6)
    world.before.keep(attempt, replies=4)
    jobs = await world.restart()
    jobs.known[attempt.job, 1] = 4
    await jobs.when_held()
    adopted = jobs.by_job(attempt.job)
    await until(lambda: len(adopted.replies) == 2)
    opened.set()
    await jobs.when_over(adopted)
    assert numbers(adopted.replies) == [4, 5, 6, 7, 8, 9]


async def test_a_stream_waits_for_what_is_kept(stage: Stage) -> None:
    written = 0

    async def handle(request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        nonlocal written
        for _ in range(40):
            yield StreamReply(body=b"x" * 30_000)
            written += 1

    hub = await stage.hub()
    jobs = JobsByHand(hub)
    await stage.worker(hub.address, StreamingOutputCall=handle)
    attempt = jobs.open(STREAM)
    # Nothing is kept, so no more than a window and a message on either side is written.
    await until(lambda: len(attempt.replies) >= 262_144 // 30_000)
    assert written <= (262_144 + 65_536) // 30_000 + 2
    keeping = asyncio.create_task(until(lambda: jobs.keep(attempt) or attempt.is_over))
    await jobs.when_over(attempt)
    await keeping
    assert len(attempt.replies) == 40


async def test_a_checkpoint_waits_for_the_hub_to_come_back(stage: Stage) -> None:
    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        job = portcall.current_job()
        assert job is not None
        await job.checkpoint(b"one")
        await job.checkpoint(b"two")
        return UnaryReply(body=b"done")

    world = Restarted(stage)
    await world.begin(UnaryCall=handle)
    attempt = world.before.open()
    await until(lambda: bool(attempt.checkpoints))
    jobs = await world.restart()
    await jobs.when_held()
    adopted = jobs.by_job(attempt.job)
    for count, state in ((1, b"one"), (2, b"two")):
        await until(lambda count=count: len(adopted.checkpoints) == count)  # type: ignore[misc]
        assert adopted.checkpoints[-1] == state
        jobs.keep(adopted)
    await jobs.when_over(adopted)
    assert adopted.body == b"done"


async def test_a_blocking_stream_outlives_its_hub(stage: Stage) -> None:
    opened = threading.Event()

    def handle(request: StreamRequest, context: Any) -> Iterator[StreamReply]:
        yield StreamReply(body=b"0")
        opened.wait(30)
        yield StreamReply(body=b"1")

    world = Restarted(stage)
    await world.begin(StreamingOutputCall=handle)
    attempt = world.before.open(STREAM)
    await until(lambda: len(attempt.replies) == 1)
    jobs = await world.restart()
    await jobs.when_held()
    opened.set()
    adopted = jobs.by_job(attempt.job)
    await jobs.when_over(adopted)
    assert [StreamReply.FromString(reply).body for reply in adopted.replies] == [b"0", b"1"]


async def test_an_attempt_that_outlived_the_grace_of_a_hub_moves_to_the_new_session(stage: Stage) -> None:
    """The worker's session is over on its side alone: the hub still waits for it, and then it is there again."""
    hub = await stage.hub()
    jobs, gate = JobsByHand(hub), Gate()
    proxy = await stage.proxy(hub.address)
    worker = await stage.worker(proxy.address, slots=2, UnaryCall=gate.handle)
    attempt = jobs.open(body=b"1")
    await gate.when_begun()
    assert worker._dialer is not None
    proxy.cut()
    await until(lambda: worker._dialer.link.state.value == "suspended")  # type: ignore[union-attr]
    worker._dialer._lose_session("the grace period is over")
    proxy.restore()
    # As a hub's jobs would: the call that it has goes on, on the new session.
    jobs.board.on_held = lambda port, held: jobs.board.switchboard.adopt(
        jobs.port, attempt.call_id, port, attempt.job, attempt.number
    )
    gate.opened.set()
    await jobs.when_over(attempt)
    assert (attempt.body, attempt.lost) == (b"1", [])


# --- workers that go --------------------------------------------------------------------------------------------------


async def test_a_lost_worker_loses_its_attempts(stage: Stage) -> None:
    hub = await stage.hub(grace_s=0.05)
    jobs, gate = JobsByHand(hub), Gate()
    proxy = await stage.proxy(hub.address)
    await stage.worker(proxy.address, UnaryCall=gate.handle)
    attempt = jobs.open()
    await gate.when_begun()
    proxy.cut()
    await jobs.when_over(attempt)
    assert attempt.lost == [True]


async def test_a_draining_worker_finishes_what_runs_and_waits_for_the_record(stage: Stage) -> None:
    hub = await stage.hub()
    jobs, gate = JobsByHand(hub), Gate()
    worker = await stage.worker(hub.address, UnaryCall=gate.handle)
    attempt = jobs.open(body=b"1")
    await gate.when_begun()
    stopping = asyncio.create_task(worker.stop(30.0))
    gate.opened.set()
    await jobs.when_over(attempt)
    assert attempt.body == b"1"
    assert not stopping.done()
    jobs.record(attempt)
    await stopping


async def test_a_worker_that_stops_for_good_fails_what_still_runs(stage: Stage) -> None:
    hub = await stage.hub()
    jobs, gate = JobsByHand(hub), Gate()
    worker = await stage.worker(hub.address, UnaryCall=gate.handle)
    attempt = jobs.open()
    await gate.when_begun()
    await worker.stop()
    await jobs.when_over(attempt)
    (end,) = attempt.ends
    assert (end.status, end.details) == (UNAVAILABLE, "The worker was stopped while it ran this job")
    assert end.cause == End.CAUSE_UNSPECIFIED


async def test_a_worker_that_stops_says_so_of_a_thread_that_goes_on(stage: Stage) -> None:
    opened = threading.Event()

    def handle(request: UnaryRequest, context: Any) -> UnaryReply:
        loop.call_soon_threadsafe(begun.set)
        opened.wait(30)
        return UnaryReply()

    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    hub = await stage.hub()
    jobs = JobsByHand(hub)
    worker = await stage.worker(hub.address, UnaryCall=handle)
    attempt = jobs.open()
    await begun.wait()
    await worker.stop()
    await jobs.when_over(attempt)
    opened.set()
    assert isinstance(worker._execution, Execution)
    await worker._execution.wait_quiet()
    await worker._execution.close()
    assert attempt.ends[0].status == UNAVAILABLE
