"""Jobs that are forgotten, with all that belongs to them."""

from collections.abc import Sequence

from portcall.core.jobs.batch import Purge
from portcall.store.sqlite.queries import json_ids
from portcall.store.sqlite.transaction import Transaction

BELONGINGS = ("large_request", "large_reply", "label", "attempt", "note", "stream_reply", "checkpoint")
"""The tables that have rows of jobs, in their column `job`; most of them are empty most of the time."""


def forget(tx: Transaction, jobs: Sequence[int]) -> None:
    """Forget those of these jobs that have ended."""
    _forget(tx, tx.ids("forgettable", jobs))


def purge(tx: Transaction, wanted: Purge) -> None:
    """Forget jobs whose time is over."""
    _forget(tx, tx.all("expired", wanted.expired_by, wanted.limit))


def _forget(tx: Transaction, rows: list[tuple[int, int, int]]) -> None:
    if not rows:
        return
    jobs = json_ids(row[0] for row in rows)
    for table in BELONGINGS:
        if tx.connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]:  # noqa: S608  # a name above
            tx.connection.execute(f"DELETE FROM {table} WHERE job IN (SELECT value FROM json_each(?))", (jobs,))  # noqa: S608
    tx.all("forget", jobs)
    tx.all("keep_last_forgotten", max(row[0] for row in rows))
    for _, method, state in rows:
        tx.counted[method, state] -= 1
    tx.purged += len(rows)
