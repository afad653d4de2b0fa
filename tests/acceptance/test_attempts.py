"""Attempts at jobs in the processes of a worker: what becomes of them when a process, the worker or the hub goes."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import psutil
import pytest
from integration.jobs_by_hand import Attempt, JobsByHand
from integration.stage import until
from interop.timeouts import timeouts

from portcall.core.limits import CallLimits
from portcall.hub import Hub, HubConfig

from .processes import Processes, WorkerProcess
from .test_supervisor import Pipe, when_gone

UNAVAILABLE: int = grpc.StatusCode.UNAVAILABLE.value[0]
DEADLINE_EXCEEDED: int = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]

FAST = ("--blocked-after", "1")


class Port:
    """A hub in this process, whose jobs a test moves by hand, and a worker in two processes of two slots."""

    def __init__(self, processes: Processes, exits: AsyncExitStack) -> None:
        self._processes = processes
        self._exits = exits

    async def open(self, *arguments: str) -> None:
        self.jobs = await self._hub("127.0.0.1:0")
        place: Any = SimpleNamespace(address=self._address)
        self.worker: WorkerProcess = await self._processes.worker(
            "errands", place, "--processes", "2", *FAST, *arguments
        )
        await self.when_free(4)

    async def restart_hub(self) -> JobsByHand:
        """End the hub, and start another at its address that knows of nothing but jobs."""
        await self._hub_now.stop()
        self.jobs = await self._hub(self._address)
        return self.jobs

    async def when_free(self, slots: int) -> None:
        await until(lambda: sum(free for _, free in self.jobs.board.switchboard.free_slots()) == slots)

    def attempt(self, method: str, request: bytes = b"", **options: Any) -> Attempt:
        return self.jobs.open(f"/acceptance.Errands/{method}", request=request, **options)

    async def _hub(self, listen: str) -> JobsByHand:
        config = HubConfig(listen=listen, limits=CallLimits(settle_s=0.0))
        self._hub_now = await self._exits.enter_async_context(Hub(config))
        self._address = self._hub_now.address
        return JobsByHand(self._hub_now)


@pytest.fixture
async def port(processes: Processes) -> AsyncIterator[Port]:
    async with AsyncExitStack() as exits:
        yield Port(processes, exits)


async def process_of(attempt: Attempt) -> int:
    """The process that runs an attempt; it has told by then."""
    await until(lambda: bool(attempt.progress or attempt.lines))
    return int(attempt.progress[0].note if attempt.progress else attempt.lines[0])


async def test_a_killed_process_takes_the_attempts_that_it_ran(port: Port, tmp_path: Path) -> None:
    await port.open()
    pipe = Pipe(tmp_path)
    attempts = [port.attempt("Wait", pipe.request) for _ in range(4)]
    pids = [await process_of(attempt) for attempt in attempts]
    assert len(set(pids)) == 2
    os.kill(pids[0], signal.SIGKILL)
    taken = [attempt for attempt, pid in zip(attempts, pids, strict=True) if pid == pids[0]]
    await port.jobs.when_over(*taken)
    assert [attempt.lost for attempt in taken] == [[True], [True]]
    await port.worker.line(rf"Process {pids[0]} was killed by SIGKILL")
    await port.when_free(2)
    rest = [attempt for attempt in attempts if attempt not in taken]
    assert not any(attempt.is_over for attempt in rest)
    for attempt in rest:
        port.jobs.cancel(attempt)
    await port.jobs.when_over(*rest)


async def test_what_a_killed_process_had_not_begun_is_handed_back_and_costs_no_attempt(
    port: Port, tmp_path: Path
) -> None:
    await port.open()
    frozen, alive = (child.pid for child in psutil.Process(port.worker.pid).children())
    os.kill(frozen, signal.SIGSTOP)
    pipe = Pipe(tmp_path)
    attempts = [port.attempt("Wait", pipe.request) for _ in range(4)]
    await until(lambda: sum(bool(attempt.progress) for attempt in attempts) == 2)
    begun = [attempt for attempt in attempts if attempt.progress]
    waiting = [attempt for attempt in attempts if attempt not in begun]
    os.kill(frozen, signal.SIGKILL)
    await port.jobs.when_over(*waiting)
    assert [attempt.lost for attempt in waiting] == [[False], [False]], "the worker says that it had not begun them"
    assert {await process_of(attempt) for attempt in begun} == {alive}
    for attempt in begun:
        port.jobs.cancel(attempt)
    await port.jobs.when_over(*begun)


async def test_attempts_in_processes_outlive_the_hub(port: Port, tmp_path: Path) -> None:
    await port.open()
    pipes = [Pipe(tmp_path, name) for name in ("one", "two")]
    waiting, saving = port.attempt("Wait", pipes[0].request), port.attempt("Save", pipes[1].request)
    pid = await process_of(waiting)
    await until(lambda: bool(saving.checkpoints))
    jobs = await port.restart_hub()
    await jobs.when_held(2)
    waiting, saving = jobs.by_job(waiting.job), jobs.by_job(saving.job)
    await until(lambda: bool(saving.checkpoints))
    assert (saving.replies, saving.checkpoints) == ([b"one"], [b"after one"])
    jobs.keep(saving)
    for pipe in pipes:
        await pipe.release()
    await jobs.when_over(waiting, saving)
    assert waiting.ends[0].message == b"released"
    assert saving.replies == [b"one", b"released", b"x" * 200_000]
    assert psutil.pid_exists(pid)
    await port.when_free(4)
    jobs.record(waiting, saving)
    port.worker.terminate()
    assert await port.worker.wait() == 0


async def test_an_end_outlives_the_process_that_it_came_from(port: Port, tmp_path: Path) -> None:
    await port.open()
    pipe = Pipe(tmp_path)
    attempt = port.attempt("Wait", pipe.request)
    pid = await process_of(attempt)
    await pipe.release()
    await port.jobs.when_over(attempt)
    os.kill(pid, signal.SIGKILL)
    await port.worker.line(rf"Process {pid} was killed by SIGKILL")
    jobs = await port.restart_hub()
    await jobs.when_held()
    adopted = jobs.by_job(attempt.job)
    await jobs.when_over(adopted)
    assert adopted.ends[0].message == b"released"


async def test_code_that_does_not_stop_in_time_costs_its_process(port: Port) -> None:
    await port.open("--hang-limit", "0.3")
    attempts: list[Attempt] = []
    for timeout_s in timeouts(lambda: bool(attempts and attempts[-1].lines)):
        attempts.append(port.attempt("Hang", timeout_s=timeout_s))
        await until(lambda: bool(attempts[-1].lines or attempts[-1].is_over))
    attempt = attempts[-1]
    pid = await process_of(attempt)
    await port.worker.line(rf"Process {pid} still hangs in 1 call, and runs nothing else: killing it")
    await port.jobs.when_over(attempt)
    (end,) = attempt.ends
    assert end.status == DEADLINE_EXCEEDED
    assert "told to stop" in end.details
    await when_gone({pid})
    await port.when_free(4)


async def test_a_replaced_process_gives_its_attempts_a_reason_to_be_tried_again(port: Port, tmp_path: Path) -> None:
    await port.open("--grace", "0.2")
    pipe = Pipe(tmp_path)
    attempt = port.attempt("Wait", pipe.request)
    pid = await process_of(attempt)
    os.kill(pid, signal.SIGTERM)
    await port.jobs.when_over(attempt)
    (end,) = attempt.ends
    assert end.status == UNAVAILABLE
    assert f"(process {pid}) was replaced while it ran this job" in end.details


async def test_a_drained_worker_lets_attempts_finish_and_waits_for_their_record(port: Port, tmp_path: Path) -> None:
    await port.open()
    pipe = Pipe(tmp_path)
    attempt = port.attempt("Wait", pipe.request)
    await process_of(attempt)
    port.worker.terminate()
    await until(lambda: not port.jobs.board.switchboard.free_slots())
    await pipe.release()
    await port.jobs.when_over(attempt)
    assert attempt.ends[0].message == b"released"
    port.jobs.record(attempt)
    assert await port.worker.wait() == 0


async def test_a_worker_that_is_stopped_says_so_of_what_runs(port: Port, tmp_path: Path) -> None:
    await port.open("--grace", "0.2")
    attempt, hanging = port.attempt("Wait", Pipe(tmp_path).request), port.attempt("Hang")
    await process_of(attempt)
    await process_of(hanging)
    port.worker.terminate()
    await port.jobs.when_over(attempt, hanging)
    for one in (attempt, hanging):
        assert [(end.status, end.details) for end in one.ends] == [
            (UNAVAILABLE, "The worker was stopped while it ran this job")
        ]
    await port.worker.wait()
