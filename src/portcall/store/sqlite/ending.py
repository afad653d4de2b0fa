"""What attempts tell, how jobs end, and what follows from it for others."""

from collections import Counter, deque
from collections.abc import Sequence
from operator import itemgetter
from typing import TypeVar

from portcall.core.jobs.batch import Again, AttemptOutcome, Checkpoint, End, Flow, Note, Reply, Revival
from portcall.core.jobs.causes import ASKED, PARENT_UNSUCCESSFUL, WITH_PARENT
from portcall.core.jobs.states import CANCELLED, CANCELLING, READY, RUNNING, SUCCEEDED, WAITING
from portcall.store.sqlite.transaction import PAYLOAD_BYTES_IN_ROW_MAX, Transaction

_move_of_end = itemgetter(*map(End._fields.index, ("method", "was", "state")))

Told = TypeVar("Told", Note, Reply, Checkpoint)
Over = TypeVar("Over", End, Again)


def keep_told(
    tx: Transaction, notes: Sequence[Note], replies: Sequence[Reply], checkpoints: Sequence[Checkpoint]
) -> None:
    """Keep what attempts told that hold their jobs."""
    holders = dict(tx.ids("holders", {row.job for rows in (notes, replies, checkpoints) for row in rows}))

    def held(rows: Sequence[Told]) -> list[Told]:
        tx.unheard.update(row.job for row in rows if holders.get(row.job) != row.attempt)
        return [row for row in rows if holders.get(row.job) == row.attempt]

    tx.each("add_notes", [(note.job, note.number, note.at, note.kind, note.body) for note in held(notes)])
    tx.each("add_replies", [(reply.job, reply.offset, reply.attempt, reply.message) for reply in held(replies)])
    tx.each("put_checkpoints", held(checkpoints))


def end(tx: Transaction, ends: Sequence[End]) -> None:
    """Record outcomes, and let those that waited for these jobs go on or be cancelled."""
    rows = ends
    large = [row for row in ends if row.reply is not None and len(row.reply) > PAYLOAD_BYTES_IN_ROW_MAX]
    if large:
        apart = {row.job for row in large}
        rows = [row._replace(reply=None) if row.job in apart else row for row in ends]
    recorded = _fenced(tx, "end_jobs", ends, rows, tx.now)
    if large:
        tx.each("add_large_replies", [(row.job, row.reply) for row in large if row.job not in tx.stale])
    for (method, was, state), jobs in Counter(map(_move_of_end, recorded)).items():
        tx.move(method, was, state, jobs)
    if tx.one("has_dependencies") == (1,):
        _let_go(tx, [row.job for row in recorded if row.state == SUCCEEDED])
        _cancel_dependents(tx, [row.job for row in recorded if row.state != SUCCEEDED])


def repeat(tx: Transaction, agains: Sequence[Again]) -> None:
    """Let jobs wait for another attempt, and keep what became of the one before."""
    for row in _fenced(tx, "repeat_jobs", agains, agains):
        tx.move(row.method, row.was, row.state)
        if row.outcome is AttemptOutcome.HANDED_BACK:
            tx.all("forget_handed_back", row.job, AttemptOutcome.HANDED_BACK)
        attempt = (row.job, row.attempt, row.started_at, tx.now, row.outcome, row.status, row.details, row.worker)
        tx.all("add_attempts", *attempt)


def _fenced(
    tx: Transaction, query: str, told: Sequence[Over], rows: Sequence[Sequence[object]], *before: object
) -> Sequence[Over]:
    """Execute a query for rows whose attempts hold their jobs; return what took effect.

    It is tried for all of them, and one by one only if some have had no effect.
    """
    tx.connection.execute("SAVEPOINT fenced")
    if tx.rows(query, rows, *before) != len(told):
        tx.connection.execute("ROLLBACK TO fenced")
        effects = [tx.rows(query, [row], *before) for row in rows]
        tx.stale.update(row.job for row, changed in zip(told, effects, strict=True) if not changed)
        told = [row for row, changed in zip(told, effects, strict=True) if changed]
    tx.connection.execute("RELEASE fenced")
    return told


# --- those that wait, and those below ---------------------------------------------------------------------------------


def _let_go(tx: Transaction, succeeded: Sequence[int]) -> None:
    """Let jobs wait for these no more."""
    for job, count in tx.ids("dependents", succeeded):
        row = tx.one("release", count, tx.now, job)
        if row is None:
            continue
        method, state, rank, value = row
        if state != WAITING:
            tx.move(method, WAITING, state)
        if state == READY:
            tx.released.add(Flow(method, rank, value))
    tx.ids("drop_dependencies", succeeded)


def cancel(tx: Transaction, jobs: Sequence[int]) -> None:
    """Cancel jobs, those that they have submitted, and those that waited for them."""
    _cancel(tx, deque([(jobs, ASKED)]))


def _cancel_dependents(tx: Transaction, unsuccessful: Sequence[int]) -> None:
    _cancel(tx, deque([(_take_dependents(tx, unsuccessful), PARENT_UNSUCCESSFUL)]))


def _cancel(tx: Transaction, causes: deque[tuple[Sequence[int], str]]) -> None:
    """Cancel jobs, and then what depends on them, generation by generation; a chain of them may be long."""
    while causes:
        jobs, cause = causes.popleft()
        rows = tx.ids("cancellable", jobs)
        if not rows:
            continue
        held = [row[0] for row in rows if row[2] == RUNNING]
        free = [row[0] for row in rows if row[2] != RUNNING]
        tx.ids("ask_to_stop", held, cause)
        tx.ids("cancel", free, cause, tx.now)
        for job, method, state, attempt in rows:
            if state == RUNNING:
                tx.change(job, method, attempt, state, CANCELLING, cause)
            else:
                tx.change(job, method, attempt, state, CANCELLED, cause)
        causes.append((_take_dependents(tx, free), PARENT_UNSUCCESSFUL))
        causes.append(([row[0] for row in tx.ids("children", [row[0] for row in rows])], WITH_PARENT))


def _take_dependents(tx: Transaction, unsuccessful: Sequence[int]) -> list[int]:
    """Return the jobs that wait for these, which they now do no more."""
    dependents = [row[0] for row in tx.ids("waiting_for", unsuccessful)]
    tx.ids("drop_dependencies", unsuccessful)
    return dependents


def revive(tx: Transaction, revivals: Sequence[Revival]) -> None:
    """Let jobs begin anew that failed or were cancelled."""
    for job, rank in revivals:
        row = tx.one("revive", job)
        if row is None:
            continue
        _, method, state, attempt, started_at, ended_at, status, details, worker, value = row
        if attempt:
            tx.all("keep_attempt", job, attempt, started_at, ended_at, AttemptOutcome.FAILED, status, details, worker)
        tx.ids("forget_large_reply", [job])
        tx.all("begin_anew", rank, tx.now, job)
        tx.change(job, method, attempt, state, READY)
        tx.released.add(Flow(method, rank, value))
