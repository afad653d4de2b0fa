"""How a process of ours ends: by a signal, with the process that started it, and within a bounded time."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

logger = logging.getLogger("portcall.cli")

STDIN = 0


def exit_code_of(number: signal.Signals) -> int:
    """Return the exit code that says which signal ended a process."""
    return 128 + number


def heed_sigterm() -> None:
    """Let SIGTERM end this process.

    That is what it does anyway, but not to process 1 of a container: there a signal without a handler is ignored, and
    an app that takes long to import would hear nothing of `docker stop`.
    """

    def leave(number: int, _: FrameType | None) -> None:
        os._exit(exit_code_of(signal.Signals(number)))

    signal.signal(signal.SIGTERM, leave)


@contextmanager
def stop_signals(before_exit: Callable[[], None] = lambda: None) -> Iterator[asyncio.Future[signal.Signals]]:
    """Give a future that the first SIGTERM or SIGINT settles; a second signal ends the process at once."""
    loop = asyncio.get_running_loop()
    signalled: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        if signalled.done():
            before_exit()
            os._exit(exit_code_of(number))
        signalled.set_result(number)

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield signalled
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def until_signalled(work: Coroutine[Any, Any, None], before_exit: Callable[[], None] = lambda: None) -> None:
    """Do the work until it is done, or until a SIGTERM or SIGINT cancels it. What it raises is raised.

    A second signal ends the process at once, after `before_exit`.
    """
    with stop_signals(before_exit) as signalled:
        task = asyncio.get_running_loop().create_task(work)
        signalled.add_done_callback(lambda _: task.cancel())
        with suppress(asyncio.CancelledError):
            await task


def end_with_stdin() -> None:
    """Send this process a SIGTERM when its standard input ends.

    The kernel closes a pipe however its other end dies, so a child that watches one outlives not even a parent that
    was killed with SIGKILL. `PR_SET_PDEATHSIG` would do so on Linux only, and comes when the parent's thread ends that
    made the child, not the parent.
    """
    threading.Thread(target=_terminate_at_end_of_stdin, name="portcall-stdin", daemon=True).start()


def exit_within(seconds: float, code: int) -> None:
    """See to it that the process is gone in time, whichever threads of an app's own go on."""
    timer = threading.Timer(seconds, _leave_threads_behind, [code])
    timer.daemon = True
    timer.start()


def _terminate_at_end_of_stdin() -> None:
    # Not sys.stdin.read(): a lock that this thread holds would abort the interpreter when it finalizes.
    with suppress(OSError):
        while os.read(STDIN, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def _leave_threads_behind(code: int) -> None:
    logger.warning("Threads or tasks of the app do not end; leaving them behind")
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)
