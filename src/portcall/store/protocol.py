"""What a hub asks of a place for jobs.

A store is used by one thread at a time, and blocks: the hub gives it a thread of its own, hands it one `Batch` after
the other, and lets whatever comes meanwhile gather for the next one. So one disk flush carries hundreds of jobs, and a
hub without load waits for one flush only.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from portcall.core.jobs.batch import Batch, ScheduleRow, Stored, Written
from portcall.core.jobs.rows import AttemptRow, Backlog, JobFilter, JobRow, NoteRow, Page, ReplyRow, Tally
from portcall.core.jobs.states import JobState


class Reader(Protocol):
    """A second look at the same jobs, for questions that should not hold up the writer. For one thread at a time.

    Sees whatever is committed when a method is called. All methods raise `StoreUnavailableError` or
    `StoreDamagedError`.
    """

    def get(self, jobs: Sequence[int]) -> list[JobRow]:
        """Return these jobs with all their payloads, in this order; those that are not there are left out."""

    def states(self, jobs: Sequence[int]) -> dict[int, JobState]:
        """Return the states of those of these jobs that are there; for many, where their rows are not wanted."""

    def find(self, wanted: JobFilter, *, before: int | None, limit: int, with_payloads: bool) -> Page:
        """Return jobs that match, the newest first, from below the id `before`.

        A look has a bounded cost: a page may hold less than `limit`, or nothing, and still have a next one.
        """

    def attempts(self, job: int) -> list[AttemptRow]:
        """Return the attempts that another one followed, by number. The last one is told by the job's row."""

    def notes(self, job: int, *, after: int, limit: int) -> list[NoteRow]:
        """Return what attempts told, by number, from behind the number `after`."""

    def replies(self, job: int, *, offset: int, limit: int) -> list[ReplyRow]:
        """Return stored replies from an offset on."""

    def tallies(self) -> list[Tally]:
        """Return how many jobs there are, by method and state, in this order; without zeros."""

    def backlogs(self) -> list[Backlog]:
        """Return what waits, by method; without those of which nothing does. A look has a bounded cost."""

    def schedules(self) -> list[ScheduleRow]:
        """Return all schedules, by name."""

    def close(self) -> None:
        """Let go. Idempotent."""


class Store(Protocol):
    """Keeps jobs. Whoever opens it is the only one that does until it is closed."""

    def stored(self) -> Stored:
        """Return what an engine has to know to begin with."""

    def write(self, batch: Batch) -> Written:
        """Perform a batch, all of it or nothing. What is returned is durable: it survives the loss of power.

        Raises:
            StoreUnavailableError: it has not happened; it may be tried again later.
            StoreDamagedError: it has not happened, and will not until somebody has looked after the store.
        """

    def reader(self) -> Reader:
        """Return a reader of this store."""

    def backup(self, target: Path) -> None:
        """Copy all that is committed to a new file that can be opened as a store, while others write.

        May be called from any thread.

        Raises:
            StoreDamagedError: what would be copied is not what a store wrote; there is no copy of it.
            StoreUnavailableError: it cannot be made.
        """

    def close(self) -> None:
        """Let go of the store. Idempotent."""
