"""What the parts of one batch share: the connection, the time, the counts, and what the answer will say."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from portcall.core.jobs.batch import BadParent, Change, Checkpoint, ClaimedJob, Existing, Flow, MethodIds
from portcall.core.jobs.states import JobState
from portcall.store.sqlite.queries import execute_rows, json_ids, load_queries

QUERIES = load_queries("writing.sql")

PAYLOAD_BYTES_IN_ROW_MAX = 1_024
"""Larger requests and replies get rows of their own. A job's row is rewritten twice, with all that is in it: at 1 KiB a
row of its own costs as much as it saves, at 4 KiB it saves two fifths of all the time that the job takes."""


class Transaction:
    """One batch on its way."""

    __slots__ = (
        "changes",
        "checkpoints",
        "claims",
        "connection",
        "counted",
        "existing",
        "looks",
        "methods",
        "now",
        "promoted",
        "purged",
        "refused",
        "released",
        "stale",
        "unheard",
        "waiting",
    )

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self.connection = connection
        self.now = now
        self.counted: Counter[tuple[int, int]] = Counter()
        """By how much the number of jobs of a method in a state has changed."""
        self.methods: dict[str, MethodIds] = {}
        self.stale: set[int] = set()
        self.unheard: set[int] = set()
        self.changes: list[Change] = []
        self.purged = 0
        self.promoted = 0
        self.released: set[Flow] = set()
        self.existing: dict[int, Existing] = {}
        self.refused: dict[int, BadParent] = {}
        self.waiting: set[int] = set()
        self.claims: list[list[ClaimedJob]] = []
        self.checkpoints: dict[int, Checkpoint] = {}
        self.looks: list[list[tuple[int, bytes]]] = []

    def one(self, query: str, *parameters: Any) -> tuple[Any, ...] | None:
        """Execute a query by name and return its first row."""
        row: tuple[Any, ...] | None = self.connection.execute(QUERIES[query], parameters).fetchone()
        return row

    def all(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute a query by name and return all its rows."""
        return self.connection.execute(QUERIES[query], parameters).fetchall()

    def ids(self, query: str, jobs: Iterable[int], *before: Any) -> list[tuple[Any, ...]]:
        """Execute a query whose last parameter is a list of ids."""
        return self.connection.execute(QUERIES[query], (*before, json_ids(jobs))).fetchall()

    def each(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a query once for each row; for what is rare."""
        self.connection.executemany(QUERIES[query], rows)

    def rows(self, query: str, rows: Sequence[Sequence[Any]], *before: Any) -> int:
        """Execute a query of `:rows`; return how many rows of the database it has changed."""
        changed = self.connection.total_changes
        execute_rows(self.connection, QUERIES[query], rows, *before)
        return self.connection.total_changes - changed

    def move(self, method: int, before: int, after: int, jobs: int = 1) -> None:
        """Count jobs that are in another state now."""
        self.counted[method, before] -= jobs
        self.counted[method, after] += jobs

    def change(self, job: int, method: int, attempt: int, before: int, after: JobState, details: str = "") -> None:
        """Count a job that is in another state because of something else, and tell of it."""
        self.move(method, before, after)
        self.changes.append(Change(job, method, attempt, after, details))


def json_pairs(pairs: Iterable[tuple[int, str]]) -> str:
    """Return (number, text) pairs as one parameter."""
    return json.dumps([*pairs])
