"""Every store gives the same answers to the same batches as the model does."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from portcall.core.jobs.batch import Batch, MethodOptionsRow
from portcall.core.jobs.rows import JobFilter
from portcall.core.jobs.states import JobState
from portcall.store.protocol import Reader, Store

from .batches import KEYS, NAMES, OPTIONS, BatchMaker
from .model import ModelStore
from .stores import STORES

MEMORY = Path("/dev/shm")

SETTINGS = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


class Lockstep(RuleBasedStateMachine):
    """The model and another store, side by side."""

    store: Store
    reader: Reader

    def __init__(self) -> None:
        super().__init__()
        self.model = ModelStore()
        self.now = 1_000.0
        self.last_id = 100
        self.open()

    def open(self) -> None:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.write(Batch(now=self.now, methods=[MethodOptionsRow(name, OPTIONS[0]) for name in NAMES[:2]]))

    @rule(data=st.data(), step_s=st.integers(0, 3))
    def perform(self, data: st.DataObject, step_s: int) -> None:
        self.now += step_s
        self.write(BatchMaker(data.draw, self.model, self.now, self.last_id).batch())

    @rule()
    def reopen(self) -> None:
        self.reader.close()
        self.store.close()
        self.open()

    @rule(data=st.data())
    def find(self, data: st.DataObject) -> None:
        ids = [None, *sorted(self.model.jobs)[-4:]]
        maybe = st.none() | st.sampled_from(["a", "b"])
        wanted = JobFilter(
            method=data.draw(st.none() | st.sampled_from(NAMES)),
            states=data.draw(st.frozensets(st.sampled_from(JobState), max_size=3)),
            key=data.draw(st.sampled_from(KEYS)),
            parent=data.draw(st.none() | st.sampled_from(ids)),
            label=data.draw(maybe),
            label_value=data.draw(st.none() | st.sampled_from("xyz")),
            id_min=data.draw(st.just(0) | st.integers(100, 130)),
            id_max=data.draw(st.just((1 << 63) - 1) | st.integers(110, 200)),
        )
        before, limit = data.draw(st.sampled_from(ids)), data.draw(st.integers(1, 5))
        with_payloads = data.draw(st.booleans())
        answers = [
            reader.find(wanted, before=before, limit=limit, with_payloads=with_payloads)
            for reader in (self.model, self.reader)
        ]
        assert answers[0] == answers[1]

    def write(self, batch: Batch) -> None:
        expected, written = self.model.write(batch), self.store.write(batch)
        self.last_id = max([self.last_id, *(job.id for job in batch.appends)])
        for name, value in comparable(expected).items():
            assert comparable(written)[name] == value, name + repr(batch.ends) + repr(batch.agains)

    @invariant()
    def holds_the_same(self) -> None:
        ids = sorted(self.model.jobs)
        assert self.reader.get(ids) == self.model.get(ids)
        assert self.reader.states([*ids, 99]) == self.model.states([*ids, 99])
        assert self.reader.tallies() == self.model.tallies()
        assert self.reader.backlogs() == self.model.backlogs()
        assert self.reader.schedules() == self.model.schedules()
        assert comparable(self.store.stored()) == comparable(self.model.stored())
        for job in ids:
            assert self.reader.attempts(job) == self.model.attempts(job)
            assert self.reader.notes(job, after=1, limit=3) == self.model.notes(job, after=1, limit=3)
            assert self.reader.replies(job, offset=1, limit=2) == self.model.replies(job, offset=1, limit=2)


def comparable(answer: object) -> dict[str, object]:
    """An answer's fields, whatever kinds of sequence and mapping they come in."""
    fields = {name: getattr(answer, name) for name in answer.__dataclass_fields__}  # type: ignore[attr-defined]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def machine(kind: str) -> type[Lockstep]:
    """The model and a store of a kind."""

    class Machine(Lockstep):
        def __init__(self) -> None:
            # In memory where there is such a place: what is asked here is not whether the disk holds.
            self._folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
            self._place = STORES[kind](Path(self._folder.name))
            super().__init__()

        def open(self) -> None:
            self.store = self._place.open()
            self.reader = self.store.reader()

        def teardown(self) -> None:
            self.reader.close()
            self.store.close()
            self._folder.cleanup()

    return Machine


@pytest.mark.parametrize("kind", [kind for kind in STORES if kind != "model"])
def test_a_store_answers_as_the_model_does(kind: str) -> None:
    run_state_machine_as_test(machine(kind), settings=SETTINGS)
