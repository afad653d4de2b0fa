"""New jobs, and jobs that start."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from portcall.core.jobs.batch import (
    BadParent,
    Batch,
    Checkpoint,
    Claim,
    ClaimedJob,
    Existing,
    Flow,
    Look,
    MethodIds,
    MethodOptionsRow,
    NewJob,
    row_of,
)
from portcall.core.jobs.states import CANCELLED, CANCELLING, FAILED, READY, RUNNING, SUCCEEDED, WAITING, JobState
from portcall.store.sqlite.transaction import PAYLOAD_BYTES_IN_ROW_MAX, QUERIES, Transaction, json_pairs

_method_and_state = itemgetter(NewJob._fields.index("method"), NewJob._fields.index("state"))
_key = itemgetter(NewJob._fields.index("key"))
_parent = itemgetter(NewJob._fields.index("parent"))


def number_methods(tx: Transaction, methods: Sequence[MethodOptionsRow]) -> None:
    """Number methods and options that are new."""
    for name, options in methods:
        if tx.one("find_policy", options) is None:
            tx.all("add_policy", options)
        policy = tx.one("find_policy", options)
        assert policy is not None
        tx.all("put_method", name, policy[0])
        method = tx.one("find_method", name)
        assert method is not None
        tx.methods[name] = MethodIds(method[0], policy[0])


def append(tx: Transaction, batch: Batch) -> None:
    """Store new jobs, but for those whose key is taken or whose parents will not do."""
    jobs: Sequence[NewJob] = batch.appends
    parents: dict[int, set[int]] = {}
    if batch.dependencies or any(map(_key, jobs)) or any(map(_parent, jobs)):
        jobs, parents = _acceptable(tx, batch)
    rows: Sequence[NewJob] = jobs
    large = [job for job in jobs if job.request is not None and len(job.request) > PAYLOAD_BYTES_IN_ROW_MAX]
    if large:
        apart = {job.id for job in large}
        rows = [job._replace(request=None) if job.id in apart else job for job in jobs]
        tx.each("add_large_requests", [(job.id, job.request) for job in large])
    tx.rows("append_jobs", rows)
    tx.counted.update(Counter(map(_method_and_state, jobs)))
    if parents or batch.labels:
        stored = {job.id: job for job in jobs}
        _wait(tx, stored, parents)
        tx.each("add_labels", [label for label in batch.labels if label.job in stored])


def _acceptable(tx: Transaction, batch: Batch) -> tuple[list[NewJob], dict[int, set[int]]]:
    """Judge the jobs of a batch in their order; return those to be stored, and for whom those wait that do."""
    wanted = {(job.method, job.key) for job in batch.appends if job.key is not None}
    keys = {(method, key): job for method, key, job, _ in tx.all("find_keys", json_pairs(wanted))}
    named = {parent for _, parent in batch.dependencies} | set(keys.values())
    named |= {job.parent for job in batch.appends if job.parent is not None}
    states = {job: JobState(state) for job, state in tx.ids("states", named)}
    parents: dict[int, list[int]] = {}
    for job, parent in batch.dependencies:
        parents.setdefault(job, []).append(parent)
    accepted, freed, waits = [], [], {}
    for row in batch.appends:
        holder = keys.get((row.method, row.key)) if row.key is not None else None
        if holder is not None and not (row.id in batch.replaceable and states[holder] in (FAILED, CANCELLED)):
            tx.existing[row.id] = Existing(holder, states[holder])
            continue
        bad = _bad_parent(row, parents.get(row.id, ()), states)
        if bad is not None:
            tx.refused[row.id] = bad
            continue
        waits_for = {parent for parent in parents.get(row.id, ()) if states[parent] is not SUCCEEDED}
        if waits_for:
            waits[row.id] = waits_for
        if holder is not None:
            freed.append(holder)
        if row.key is not None:
            keys[row.method, row.key] = row.id
        states[row.id] = WAITING if waits_for else JobState(row.state)
        accepted.append(row)
    if freed:
        tx.ids("free_keys", freed)
    return accepted, waits


def _bad_parent(row: NewJob, waits_for: Iterable[int], states: Mapping[int, JobState]) -> BadParent | None:
    """Return the job because of which a new one cannot be, if there is one."""
    if row.parent is not None and states.get(row.parent) in (None, CANCELLING, CANCELLED):
        return BadParent(row.parent, states.get(row.parent))
    bad = (parent for parent in waits_for if states.get(parent) in (None, FAILED, CANCELLED))
    return next((BadParent(parent, states.get(parent)) for parent in bad), None)


def _wait(tx: Transaction, stored: dict[int, NewJob], parents: dict[int, set[int]]) -> None:
    for job, waits_for in parents.items():
        row = stored.get(job)
        if row is not None:
            tx.each("add_dependencies", [(parent, job) for parent in sorted(waits_for)])
            tx.all("wait_for_parents", len(waits_for), job)
            tx.move(row.method, row.state, WAITING)
            tx.waiting.add(job)


def claim(tx: Transaction, claims: Sequence[Claim]) -> None:
    """Start the first jobs of some flows."""
    for (method, rank, value), count in claims:
        rows = tx.all("claim", tx.now, method, rank, value, count)
        rows.sort()
        if rows and None in (row[-1] for row in rows):
            large = dict(tx.ids("large_requests", [row[0] for row in rows if row[-1] is None]))
            rows = [(*row[:-1], large[row[0]]) if row[-1] is None else row for row in rows]
        jobs = [row_of(ClaimedJob, row) for row in rows]
        repeated = [job.id for job in jobs if job.attempt > 1]
        if repeated:
            _begin_again(tx, repeated)
        tx.claims.append(jobs)
        tx.move(method, READY, RUNNING, len(jobs))


def look(tx: Transaction, looks: Sequence[Look]) -> None:
    """Read the requests of the first jobs of some flows."""
    for (method, rank, value), most, bytes_max in looks:
        found: list[tuple[int, bytes]] = []
        size = 0
        rows = tx.connection.execute(QUERIES["look"], (method, rank, value, most))
        for job, request in rows:
            found.append((job, request))
            size += len(request)
            if size >= bytes_max:
                break
        rows.close()
        tx.looks.append(found)


def _begin_again(tx: Transaction, jobs: list[int]) -> None:
    """Find the checkpoints of jobs that had an attempt before, and drop the replies that came after these."""
    found = {row[0]: Checkpoint._make(row) for row in tx.ids("checkpoints", jobs)}
    tx.checkpoints.update(found)
    tx.each("drop_replies", [(job, found[job].replies if job in found else 0) for job in jobs])


def promote(tx: Transaction, count: int) -> None:
    """Make jobs ready whose time has come."""
    rows = tx.all("due", tx.now, count)
    tx.promoted = len(rows)
    if rows:
        tx.ids("promote", [row[0] for row in rows])
        for _, method, rank, value in rows:
            tx.move(method, JobState.SCHEDULED, READY)
            tx.released.add(Flow(method, rank, value))
