"""Batches of chance, made with an eye on what a store holds, so that most of what they ask can be done."""

from typing import Any

from hypothesis import strategies as st

from portcall.core.jobs.attempts import NOTE_BITS
from portcall.core.jobs.batch import (
    UNSORTED,
    Again,
    AttemptOutcome,
    Batch,
    Checkpoint,
    Claim,
    Dependency,
    End,
    Flow,
    FlowPage,
    Label,
    Look,
    MethodOptionsRow,
    NewJob,
    NewValue,
    Note,
    Purge,
    Reply,
    Revival,
    ScheduleRow,
)
from portcall.core.jobs.states import HELD, JobState

from .model import ModelJob, ModelStore

NAMES = ["/a.A/One", "/a.A/Two", "/b.B/Three"]
OPTIONS = [b"", b"\x08\x05", b"\x08\x07"]
KEYS = [None, None, None, "k1", "k2", "\x1fé'"]
VALUES = ["", "", "x", "y", "\U0001f40d", UNSORTED]
RANKS = [0, 0, -5, 7]
PAYLOADS = [b"", b"r", b"s" * 100, b"L" * 1_025, b"M" * 5_000]

small = st.integers(0, 3)


class BatchMaker:
    """Draws batches."""

    def __init__(self, draw: Any, model: ModelStore, now: float, first_id: int) -> None:
        self._draw = draw
        self._model = model
        self._now = now
        self._next_id = first_id
        self._ids = sorted(model.jobs)
        self._held = [job for job in model.jobs.values() if job.state in HELD]

    def batch(self) -> Batch:
        parts = self._draw(st.sets(st.sampled_from(sorted(PARTS)), min_size=1, max_size=4))
        fields: dict[str, Any] = {}
        for part in sorted(parts):
            fields |= PARTS[part](self)
        return Batch(now=self._now, **fields)

    def _pick(self, choices: Any) -> Any:
        return self._draw(st.sampled_from(choices))

    def _some(self, choices: Any, most: int = 4) -> list[Any]:
        return self._draw(st.lists(st.sampled_from(choices), max_size=most)) if choices else []

    def _method(self) -> int:
        return self._pick([ids.method for ids in self._model.methods.values()])

    def methods(self) -> dict[str, Any]:
        return {"methods": [MethodOptionsRow(self._pick(NAMES), self._pick(OPTIONS))]}

    def appends(self) -> dict[str, Any]:
        jobs = [self._new_job() for _ in range(self._draw(st.integers(1, 12)))]
        named = [*self._ids, *(job.id for job in jobs), 1]
        waiting = [job for job in jobs if job.state in (JobState.READY, JobState.SCHEDULED)]
        dependencies = {
            Dependency(job.id, parent)
            for job in self._some(waiting)
            for parent in self._some(named)
            if parent != job.id
        }
        labels = {(job.id, self._pick("ab")): self._pick("xyz") for job in self._some(jobs)}
        return {
            "appends": jobs,
            "dependencies": sorted(dependencies),
            "labels": [Label(job, name, value) for (job, name), value in labels.items()],
            "replaceable": frozenset(job.id for job in jobs if self._draw(st.booleans())),
        }

    def _new_job(self) -> NewJob:
        state = self._pick([JobState.READY, JobState.READY, JobState.RUNNING, JobState.SCHEDULED])
        is_running = state is JobState.RUNNING
        due_at = self._now + self._draw(st.integers(1, 9)) if state is JobState.SCHEDULED else self._now
        self._next_id += 1
        return NewJob(
            id=self._next_id, method=self._method(), state=int(state), rank=self._pick(RANKS), attempt=int(is_running),
            policy=1, keep_s=float(self._draw(small)), due_at=due_at, started_at=self._now if is_running else None,
            value=self._pick(VALUES), key=self._pick(KEYS), step=self._pick([None, None, "s"]),
            parent=self._pick([None, None, None, *self._ids[-3:], 1]),
            overrides=self._pick([None, b"o"]), metadata=self._pick([None, b"m"]), request=self._pick(PAYLOADS),
        )  # fmt: skip

    def _attempts(self) -> list[tuple[ModelJob, int]]:
        """Some attempts, most of which hold their jobs."""
        chosen = {job.id: job for job in self._some(self._held, most=8)}
        if self._ids and self._draw(small) == 0:
            stray = self._model.jobs[self._pick(self._ids)]
            chosen[stray.id] = stray
        return [(job, job.attempt if self._draw(st.integers(0, 9)) else job.attempt - 1) for job in chosen.values()]

    def ends(self) -> dict[str, Any]:
        ends, agains = [], []
        for job, attempt in self._attempts():
            was = self._pick([job.state if job.state in HELD else JobState.RUNNING] * 9 + [JobState.CANCELLING])
            if self._draw(st.booleans()):
                state = self._pick([JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
                reply = self._pick([None, *PAYLOADS])
                ends.append(
                    End(
                        job.id,
                        attempt,
                        job.method,
                        int(was),
                        int(state),
                        1,
                        0,
                        self._draw(small),
                        "d",
                        "w",
                        reply,
                        b"t",
                    )
                )
                continue
            later = self._draw(small)
            state = JobState.SCHEDULED if later else JobState.READY
            outcome = self._pick([AttemptOutcome.FAILED, AttemptOutcome.DIED, AttemptOutcome.HANDED_BACK])
            agains.append(
                Again(
                    job.id, attempt, job.method, int(was), int(state), self._now + later, self._pick(RANKS), 1, 1,
                    self._now, outcome, 14, "lost", "w",
                )
            )  # fmt: skip
        return {"ends": ends, "agains": agains}

    def told(self) -> dict[str, Any]:
        notes, replies, checkpoints = [], [], []
        for job, attempt in self._attempts():
            first = (attempt << NOTE_BITS) + 1
            notes += [Note(job.id, attempt, first + k, self._now, 1, b"p") for k in range(self._draw(small))]
            replies += [Reply(job.id, attempt, k, self._pick(PAYLOADS)) for k in range(self._draw(small))]
            if self._draw(st.booleans()):
                checkpoints.append(Checkpoint(job.id, attempt, self._now, self._draw(small), b"c"))
        return {"notes": notes, "replies": replies, "checkpoints": checkpoints}

    def cancels(self) -> dict[str, Any]:
        return {"cancels": self._some([*self._ids, 5])}

    def revivals(self) -> dict[str, Any]:
        ended = [job.id for job in self._model.jobs.values() if job.state in (JobState.FAILED, JobState.CANCELLED)]
        return {"revivals": [Revival(job, 0) for job in dict.fromkeys(self._some([*ended, *self._ids[:2]]))]}

    def purges(self) -> dict[str, Any]:
        expired_by = self._now - self._draw(small)
        return {"purge": Purge(expired_by, self._draw(st.integers(1, 5))), "forget": self._some(self._ids, most=2)}

    def schedules(self) -> dict[str, Any]:
        job = self._pick([None, *self._ids[-3:]])
        row = ScheduleRow(self._pick(["s1", "s2"]), b"spec", self._pick([None, 1.5]), None, job)
        return {"schedules": [row], "schedules_removed": self._some(["s1", "s3"], most=1)}

    def promotes(self) -> dict[str, Any]:
        return {"promote_max": self._draw(st.integers(1, 5))}

    def claims(self) -> dict[str, Any]:
        flows = {job.flow for job in self._model.jobs.values()} | {Flow(1, 0, "")}
        chosen = dict.fromkeys(self._some(sorted(flows)))
        return {"claims": [Claim(flow, self._draw(st.integers(1, 6))) for flow in chosen]}

    def sorting(self) -> dict[str, Any]:
        values = [NewValue(job, self._pick(VALUES[:-1])) for job in self._some(self._ids)]
        ranks = dict.fromkeys(self._some(RANKS))
        looks = [Look(Flow(1, rank, UNSORTED), self._draw(st.integers(1, 4)), self._pick([1, 5_000])) for rank in ranks]
        return {"values": values, "looks": looks}

    def pages(self) -> dict[str, Any]:
        after = self._pick([None, (0, ""), (-5, "x"), (7, "y")])
        return {"flow_pages": [FlowPage(self._method(), after, self._draw(st.integers(1, 4)))]}


PARTS = {
    "methods": BatchMaker.methods,
    "told": BatchMaker.told,
    "ends": BatchMaker.ends,
    "cancels": BatchMaker.cancels,
    "revivals": BatchMaker.revivals,
    "purges": BatchMaker.purges,
    "schedules": BatchMaker.schedules,
    "promotes": BatchMaker.promotes,
    "appends": BatchMaker.appends,
    "claims": BatchMaker.claims,
    "sorting": BatchMaker.sorting,
    "pages": BatchMaker.pages,
}
