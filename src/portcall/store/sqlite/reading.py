"""Questions about stored jobs."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from portcall.core.jobs.batch import HeldJob, MethodRow, ScheduleRow, Stored
from portcall.core.jobs.rows import (
    BACKLOG_FLOWS_MAX,
    BACKLOG_SCHEDULED_MAX,
    AttemptRow,
    Backlog,
    JobFilter,
    JobRow,
    NoteRow,
    Page,
    ReplyRow,
    Tally,
)
from portcall.core.jobs.states import CANCELLED, ENDED, FAILED, JobState
from portcall.store.sqlite.file import open_for_reading, translated
from portcall.store.sqlite.queries import json_ids, load_queries

QUERIES = load_queries("reading.sql")

PAGE_ROWS_SCANNED_MAX = 20_000
"""Rows that one page of a listing looks at, however few of them match."""

_PLAIN = """job.id, method.name, job.state, job.rank, job.attempt, job.failures, job.deaths, job.pending, job.due_at,
    job.started_at, job.ended_at, job.expires_at, job.status, job.details, job.worker, job.value, job.key, job.parent,
    job.step"""
_PAYLOADS = """job.trailers, coalesce(job.reply, large_reply.message), coalesce(job.request, large_request.message),
    job.metadata"""
_LARGE = """ LEFT JOIN large_reply ON large_reply.job = job.id
    LEFT JOIN large_request ON large_request.job = job.id"""
_NO_PAYLOADS = "NULL, NULL, NULL, NULL"
_REPLIES = "coalesce((SELECT max(place) + 1 FROM stream_reply WHERE stream_reply.job = job.id), 0)"


class SQLiteReader:
    """Reads a file that somebody else writes. See `portcall.store.protocol.Reader`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_for_reading(path)

    def get(self, jobs: Sequence[int]) -> list[JobRow]:
        """Return these jobs."""
        found = self._rows("job.id IN (SELECT value FROM json_each(?))", (json_ids(jobs),), with_payloads=True)
        by_id = {row.id: row for row in found}
        return [by_id[job] for job in jobs if job in by_id]

    def states(self, jobs: Sequence[int]) -> dict[int, JobState]:
        """Return the states of these jobs."""
        return {job: JobState(state) for job, state in self._all("states", json_ids(jobs))}

    def find(self, wanted: JobFilter, *, before: int | None, limit: int, with_payloads: bool) -> Page:
        """Return jobs that match, the newest first."""
        highest = wanted.id_max if before is None else min(wanted.id_max, before - 1)
        conditions, parameters, is_narrow = _conditions(wanted)
        lowest, is_last = wanted.id_min, True
        if not is_narrow:
            lowest, is_last = self._reach(highest, wanted.id_min)
        # A plus keeps SQLite from the table's order where an index is to be used.
        column = "+job.id" if is_narrow else "job.id"
        where = " AND ".join([f"{column} BETWEEN ? AND ?", *conditions])
        tail = f" ORDER BY {column} DESC LIMIT {limit + 1}"
        rows = self._rows(where, (lowest, highest, *parameters), with_payloads=with_payloads, tail=tail)
        if len(rows) > limit:
            return Page(rows[:limit], rows[limit - 1].id)
        return Page(rows, None if is_last else lowest)

    def attempts(self, job: int) -> list[AttemptRow]:
        """Return the attempts that another one followed."""
        return [AttemptRow._make(row) for row in self._all("attempts", job)]

    def notes(self, job: int, *, after: int, limit: int) -> list[NoteRow]:
        """Return what attempts told."""
        return [NoteRow._make(row) for row in self._all("notes", job, after, limit)]

    def replies(self, job: int, *, offset: int, limit: int) -> list[ReplyRow]:
        """Return stored replies."""
        return [ReplyRow._make(row) for row in self._all("replies", job, offset, limit)]

    def tallies(self) -> list[Tally]:
        """Return how many jobs there are."""
        return [Tally(name, JobState(state), jobs) for name, state, jobs in self._all("tallies")]

    def backlogs(self) -> list[Backlog]:
        """Return what waits, by method."""
        retrying = dict(self._all("retrying", BACKLOG_SCHEDULED_MAX))
        since = {name: self._all("ready_since", id_, BACKLOG_FLOWS_MAX)[0][0] for id_, name, _ in self._all("methods")}
        names = sorted({*retrying, *(name for name, at in since.items() if at is not None)})
        return [Backlog(name, retrying.get(name, 0), since.get(name)) for name in names]

    def schedules(self) -> list[ScheduleRow]:
        """Return all schedules."""
        return [ScheduleRow._make(row) for row in self._all("schedules")]

    def close(self) -> None:
        """Let go."""
        self._connection.close()

    def _all(self, query: str, *parameters: object) -> list[tuple]:  # type: ignore[type-arg]  # rows of any shape
        with translated(self._path):
            return self._connection.execute(QUERIES[query], parameters).fetchall()

    def _reach(self, highest: int, lowest: int) -> tuple[int, bool]:
        """Return the lowest id that one page looks at, and whether there is none below it."""
        [(reached, count)] = self._all("bounds", highest, lowest, PAGE_ROWS_SCANNED_MAX)
        return (lowest, True) if count < PAGE_ROWS_SCANNED_MAX else (reached, False)

    def _rows(self, where: str, parameters: Sequence[object], *, with_payloads: bool, tail: str = "") -> list[JobRow]:
        payloads = _PAYLOADS if with_payloads else _NO_PAYLOADS
        joins = "JOIN method ON method.id = job.method"
        if with_payloads:
            joins += _LARGE
        query = f"SELECT {_PLAIN}, {payloads}, {_REPLIES} FROM job {joins} WHERE {where}{tail}"  # noqa: S608  # no values
        with translated(self._path):
            rows = self._connection.execute(query, parameters).fetchall()
            labels: dict[int, list[tuple[str, str]]] = {}
            for job, name, value in self._connection.execute(QUERIES["labels"], (json_ids(row[0] for row in rows),)):
                labels.setdefault(job, []).append((name, value))
        return [
            JobRow._make((*row[:2], JobState(row[2]), *row[3:-1], tuple(labels.get(row[0], ())), row[-1]))
            for row in rows
        ]


UNSUCCESSFUL = frozenset({FAILED, CANCELLED})
"""States that have an index of their own, so that a few failures are found among millions of successes."""


def _conditions(wanted: JobFilter) -> tuple[list[str], list[object], bool]:
    """Return the conditions of a filter, their parameters, and whether an index narrows them down to few rows."""
    conditions: list[str] = []
    parameters: list[object] = []
    is_narrow = False
    if wanted.method is not None:
        conditions.append("job.method = (SELECT id FROM method WHERE name = ?)")
        parameters.append(wanted.method)
    if wanted.states:
        conditions.append(f"job.state IN ({', '.join(str(int(state)) for state in sorted(wanted.states))})")
        is_narrow = wanted.states <= UNSUCCESSFUL
    if wanted.key is not None:
        conditions.append("job.key = ?")
        parameters.append(wanted.key)
        is_narrow = is_narrow or wanted.method is not None
    if wanted.parent is not None:
        conditions.append("job.parent = ?")
        parameters.append(wanted.parent)
        is_narrow = True
    if wanted.label is not None:
        value = "" if wanted.label_value is None else " AND value = ?"
        conditions.append(f"job.id IN (SELECT job FROM label WHERE name = ?{value})")  # noqa: S608  # one of two texts
        parameters += [wanted.label] if wanted.label_value is None else [wanted.label, wanted.label_value]
    return conditions, parameters, is_narrow


def read_stored(connection: sqlite3.Connection) -> tuple[Stored, Counter[tuple[int, int]]]:
    """Return what an engine begins with, and how many jobs of each method are in each state."""

    def rows(query: str, *parameters: object) -> list[tuple]:  # type: ignore[type-arg]  # rows of any shape
        return connection.execute(QUERIES[query], parameters).fetchall()

    methods = [MethodRow._make(row) for row in rows("methods")]
    schedules = [ScheduleRow._make(row) for row in rows("schedules")]
    last_jobs = [schedule.last_job for schedule in schedules if schedule.last_job is not None]
    counts = Counter({(method, state): jobs for method, state, jobs in rows("tally")})
    stored = Stored(
        methods=methods,
        policies=dict(rows("policies")),
        held=[HeldJob._make((*row[:2], JobState(row[2]), *row[3:])) for row in rows("held")],
        ready_methods=[method.id for method in methods if rows("has_ready", method.id) == [(1,)]],
        next_due_at=rows("next_due_at")[0][0],
        last_job=rows("last_job")[0][0],
        ended=sum(count for (_, state), count in counts.items() if state in ENDED),
        schedules=schedules,
        live_scheduled=frozenset(row[0] for row in rows("live", json_ids(last_jobs))),
    )
    return stored, counts
