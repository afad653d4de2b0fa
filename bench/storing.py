"""What the measurements of the store run: `python -m bench.storing WHAT FOLDER ...`; prints one JSON object.

rate FOLDER JOBS BYTES      jobs from submission to recorded outcome, through engine and store
fill FOLDER JOBS BYTES 0|1  store so many jobs: some are ready, the last or scattered ones; the others have ended
claim FOLDER JOBS           open what `fill` has made, and start and end so many of them
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import psutil

from portcall.core.jobs.batch import AttemptOutcome, Batch, Claim, End, Flow, MethodOptionsRow, NewJob
from portcall.core.jobs.dispatch import Capacity
from portcall.core.jobs.effects import Answer, Effects
from portcall.core.jobs.engine import JobEngine
from portcall.core.jobs.states import ENDED, READY, RUNNING, SUCCEEDED
from portcall.core.jobs.submissions import PlainSubmissions
from portcall.core.jobs.verdicts import Ending
from portcall.protos.portcall.v1.options_pb2 import JobOptions
from portcall.store.sqlite.store import SQLiteStore

METHOD = "/bench.Store/Run"
SLOTS = 2_000
IN_FLIGHT = 4_000
AT_ONCE = 500
"""Jobs that are submitted together."""

CLAIMED_AT_ONCE = 100

FILL_AT_ONCE = 10_000
READY_JOBS = 10_000
"""So many of the stored jobs are ready, those that came last, or evenly scattered; the others have ended."""


def rate(folder: Path, jobs: int, payload_bytes: int) -> dict[str, Any]:
    """Drive an engine on a store as a hub does, but one after the other: the engine, and then the store."""
    store = SQLiteStore(folder / "jobs.db")
    engine = JobEngine(store.stored(), time.time(), Random(1))
    engine.know(METHOD, JobOptions(), None, time.time())
    submissions = PlainSubmissions(METHOD, [b"q" * payload_bytes] * AT_ONCE)
    ending = Ending(outcome=AttemptOutcome.SUCCEEDED, reply=b"r" * payload_bytes, worker="bench")
    submitted = done = running = 0
    begun, begun_cpu = time.perf_counter(), time.process_time()
    while done < jobs:
        now = time.time()
        while submitted < jobs and submitted - done < IN_FLIGHT:
            engine.submit(submitted, submissions, now)
            submitted += AT_ONCE
        batch = engine.plan([Capacity(methods=frozenset({METHOD}), free=SLOTS - running)], now)
        if batch is not None:
            engine.settle(store.write(batch), time.time())
        effects = engine.take_effects()
        running += len(effects.starts) - len(effects.recorded)
        done += _ended(effects)
        for start in effects.starts:
            engine.ended(start.job, start.attempt, ending, now)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    store.close()
    return {"per_s": jobs / seconds, "cpu_us": cpu / jobs * 1e6, "file_bytes": _size(folder) / jobs}


def _ended(effects: Effects) -> int:
    assert all(isinstance(answer, Answer) for answer in effects.answers)
    return sum(outcome.state in ENDED for outcome in effects.outcomes)


def fill(folder: Path, jobs: int, payload_bytes: int, is_scattered: int) -> dict[str, Any]:
    """Store jobs in a few large batches."""
    store = SQLiteStore(folder / "jobs.db")
    store.write(Batch(now=1.0, methods=[MethodOptionsRow(METHOD, b"")]))
    request = b"q" * payload_bytes
    for first in range(1, jobs + 1, FILL_AT_ONCE):
        ids = range(first, min(jobs, first + FILL_AT_ONCE - 1) + 1)
        rows = [_new_job(id_, request, is_ready=_is_ready(id_, jobs, is_scattered)) for id_ in ids]
        store.write(Batch(now=1.0, appends=rows))
        ends = [_end(row.id, 1, request) for row in rows if row.state == RUNNING]
        store.write(Batch(now=1.0, ends=ends))
    store.close()
    return {"file_bytes": _size(folder) / jobs}


def claim(folder: Path, jobs: int) -> dict[str, Any]:
    """Start and end jobs in batches, as a busy hub does."""
    before = _rss()
    begun = time.perf_counter()
    store = SQLiteStore(folder / "jobs.db")
    engine = JobEngine(store.stored(), time.time(), Random(1))
    engine.know(METHOD, JobOptions(), None, time.time())
    open_s = time.perf_counter() - begun
    held: list[End] = []
    times = []
    for _ in range(0, jobs, CLAIMED_AT_ONCE):
        batch = Batch(now=2.0, ends=held, claims=[Claim(Flow(1, 0, ""), CLAIMED_AT_ONCE)])
        begun = time.perf_counter()
        [claimed] = store.write(batch).claims
        times.append((time.perf_counter() - begun) / max(1, len(claimed)) * 1e6)
        held = [_end(job.id, job.attempt, job.request) for job in claimed]
    memory_bytes = _rss() - before
    assert engine.running == 0
    store.close()
    return {"us": statistics.median(times), "open_s": open_s, "memory_bytes": memory_bytes}


def _is_ready(id_: int, jobs: int, is_scattered: int) -> bool:
    return id_ % max(1, jobs // READY_JOBS) == 0 if is_scattered else id_ > jobs - READY_JOBS


def _new_job(id_: int, request: bytes, *, is_ready: bool) -> NewJob:
    state, attempt, started_at = (READY, 0, None) if is_ready else (RUNNING, 1, 1.0)
    return NewJob(
        id_, 1, int(state), 0, attempt, 1, 1e9, 1.0, started_at, "", None, None, None, None, None, request
    )  # fmt: skip


def _end(job: int, attempt: int, reply: bytes) -> End:
    return End(job, attempt, 1, int(RUNNING), int(SUCCEEDED), 0, 0, 0, "", "bench", reply, None)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _rss() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)


def main(arguments: list[str]) -> None:
    """Measure what is asked for."""
    what, folder, *numbers = arguments
    measurements = {"rate": rate, "fill": fill, "claim": claim}
    measure: Any = measurements[what]
    print(json.dumps(measure(Path(folder), *map(int, numbers))))


if __name__ == "__main__":
    main(sys.argv[1:])
