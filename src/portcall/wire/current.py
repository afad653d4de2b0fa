"""The job that runs here: what a handler has of it, and how code below the handler finds it.

A context variable names it, so whatever a handler calls, in coroutines, tasks and threads that take over its context,
can ask `current_job`. It stands here, where workers and clients can both import it: jobs that are submitted inside a
job are its children.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, Protocol

from portcall.protos.job_ids import id_text
from portcall.protos.link_rules import CHECKPOINT_BYTES_MAX, NOTE_BYTES_MAX
from portcall.protos.portcall.v1.jobs_pb2 import LogLine, Progress

PROGRESS_S: Final = 0.25
"""How often progress is told; of what comes between, the last."""

LINES_BURST: Final = 100
LINES_PER_S: Final = 20.0
"""A job may log so many lines at once, and then so many in a second. The others are left out and counted."""

TEXT_CHARACTERS_MAX: Final = NOTE_BYTES_MAX // 4 - 64
"""Lines and notes are cut at this."""


class JobTeller(Protocol):
    """Where a job tells what it has to tell, in the worker's event loop."""

    def tell_progress(self, progress: Progress, /) -> None:
        """Tell how far it is."""

    def tell_line(self, line: LogLine, /) -> None:
        """Tell a line of its log."""

    def checkpoint(self, state: bytes, /) -> Coroutine[Any, Any, None]:
        """Tell where it is; return when that is on the hub's disk."""

    def as_current_job(self) -> "CurrentJob":
        """Return what the job's code has of it, the same each time."""


class CurrentJob:
    """The job that a handler runs for. All of it may be used in coroutines and in threads."""

    def __init__(
        self, teller: JobTeller, job: int, attempt: int, last_checkpoint: bytes | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._teller = teller
        self._job = job
        self._loop = loop
        self.attempt = attempt
        """Number of this attempt at the job; the first is 1, and each has a higher one than those before it."""
        self.last_checkpoint = last_checkpoint
        """What an earlier attempt, or this one, has left with `checkpoint`; None if none has."""
        self._progress: Progress | None = None
        self._progress_timer: asyncio.TimerHandle | None = None
        self._is_flush_due = False
        self._lines = float(LINES_BURST)
        self._lines_at = 0.0
        self._lines_left_out = 0

    def __repr__(self) -> str:
        return f"<job {self.id}, attempt {self.attempt}>"

    @property
    def id(self) -> str:
        """Return the job's id, as everybody sees it."""
        return id_text(self._job)

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Tell how far the job is. Cheap and never waits: the last word of each quarter of a second is sent."""
        self._progress = Progress(done=done, total=total or 0.0, note=note[:TEXT_CHARACTERS_MAX])
        if not self._is_flush_due:
            self._is_flush_due = True
            self._in_loop(self._flush_progress)

    def log(self, level: int, text: str) -> None:
        """Add a line to the job's log, which the hub keeps. `level` is one of `logging`'s.

        Never waits. At most 100 lines at once and 20 in a second are kept; the next line says how many were left out.
        """
        self._in_loop(lambda: self._tell_line(level, text))

    async def checkpoint(self, state: bytes) -> None:
        """Keep where the job is; return when it is on the hub's disk.

        A later attempt gets it as `last_checkpoint`, and the replies that this one has sent before it stay. While the
        hub is away this waits for it; wrap it into `asyncio.timeout` to go on, and the checkpoint is kept later. For
        threads there is `checkpoint_blocking`.

        Raises:
            ValueError: it has more than 1 MiB. Store what is larger elsewhere, and keep its name.
            grpc.aio.UsageError: the attempt is over, or was told to stop.
        """
        if len(state) > CHECKPOINT_BYTES_MAX:
            raise ValueError(f"a checkpoint of {len(state):,} bytes; it may have {CHECKPOINT_BYTES_MAX:,}")
        await self._teller.checkpoint(state)
        self.last_checkpoint = state

    def checkpoint_blocking(self, state: bytes) -> None:
        """Do what `checkpoint` does, in a handler that runs in a thread.

        Raises:
            RuntimeError: this is the event loop's thread, which would wait for itself.
        """
        if self._is_here():
            raise RuntimeError("checkpoint_blocking would wait for its own thread; use `await job.checkpoint(...)`")
        asyncio.run_coroutine_threadsafe(self.checkpoint(state), self._loop).result()

    def flush(self) -> None:
        """Tell progress that waits for its time. For the end of the attempt, in the worker's event loop."""
        if self._progress_timer is not None:
            self._progress_timer.cancel()
            self._progress_timer = None
        self._tell_progress()

    # --- in the event loop --------------------------------------------------------------------------------------------

    def _in_loop(self, action: Callable[[], None]) -> None:
        if self._is_here():
            action()
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(action)

    def _is_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _flush_progress(self) -> None:
        """Tell the latest progress now, and what comes meanwhile in a while."""
        if self._tell_progress():
            self._progress_timer = self._loop.call_later(PROGRESS_S, self._flush_progress)
        else:
            self._progress_timer, self._is_flush_due = None, False

    def _tell_progress(self) -> bool:
        progress, self._progress = self._progress, None
        if progress is None:
            return False
        self._teller.tell_progress(progress)
        return True

    def _tell_line(self, level: int, text: str) -> None:
        now = self._loop.time()
        self._lines = min(float(LINES_BURST), self._lines + (now - self._lines_at) * LINES_PER_S)
        self._lines_at = now
        if self._lines < 1.0:
            self._lines_left_out += 1
            return
        self._lines -= 1.0
        text = text[:TEXT_CHARACTERS_MAX]
        if self._lines_left_out:
            text += f" ({self._lines_left_out} lines before this one were left out)"
            self._lines_left_out = 0
        self._teller.tell_line(LogLine(level=max(0, level), text=text))


_current: ContextVar[JobTeller | None] = ContextVar("portcall_current_job", default=None)
"""Most handlers never ask for their job, so it is made when one does."""


def current_job() -> CurrentJob | None:
    """Return the job that the code which asks runs for; None outside of a job."""
    teller = _current.get()
    return None if teller is None else teller.as_current_job()


def set_current_job(teller: JobTeller) -> None:
    """Note, in the context that this runs in, for which job code runs here."""
    _current.set(teller)


class JobLogHandler(logging.Handler):
    """Adds to a job's log what is logged while it runs, by whatever code; see `CurrentJob.log`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on if there is a job that it belongs to."""
        job = current_job()
        if job is None:
            return
        try:
            job.log(record.levelno, self.format(record))
        except Exception:  # noqa: BLE001  # as every handler of logging does
            self.handleError(record)
