"""Has jobs on a blocking channel, in the way that the first argument names: with forks, with threads, interrupted."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import grpc
from programs.cargo import Cargo, say
from programs.forking import got, in_child

import portcall

_, way, address, gate = sys.argv
channel = portcall.sync.Channel(address)
stub: Any = Cargo(channel)
hold_once: Any = channel.unary_unary("/acceptance.Errands/Wait")
HOLD = gate.encode()


def let_go() -> None:
    """Let a job end that holds on: its handler has opened the named pipe."""
    Path(gate).write_bytes(b"released")


def results_in_children() -> None:
    """A handle is good in a child: it asks and waits there by a connection of the child's own."""
    held, echoed = hold_once.submit(HOLD), stub.Echo.submit(b"1")
    got("parent", echoed.result())

    def use() -> None:
        got("child", echoed.result())
        got("child", stub.Echo.submit(b"2").result())
        got("child", stub.Echo.job(echoed.id).result())
        say(f"child sees {held.status().has_ended}")
        let_go()
        got("child", held.result())

    in_child(use)
    got("parent", held.result())
    got("parent", stub.Echo.submit(b"3").result())


def results_before_any() -> None:
    """The parent has handles by their ids alone, and has asked nothing."""
    job_id = stub.Echo.submit(b"1").id
    with portcall.sync.Channel(address) as other:
        job = Cargo(other).Echo.job(job_id)
        in_child(lambda: got("child", job.result()))
        got("parent", job.result())


def waits_under_way() -> None:
    """Threads of the parent wait and submit all the while."""
    held = hold_once.submit(HOLD)
    is_over = threading.Event()
    rounds = threading.Semaphore(0)
    echoed: list[bool] = []

    def keep_submitting() -> None:
        while not is_over.is_set():
            echoed.append(stub.Echo.submit(b"beside", key=str(len(echoed))).result() == b"beside")
            rounds.release()

    with ThreadPoolExecutor(5) as threads:
        waiting = threads.submit(held.result)
        for _ in range(4):
            threads.submit(keep_submitting)
        for _ in range(5):
            rounds.acquire()
            in_child(lambda: got("child", stub.Echo.submit(b"1").result()))
        is_over.set()
        let_go()
        got("parent", waiting.result())
    assert all(echoed)


def many_in_pools() -> None:
    """A pool of processes, each of which waits for the parent's jobs and submits its own."""
    global jobs  # noqa: PLW0603  # what a forked pool inherits
    jobs = stub.Echo.submit_many([b"%d" % number for number in range(100)])
    got("parent", jobs[0].result())
    with get_context("fork").Pool(3) as pool:
        assert pool.map(result_in_pool, range(100)) == [(b"%d" % number, b"own") for number in range(100)]
    assert [job.result() for job in jobs] == [b"%d" % number for number in range(100)]
    got("parent", b"a hundred")


def result_in_pool(number: int) -> tuple[bytes, bytes]:
    return jobs[number].result(), stub.Echo.submit(b"own").result()


def events_half_read() -> None:
    """What the parent reads from goes on in the parent, and tells the child that it is not its own."""
    held = hold_once.submit(HOLD)
    events = held.events()
    say(f"parent sees {next(events).state.name}")

    def use() -> None:
        say(f"child sees {next(held.events()).state.name}")
        next(events)

    in_child(use)
    let_go()
    say(f"parent sees {[event.state.name for event in events if isinstance(event, portcall.jobs.StateChanged)]}")


def one_channel_for_many_threads() -> None:
    """Threads submit, wait, look and cancel on one channel."""

    def work(number: int) -> bytes:
        jobs = stub.Echo.submit_many([b"%d" % number] * 20, key=None)
        late = stub.Echo.submit(b"", delay=3_600)
        states = [event.state.name for event in islice(jobs[0].events(), 1)]
        assert states in (["READY"], ["SCHEDULED"])
        late.cancel()
        try:
            late.result()
        except portcall.JobError as error:
            assert error.code() is grpc.StatusCode.CANCELLED  # noqa: PT017  # a program
        found: set[bytes] = {job.result() for job in jobs}
        return b"".join(found)

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(work, range(60))) == [b"%d" % number for number in range(60)]
    got("threads", b"sixty")


def interrupted_in_a_result() -> None:
    """Ctrl-C ends the wait and not the job, which is waited for again."""
    held = hold_once.submit(HOLD)
    next(event for event in held.events() if isinstance(event, portcall.jobs.Progressed))

    def interrupt() -> None:
        while held._inner.futures is None:  # until the loop knows that it is waited for
            os.sched_yield()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    try:
        held.result()
    except KeyboardInterrupt:
        say("interrupted")
    say(f"it is {held.status().state.name}")
    let_go()
    got("parent", held.result())


if __name__ == "__main__":
    globals()[way]()
