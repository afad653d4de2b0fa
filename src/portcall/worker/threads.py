"""Threads for blocking handlers.

`concurrent.futures` joins its threads when the interpreter exits, so one handler that never returns would keep a
drained worker alive for ever. These threads are daemons: a worker that has waited out its grace period can go.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]]


class DaemonThreads:
    """As many threads as there are blocking calls at once, reused when idle. The callers' slots bound the number."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._idle = 0
        self._threads = 0
        self._lock = threading.Lock()

    async def run(self, function: Callable[[], T]) -> T:
        """Run a function in a thread and return what it returns.

        When the waiter is cancelled it goes on waiting: the thread cannot be stopped, and holds its slot until it has
        returned. The function learns of the cancellation by its own means.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        with self._lock:
            self._jobs.put((function, loop, done))
            if self._idle:
                self._idle -= 1
            else:
                self._threads += 1
                threading.Thread(target=self._work, name=f"portcall-handler-{self._threads}", daemon=True).start()
        cancelled: asyncio.CancelledError | None = None
        while not done.done():
            try:
                await asyncio.shield(done)
            except asyncio.CancelledError as error:
                if not done.done():
                    cancelled = error
            except BaseException:  # noqa: BLE001  # raised below, from the future
                break
        if cancelled is not None:
            # Also where the function raised: who was cancelled has to end, or whoever waits for that waits for ever.
            done.exception()
            raise cancelled
        return done.result()

    def close(self) -> None:
        """Let idle threads end; busy ones end after their call."""
        with self._lock:
            for _ in range(self._threads):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, loop, done = job
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001  # raised where the result is awaited
                settle: Callable[[], None] = _Raise(done, error)
            else:
                settle = _Return(done, result)
            with self._lock:
                self._idle += 1
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                return  # The loop is closed: nobody waits any more.


class _Return:
    def __init__(self, done: asyncio.Future[Any], result: object) -> None:
        self.done, self.result = done, result

    def __call__(self) -> None:
        if not self.done.done():
            self.done.set_result(self.result)


class _Raise:
    def __init__(self, done: asyncio.Future[Any], error: BaseException) -> None:
        self.done, self.error = done, error

    def __call__(self) -> None:
        if not self.done.done():
            if isinstance(self.error, StopIteration):
                self.done.set_exception(RuntimeError("a handler raised StopIteration"))
            else:
                self.done.set_exception(self.error)
