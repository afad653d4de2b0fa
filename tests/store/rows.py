"""Rows to write, with what a test does not care about filled in, and a store that is easy to ask."""

from typing import Any

from portcall.core.jobs.batch import (
    Again,
    AttemptOutcome,
    Batch,
    Claim,
    End,
    Flow,
    MethodOptionsRow,
    NewJob,
    Written,
)
from portcall.core.jobs.rows import JobRow
from portcall.core.jobs.states import JobState
from portcall.store.protocol import Reader, Store

from .stores import Place

NOW = 1_000.0
METHOD = "/a.A/One"


def new_job(id_: int, **fields: Any) -> NewJob:
    """A job that is ready, unless told otherwise."""
    state = fields.pop("state", JobState.READY)
    is_running = state is JobState.RUNNING
    row = NewJob(
        id=id_, method=1, state=int(state), rank=0, attempt=int(is_running), policy=1, keep_s=60.0, due_at=NOW,
        started_at=NOW if is_running else None, value="", key=None, parent=None, step=None, overrides=None,
        metadata=None, request=b"request",
    )  # fmt: skip
    return row._replace(**fields)


def running(id_: int, **fields: Any) -> NewJob:
    """A job that is stored as running, with its first attempt."""
    return new_job(id_, state=JobState.RUNNING, **fields)


def end(id_: int, state: JobState = JobState.SUCCEEDED, **fields: Any) -> End:
    """The end of a job in its first attempt."""
    row = End(
        job=id_, attempt=1, method=1, was=int(JobState.RUNNING), state=int(state), failures=0, deaths=0,
        status=0 if state is JobState.SUCCEEDED else 14, details="", worker="w",
        reply=b"reply" if state is JobState.SUCCEEDED else None, trailers=None,
    )  # fmt: skip
    return row._replace(**fields)


def again(id_: int, **fields: Any) -> Again:
    """The end of a first attempt that another one follows, at once."""
    row = Again(
        job=id_, attempt=1, method=1, was=int(JobState.RUNNING), state=int(JobState.READY), due_at=NOW, rank=0,
        failures=1, deaths=0, started_at=NOW, outcome=AttemptOutcome.FAILED, status=14, details="no luck", worker="w",
    )  # fmt: skip
    return row._replace(**fields)


def claim(most: int = 1, *, method: int = 1, rank: int = 0, value: str = "") -> Claim:
    """A claim of the first jobs of a flow."""
    return Claim(Flow(method, rank, value), most)


class Session:
    """A store with one method and whatever a test writes, a second later each time."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.now = NOW
        self.store: Store = place.open()
        self.reader: Reader = self.store.reader()
        self.write(methods=[MethodOptionsRow(METHOD, b"")])

    def write(self, **fields: Any) -> Written:
        self.now += 1.0
        return self.store.write(Batch(now=fields.pop("now", self.now), **fields))

    def reopen(self) -> None:
        self.close()
        self.store = self._place.open()
        self.reader = self.store.reader()

    def close(self) -> None:
        self.reader.close()
        self.store.close()

    def job(self, id_: int) -> JobRow:
        [row] = self.reader.get([id_])
        return row

    def states(self) -> dict[int, JobState]:
        return self.reader.states(range(1, 100))
