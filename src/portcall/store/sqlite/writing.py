"""Performs a batch: its parts, in the order that `Batch` promises, in one transaction."""

import sqlite3
from collections import Counter

from portcall.core.jobs.batch import UNSORTED, Batch, FlowPage, Written
from portcall.core.jobs.states import ENDED
from portcall.store.sqlite import appending, ending, forgetting
from portcall.store.sqlite.transaction import Transaction

FIRST_FLOW = (-(1 << 62), "")
"""Before all flows."""


class Writing:
    """Writes to a database, and keeps count of what is in it."""

    def __init__(self, connection: sqlite3.Connection, counts: Counter[tuple[int, int]]) -> None:
        self.connection = connection
        self._counts = counts

    def perform(self, batch: Batch) -> Written:
        """Perform a batch and commit it.

        Raises:
            sqlite3.Error: it has not happened.
        """
        connection = self.connection
        tx = Transaction(connection, batch.now)
        connection.execute("BEGIN IMMEDIATE")
        try:
            pages = _perform(tx, batch)
            due = tx.one("next_due_at")
            assert due is not None
            counts = self._counts + Counter()  # a copy without zeros
            counts.update(tx.counted)
            tx.each("put_tally", [(*key, counts[key]) for key, change in tx.counted.items() if change])
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._counts = counts
        return Written(
            methods=tx.methods,
            stale=frozenset(tx.stale),
            unheard=frozenset(tx.unheard),
            changes=tx.changes,
            purged=tx.purged,
            promoted=tx.promoted,
            released=frozenset(tx.released),
            next_due_at=due[0],
            ended=sum(count for (_, state), count in counts.items() if state in ENDED),
            existing=tx.existing,
            refused=tx.refused,
            waiting=frozenset(tx.waiting),
            claims=tx.claims,
            checkpoints=tx.checkpoints,
            looks=tx.looks,
            flow_pages=pages,
        )


def _perform(tx: Transaction, batch: Batch) -> list[list[tuple[int, str]]]:
    """Do all of a batch; return its pages of flows."""
    _change_what_is_there(tx, batch)
    if batch.appends:
        appending.append(tx, batch)
    if batch.claims:
        appending.claim(tx, batch.claims)
    appending.look(tx, batch.looks)
    return [_flow_page(tx, page) for page in batch.flow_pages]


def _change_what_is_there(tx: Transaction, batch: Batch) -> None:
    if batch.methods:
        appending.number_methods(tx, batch.methods)
    if batch.notes or batch.replies or batch.checkpoints:
        ending.keep_told(tx, batch.notes, batch.replies, batch.checkpoints)
    if batch.ends:
        ending.end(tx, batch.ends)
    if batch.agains:
        ending.repeat(tx, batch.agains)
    if batch.cancels:
        ending.cancel(tx, batch.cancels)
    if batch.revivals:
        ending.revive(tx, batch.revivals)
    if batch.forget:
        forgetting.forget(tx, batch.forget)
    if batch.purge is not None:
        forgetting.purge(tx, batch.purge)
    tx.each("put_schedules", batch.schedules)
    tx.each("remove_schedules", [(name,) for name in batch.schedules_removed])
    if batch.promote_max:
        appending.promote(tx, batch.promote_max)
    tx.each("put_values", [(value, UNSORTED, job) for job, value in batch.values])


def _flow_page(tx: Transaction, page: FlowPage) -> list[tuple[int, str]]:
    return tx.all("flows", page.method, *(page.after or FIRST_FLOW), page.limit)
