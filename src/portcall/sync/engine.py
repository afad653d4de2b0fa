"""The private event loop of a blocking channel, in a daemon thread, with a client session on it.

Whatever another thread wants done is posted: it is put into the inbox, and one callback on the loop does all that has
gathered there, so that many threads that call at once wake the loop once. `post` takes no lock, because a destructor
may call it, and the collector may run one at any moment in any thread.
"""

import asyncio
import atexit
import contextlib
import logging
import selectors
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from types import CoroutineType
from typing import Any, Protocol

from portcall.client.jobs.connections import CLOSED
from portcall.client.session import ClientSession
from portcall.client.transport import LinkTransport

logger = logging.getLogger("portcall.sync")

CLOSE_S = 10.0
"""How long `close` waits: longer than a goodbye to a hub that does not read."""

EXIT_S = 2.0
"""How long the end of the program waits for channels that were not closed."""

PAUSE_S = 2.0
"""How long a fork waits for a link to let go of its stream."""

LAST_TASKS_S = 1.0
"""How long tasks have at the end to tell what became of their calls."""


class CallUnderWay(Protocol):
    """A call that somebody waits for in another thread."""

    def renew(self) -> None:
        """Replace what another thread may have held when this process was forked off."""

    def lose(self, details: str, /) -> None:
        """End the call where there is no loop to end it on."""


class Engine:
    """A loop in a thread, a session on the loop, and the calls that are under way there. Starts at once."""

    def __init__(self, make_session: Callable[[], ClientSession]) -> None:
        # Unlike epoll's, this selector has no state in the kernel, which a forked child would share with its parent.
        self._loop = asyncio.SelectorEventLoop(selectors.PollSelector())
        self._inbox: deque[Callable[[], object]] = deque()
        self._is_drain_due = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._is_paused = False
        self._thread: threading.Thread | None = None
        self._thread_lock = threading.Lock()
        self.is_over = False
        """Whether nothing runs on the loop any more."""
        self.over_because = CLOSED
        """What those are told who ask when it is over."""
        self.calls: set[CallUnderWay] = set()
        self.delivery = Delivery()
        self.session = make_session()
        self.transport = LinkTransport(self.session)
        self._start()
        _live.add(self)

    # --- for any thread --------------------------------------------------------------------------------------------

    def post(self, act: Callable[[], object]) -> None:
        """Have this done on the loop, after all that this thread has posted before; here, if the engine is over."""
        self._inbox.append(act)
        if not self._is_drain_due and not self.is_over:
            self._is_drain_due = True
            # What is posted to a loop that has closed just now, the thread that ran it does.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._drain)
        if self.is_over:
            self._drain()

    def connect(self) -> None:
        """Begin to dial, if that has not begun."""
        self.post(self._connect)

    def watch_connectivity(self, last_observed: int, deadline: float) -> bool:
        """Wait until the connectivity is another than this number; False if the deadline came first."""
        changed: SimpleQueue[bool] = SimpleQueue()

        async def watch() -> None:
            has_changed = False
            try:
                has_changed = await self.transport.watch_connectivity_state(last_observed, deadline)
            finally:
                changed.put(has_changed)

        self.post(lambda: changed.put(False) if self.is_over else self.spawn(watch()))
        return changed.get()

    def close(self, timeout_s: float | None = CLOSE_S) -> None:
        """End all calls, say goodbye and stop; with a timeout, wait for that. Idempotent."""
        self.post(self._begin_to_close)
        thread = self._thread
        if timeout_s is not None and thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    # --- forks -----------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Suspend the link and end the thread; calls under way stay as they are. Gives up after a time."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        self._is_paused = True
        self.post(self._begin_to_suspend)
        thread.join(PAUSE_S)
        self.delivery.rest(PAUSE_S)

    def resume(self) -> None:
        """Go on after `pause`."""
        with self._thread_lock:
            if not self._is_paused:
                return
            self._is_paused = False
            if self._thread is None:
                self._start()
        self.post(self._resume)

    def abandon(self, details: str) -> None:
        """End all calls in a process that was forked off, where the thread of the loop does not exist."""
        _live.discard(self)
        self._thread = None
        self.is_over, self.over_because = True, details
        self.delivery = Delivery()
        self._inbox.clear()
        for call in list(self.calls):
            # A thread that is not here may have been half-way through telling; then there is nobody to tell.
            with contextlib.suppress(Exception):
                call.renew()
                call.lose(details)
        self.delivery.stop()
        self._loop.set_exception_handler(lambda _loop, _context: None)  # tasks that were not done are the parent's

    # --- on the loop -----------------------------------------------------------------------------------------------

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in a task that the engine holds on to."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="portcall-sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._loop.run_forever()
            with self._thread_lock:
                if self._is_paused and not self._is_closing:
                    self._thread = None
                    return
            if self._is_closing:
                break
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self.is_over = True
        self._drain()
        self.delivery.stop()
        _live.discard(self)

    def _begin_to_close(self) -> None:
        if not self._is_closing and not self.is_over:
            self._is_closing = True
            self._loop.create_task(self._close()).add_done_callback(lambda _task: self._loop.stop())

    async def _close(self) -> None:
        self.transport.closing()
        await self.session.close()
        # Ours have something to tell still; gRPC's wait for the status of the stream that has just ended.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            _, late = await asyncio.wait(rest, timeout=LAST_TASKS_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _begin_to_suspend(self) -> None:
        if not self._is_closing and not self.is_over:
            self.spawn(self._suspend())

    async def _suspend(self) -> None:
        await self.session.pause()
        # gRPC still waits for the status of the stream that was cancelled, and its threads stay for as long. Tasks of
        # its own are those that are not written in Python.
        waiting = [task for task in asyncio.all_tasks() if not isinstance(task.get_coro(), CoroutineType)]
        if waiting:
            await asyncio.wait(waiting, timeout=PAUSE_S)
        if self._is_paused:
            self._loop.stop()
        else:  # the fork did not wait so long, and is over
            self._resume()

    def _resume(self) -> None:
        if not self.is_over:
            self.session.resume()

    def _connect(self) -> None:
        if not self.is_over:
            self.session.connect()

    def _drain(self) -> None:
        self._is_drain_due = False
        inbox = self._inbox
        # No more than there is now: whoever posts from here on sees that no drain is due.
        for _ in range(len(inbox)):
            try:
                act = inbox.popleft()
            except IndexError:  # another thread drains, too, because the engine is over
                return
            try:
                act()
            except Exception:
                logger.exception("A call on a blocking channel failed in a way that it should not")


class Delivery:
    """Tells the program how calls have ended, in a thread: its callbacks may block, and so may not run on the loop.

    There is a thread from the first call that has something to tell until `rest` or `stop`. After `rest` there is one
    again when something is put. What is put after `stop`, as by a program that reads on in a stream whose channel it
    has closed, has a thread for itself.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def put(self, tell: Callable[[], object]) -> None:
        """Have this done by the thread, after all that was put before."""
        with self._lock:
            self._queue.put(tell)
            if self._thread is None:
                self._thread = threading.Thread(target=_deliver, args=(self._queue,), name="portcall-ends", daemon=True)
                self._thread.start()
            if self._is_stopped:
                self._end()

    def rest(self, timeout_s: float) -> None:
        """End the thread once it has done what there is to do, and wait for it so long."""
        with self._lock:
            thread = self._end()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def stop(self) -> None:
        """End the thread once it has done what there is to do."""
        with self._lock:
            self._is_stopped = True
            self._end()

    def _end(self) -> threading.Thread | None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            self._queue = SimpleQueue()
        return thread


def _deliver(queue: "SimpleQueue[Callable[[], object] | None]") -> None:
    while (tell := queue.get()) is not None:
        try:
            tell()
        except Exception:
            logger.exception("What follows the end of a call has failed")
        del tell


_live: "weakref.WeakSet[Engine]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Close what the program has left open, before Python ends its threads wherever they are."""
    until = time.monotonic() + EXIT_S
    engines = list(_live)
    for engine in engines:
        engine.close(None)
    for engine in engines:
        engine.close(max(0.0, until - time.monotonic()))
