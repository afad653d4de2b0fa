"""The schedules of a hub: which are due, and what becomes of their times."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from portcall.core.jobs.batch import ScheduleRow
from portcall.core.jobs.messages import submission_of
from portcall.core.jobs.schedules import Overlap, Schedule, ScheduleError, due_times, parse_schedule
from portcall.core.jobs.submissions import Submission
from portcall.protos.portcall.v1.jobs_pb2 import ScheduleSpec

NAME_LABEL = "schedule"
"""The label by which the jobs of a schedule are found."""


class Entry:
    """A schedule and where it stands, as the store has it."""

    __slots__ = ("is_live", "row", "schedule")

    def __init__(self, schedule: Schedule, row: ScheduleRow, *, is_live: bool) -> None:
        self.schedule = schedule
        self.row = row
        self.is_live = is_live
        """Whether the job of the last time has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """What is to be done for a schedule that is due."""

    entry: Entry
    times: list[float]
    """For each of them its job is to be submitted."""
    replaces: int | None
    """The job to be cancelled first."""
    next_at: float | None

    def row(self, last_job: int | None) -> ScheduleRow:
        """Return what to store of the schedule, given the job of its last time."""
        old = self.entry.row
        if not self.times:
            return old._replace(next_at=self.next_at)
        return ScheduleRow(old.name, old.spec, self.next_at, self.times[-1], last_job)


class Timetable:
    """All schedules, by name."""

    def __init__(self, rows: Iterable[ScheduleRow], live: frozenset[int]) -> None:
        self.entries: dict[str, Entry] = {}
        self.broken: dict[str, str] = {}
        """Stored schedules that cannot be used here, and why; their rows stay as they are."""
        self._by_job: dict[int, Entry] = {}
        for row in rows:
            try:
                schedule = parse_schedule(row.name, ScheduleSpec.FromString(row.spec))
            except ScheduleError as error:
                self.broken[row.name] = str(error)
                continue
            self.take(schedule, row, is_live=row.last_job in live)

    @property
    def next_at(self) -> float | None:
        """Return when the next schedule is due."""
        return min((entry.row.next_at for entry in self._running() if entry.row.next_at is not None), default=None)

    def due(self, now: float) -> Iterator[Firing]:
        """Yield what to do for each schedule that is due."""
        for entry in self._running():
            next_at = entry.row.next_at
            if next_at is not None and next_at <= now:
                yield _firing(entry, next_at, now)

    def new_row(self, schedule: Schedule, now: float) -> ScheduleRow:
        """Return what to store of a new schedule, or of one that replaces another of its name."""
        old = self.entries.get(schedule.name)
        next_at = schedule.times.first(now)
        if old is None:
            return ScheduleRow(schedule.name, schedule.spec.SerializeToString(), next_at, None, None)
        if old.schedule.times == schedule.times and not old.schedule.is_paused:
            next_at = old.row.next_at
        return ScheduleRow(schedule.name, schedule.spec.SerializeToString(), next_at, old.row.last_at, old.row.last_job)

    def take(self, schedule: Schedule, row: ScheduleRow, *, is_live: bool) -> None:
        """Take a schedule, or where it stands, that is stored."""
        old = self.entries.get(schedule.name)
        if old is not None and old.row.last_job is not None:
            self._by_job.pop(old.row.last_job, None)
        self.broken.pop(schedule.name, None)
        entry = self.entries[schedule.name] = Entry(schedule, row, is_live=is_live)
        if is_live and row.last_job is not None:
            self._by_job[row.last_job] = entry

    def remove(self, name: str) -> None:
        """Forget a schedule. Idempotent."""
        entry = self.entries.pop(name, None)
        self.broken.pop(name, None)
        if entry is not None and entry.row.last_job is not None:
            self._by_job.pop(entry.row.last_job, None)

    def jobs_ended(self, jobs: Iterable[int]) -> None:
        """Note that jobs have ended, some of which may be those of schedules."""
        for job in self._by_job.keys() & jobs:
            self._by_job.pop(job).is_live = False

    def _running(self) -> Iterator[Entry]:
        return (entry for entry in self.entries.values() if not entry.schedule.is_paused)


def submission(schedule: Schedule, now: float) -> Submission:
    """Return the job of a schedule. It has the schedule's name as a label, unless it has one called so already."""
    job = submission_of(schedule.spec.job, now)
    return job._replace(labels=tuple({NAME_LABEL: schedule.name, **dict(job.labels)}.items()))


def _firing(entry: Entry, next_at: float, now: float) -> Firing:
    times, following = due_times(entry.schedule, next_at, now)
    replaces = None
    if entry.is_live and entry.schedule.overlap is Overlap.SKIP:
        times = []
    elif entry.is_live and entry.schedule.overlap is Overlap.REPLACE and times:
        replaces = entry.row.last_job
    return Firing(entry=entry, times=times, replaces=replaces, next_at=following)
