"""Threads for blocking handlers."""

import asyncio
import threading

import pytest

from portcall.worker.threads import DaemonThreads


async def test_waiter_that_was_cancelled_ends_so_though_the_function_raises() -> None:
    threads, may_end, has_started = DaemonThreads(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail() -> None:
        loop.call_soon_threadsafe(has_started.set)
        may_end.wait()
        raise LookupError

    waiter = asyncio.create_task(threads.run(fail))
    await has_started.wait()
    waiter.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    threads.close()
