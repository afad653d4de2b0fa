"""Reaps orphans where the supervisor is process 1, as it is in a container: the kernel leaves them to that process."""

import asyncio
import os
import signal
from collections.abc import Callable, Container


def reap_orphans(own: Callable[[], Container[int] | None]) -> int:
    """Reap the dead processes that nobody else will; return how many.

    Args:
        own: gives the processes that somebody here waits for, or None while one is being started. They are left alone,
            and so are orphans behind them: call this again when they are gone.
    """
    count = 0
    while (pids := own()) is not None:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            break
        if found is None or found.si_pid in pids:
            break
        os.waitpid(found.si_pid, 0)
        count += 1
    return count


def reap_as_process_1(own: Callable[[], Container[int] | None]) -> None:
    """Reap orphans as they come, if this is process 1."""
    if os.getpid() == 1:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, reap_orphans, own)


def reap_if_process_1(own: Callable[[], Container[int] | None]) -> None:
    """Reap the orphans that there are now, if this is process 1."""
    if os.getpid() == 1:
        reap_orphans(own)
