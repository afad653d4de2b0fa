"""Attempts at jobs at the switchboard: where they go, how they end, and what is told where they do not."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from portcall.core.attempts import release, tell_recorded
from portcall.core.refusals import CANCELLED, UNAVAILABLE
from portcall.errors import ProtocolError
from portcall.protos.job_ids import id_text
from portcall.protos.link_rules import CHECKPOINT_BYTES_MAX, NOTE_BYTES_MAX, many_ends, many_opens, singly
from portcall.protos.portcall.v1.jobs_pb2 import LogLine, Progress
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Checkpoint,
    Drain,
    End,
    Frame,
    Headers,
    JobAttempt,
    Kept,
    Message,
    Open,
    Opens,
    Recorded,
)

from .stand import METHOD, OTHER, Jobs, JobStand, Worker

# --- opening ----------------------------------------------------------------------------------------------------------


def test_an_attempt_goes_to_the_worker_with_the_most_free_slots() -> None:
    stand = JobStand()
    jobs, small, large = stand.jobs(), stand.worker(slots=1), stand.worker(slots=3)
    call_id = jobs.attempt(7, 2, message=b"m")
    [frame] = large.opens()
    assert (frame.open.attempt.job, frame.open.attempt.number, frame.open.message) == (7, 2, b"m")
    assert jobs.sink.placements == {call_id: large.port}
    assert not small.sink.frames
    large.end(frame.call_id, message=b"r")
    assert jobs.end(call_id).message == b"r"
    stand.check_idle()


def test_an_attempt_without_a_free_slot_is_given_back_at_once() -> None:
    stand = JobStand(calls_waiting_max=0)
    jobs, client, worker = stand.jobs(), stand.client(), stand.worker()
    client.open()
    single = jobs.attempt(7)
    many = jobs.port.id_last + 1
    jobs.send(many_opens(Open(method=METHOD), [many, many + 1], [b"", b""], [8, 9], [1, 1]))
    stranger = many + 2
    jobs.send(Frame(call_id=stranger, open=Open(method=OTHER, half_close=True, attempt=JobAttempt(job=1, number=1))))
    assert jobs.sink.take_losses() == [
        ([single], None, False),
        ([many, many + 1], None, False),
        ([stranger], None, False),
    ]
    assert len(worker.port.calls) == 1
    assert not jobs.port.calls
    assert stand.board.calls_refused == 0


def test_a_hub_that_stops_starts_no_attempts() -> None:
    stand = JobStand()
    jobs, _ = stand.jobs(), stand.worker()
    stand.board.is_closing = True
    assert stand.board.free_slots() == []
    jobs.attempt(7)
    assert jobs.sink.take_losses() == [([1], None, False)]


def test_a_waiting_call_has_the_slot_that_an_attempt_frees() -> None:
    stand = JobStand()
    jobs, client, worker = stand.jobs(), stand.client(), stand.worker()
    jobs.attempt(7)
    client.open()
    assert stand.board.calls_waiting == 1
    worker.end_oldest()
    assert stand.board.calls_waiting == 0
    assert stand.board.free_slots() == []


def test_attempts_have_no_deadline_at_the_hub() -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker()
    jobs.attempt(7, timeout_us=1_000_000)
    [frame] = worker.opens()
    assert frame.open.timeout_us == 1_000_000
    stand.wait(3_600.0)
    assert not worker.sink.frames
    assert not jobs.sink.frames


# --- free slots -------------------------------------------------------------------------------------------------------


def test_free_slots_are_told_by_the_methods_of_their_workers() -> None:
    stand = JobStand()
    jobs = stand.jobs()
    stand.worker(slots=2)
    stand.worker(slots=3)
    both = stand.worker(METHOD, OTHER, slots=4)
    jobs.attempt(7)
    assert dict(stand.board.free_slots()) == {frozenset({METHOD}): 5, frozenset({METHOD, OTHER}): 3}
    stand.board.suspend_worker(both.port, stand.now)
    assert dict(stand.board.free_slots()) == {frozenset({METHOD}): 5}


@given(st.lists(st.tuples(st.sampled_from(["open", "end"]), st.integers(0, 2)), max_size=40))
def test_free_slots_are_what_no_call_has(steps: list[tuple[str, int]]) -> None:
    stand = JobStand()
    jobs = stand.jobs()
    workers = [stand.worker(slots=slots) for slots in (1, 3, 2)]
    for what, who in steps:
        if what == "open":
            jobs.attempt(7)
        elif workers[who].port.calls:
            workers[who].end_oldest()
        free = sum(worker.port.slots - len(worker.port.calls) for worker in workers)
        assert sum(count for _, count in stand.board.free_slots()) == free


def test_somebody_is_told_once_that_slots_are_free() -> None:
    stand = JobStand()
    jobs, client = stand.jobs(), stand.client()
    told: list[str] = []

    def arm(name: str) -> None:
        stand.board.on_free = lambda: told.append(name)

    arm("a worker came")
    worker = stand.worker(slots=1)
    jobs.attempt(7)
    client.open()
    worker.end_oldest()
    assert told == ["a worker came"], "a call waited for the slot"
    arm("an end")
    worker.end_oldest()
    jobs.attempt(8)
    worker.end_oldest()
    assert told == ["a worker came", "an end"]
    arm("many ends")
    jobs.attempt(9)
    worker.send(many_ends(list(worker.port.calls), [b""]))
    arm("more slots")
    stand.board.set_slots(worker.port, 5, stand.now)
    assert told == ["a worker came", "an end", "many ends", "more slots"]


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_lost_worker_is_told_by_what_it_had_begun() -> None:
    stand = JobStand()
    jobs, client, worker, other = stand.jobs(), stand.client(), stand.worker(slots=4), stand.worker(slots=1)
    sent, unsent = jobs.attempt(7), jobs.attempt(8)
    call = client.open()
    frames = worker.sink.take()
    # The call goes to the other worker, which has a free slot; attempts do not.
    stand.lose(worker, {2: [frames[1]], 3: [frames[2]]})
    assert jobs.sink.take_losses() == [([sent], worker.port, True), ([unsent], worker.port, False)]
    assert not jobs.sink.frames
    assert [frame.open.HasField("attempt") for frame in other.opens()] == [False]
    assert call in client.port.calls
    assert not jobs.port.calls


def test_an_end_with_a_cause_is_a_loss() -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker(slots=3)
    died, back, failed = (jobs.attempt(job) for job in (7, 8, 9))
    worker.end(1, UNAVAILABLE, cause=End.CAUSE_DIED)
    worker.end(2, UNAVAILABLE, cause=End.CAUSE_HANDED_BACK)
    worker.end(3, UNAVAILABLE)
    assert jobs.sink.take_losses() == [([died], worker.port, True), ([back], worker.port, False)]
    assert jobs.end(failed).status == UNAVAILABLE
    assert (worker.port.free, worker.port.ended) == (3, 3)
    stand.check_idle()


def test_a_call_with_a_cause_is_a_call_that_ended() -> None:
    stand = JobStand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open()
    worker.end(1, UNAVAILABLE, cause=End.CAUSE_DIED)
    assert client.end(call_id).status == UNAVAILABLE
    stand.check_idle()


def test_a_cancelled_attempt_ends_when_its_worker_says_so() -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker()
    call_id = jobs.attempt(7)
    worker.sink.take()
    jobs.cancel(call_id)
    jobs.cancel(call_id)
    [frame] = worker.sink.take()
    assert frame.HasField("cancel")
    assert worker.port.free == 0
    worker.end(1, CANCELLED)
    assert jobs.end(call_id).status == CANCELLED
    jobs.cancel(call_id)
    stand.check_idle()


def test_an_attempt_that_was_told_to_stop_did_not_kill_its_worker() -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker()
    call_id = jobs.attempt(7)
    jobs.cancel(call_id)
    stand.lose(worker)
    end = jobs.end(call_id)
    assert end.status == CANCELLED
    assert end.details == f"It was told to stop, and {worker.port.name} was ended before it had"
    assert not jobs.sink.losses


def test_removing_the_port_stops_what_runs() -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker()
    jobs.attempt(7)
    worker.sink.take()
    stand.board.remove_client(jobs.port)
    assert [frame.HasField("cancel") for frame in worker.sink.take()] == [True]
    worker.end(1, CANCELLED)
    assert not jobs.sink.frames
    stand.check_idle()


# --- adopting ---------------------------------------------------------------------------------------------------------


def test_an_adopted_attempt_takes_a_slot_and_ends_as_any() -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker(slots=2)
    stand.board.adopt(jobs.port, 5, worker.port, 7, 3, replies=4)
    [frame] = worker.opens()
    assert frame.open.attempt == JobAttempt(job=7, number=3, replies=4, is_adopted=True)
    assert frame.open.half_close
    assert worker.port.free == 1
    worker.end(frame.call_id, message=b"r")
    assert jobs.end(5).message == b"r"
    stand.check_idle()
    assert worker.port.free == 2
    assert jobs.port.id_last == 5


def test_what_is_adopted_has_its_slots_before_any_call() -> None:
    stand = JobStand()
    jobs, client, gone = stand.jobs(), stand.client(), stand.worker()
    stand.lose(gone)
    client.open()
    worker = Worker(stand, "back", slots=1)
    stand.board.adopt(jobs.port, 1, worker.port, 7, 1)
    stand.board.add_worker(worker.port, (METHOD,), stand.now)
    assert [frame.open.attempt.job for frame in worker.opens()] == [7]
    assert stand.board.calls_waiting == 1
    worker.end(1)
    assert [frame.open.attempt.job for frame in worker.opens()] == [0]


def test_more_may_be_adopted_than_there_are_slots() -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker(slots=1)
    for call_id in (1, 2):
        stand.board.adopt(jobs.port, call_id, worker.port, call_id, 1)
    assert worker.port.free == -1
    assert stand.board.free_slots() == []
    worker.end(1)
    assert stand.board.free_slots() == []
    worker.end(2)
    assert stand.board.free_slots() == [(frozenset({METHOD}), 1)]


def test_an_attempt_moves_to_the_newer_session_of_its_worker() -> None:
    stand = JobStand()
    jobs, old = stand.jobs(), stand.worker()
    call_id = jobs.attempt(7)
    stand.board.suspend_worker(old.port, stand.now)
    old.sink.take()
    new = stand.worker()
    stand.board.adopt(jobs.port, call_id, new.port, 7, 1)
    stand.lose(old)
    assert not jobs.sink.losses
    assert not old.sink.frames, "the old session is told nothing"
    new.end(1, message=b"r")
    assert jobs.end(call_id).message == b"r"
    stand.check_idle()


def test_a_session_that_lives_may_end_what_has_moved_away() -> None:
    stand = JobStand()
    jobs, old, new = stand.jobs(), stand.worker(), stand.worker()
    call_id = jobs.attempt(7)
    holder, other = (old, new) if old.port.calls else (new, old)
    stand.board.adopt(jobs.port, call_id, other.port, 7, 1)
    holder.end(1)
    assert not jobs.sink.frames
    assert holder.port.free == 1
    other.end(1)
    assert jobs.end(call_id).status == 0
    stand.check_idle()


# --- what is told on the way ------------------------------------------------------------------------------------------


def test_what_attempts_tell_goes_down_and_what_is_kept_goes_up() -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker()
    call_id = jobs.attempt(7)
    worker.sink.take()
    worker.send(
        Frame(call_id=1, progress=Progress(done=1)),
        Frame(call_id=1, log=LogLine(text="t")),
        Frame(call_id=1, headers=Headers()),
        Frame(call_id=1, message=Message(data=b"r")),
        Frame(call_id=1, checkpoint=Checkpoint(state=b"s")),
    )
    frames = jobs.sink.take()
    assert [frame.WhichOneof("event") for frame in frames] == ["progress", "log", "headers", "message", "checkpoint"]
    assert {frame.call_id for frame in frames} == {call_id}
    jobs.send(Frame(call_id=call_id, kept=Kept(checkpoints=1, replies=1)))
    [kept] = worker.sink.take()
    assert (kept.call_id, kept.kept) == (1, Kept(checkpoints=1, replies=1))
    worker.send(Frame(call_id=1, checkpoint=Checkpoint(state=b"s")))
    jobs.cancel(call_id)
    worker.end(1, CANCELLED)
    # Late frames go by.
    worker.send(Frame(call_id=1, progress=Progress(done=2)))
    jobs.send(Frame(call_id=call_id, kept=Kept(checkpoints=2)))


def test_recorded_and_released() -> None:
    stand = JobStand()
    worker = stand.worker()
    tell_recorded(worker.port, [(7, 1), (8, 2)])
    release(worker.port, [(9, 3)])
    recorded, released = worker.sink.take()
    assert recorded == Frame(recorded=Recorded(jobs=[7, 8], attempts=[1, 2]))
    assert [(one.job, one.number) for one in released.release.attempts] == [(9, 3)]
    stand.lose(worker)
    tell_recorded(worker.port, [(7, 1)])
    assert not worker.sink.frames


# --- broken rules -----------------------------------------------------------------------------------------------------

ATTEMPT = Open(method=METHOD, half_close=True, attempt=JobAttempt(job=1, number=1))


@pytest.mark.parametrize(
    "frame",
    [
        Frame(call_id=1, open=ATTEMPT),
        Frame(opens=Opens(shared=Open(method=METHOD), call_ids=[1], messages=[b""], jobs=[1], attempts=[1])),
        Frame(opens=Opens(shared=Open(method=METHOD), call_ids=[1], messages=[b""], attempts=[1])),
        Frame(opens=Opens(shared=ATTEMPT, call_ids=[1], messages=[b""])),
    ],
)
def test_a_client_opens_no_attempts(frame: Frame) -> None:
    stand = JobStand()
    client, worker = stand.client(), stand.worker()
    with pytest.raises(ProtocolError, match="only a hub does"):
        client.send(frame)
    assert not worker.sink.frames
    assert worker.port.free == 1


@pytest.mark.parametrize("event", ["kept", "progress", "log", "checkpoint", "recorded", "release"])
def test_a_client_says_nothing_of_attempts(event: str) -> None:
    stand = JobStand()
    client, _ = stand.client(), stand.worker()
    frame = Frame(call_id=client.open())
    getattr(frame, event).SetInParent()
    with pytest.raises(ProtocolError, match=f"a client cannot send {event}"):
        client.send(frame)


@pytest.mark.parametrize("event", ["progress", "log", "checkpoint", "kept"])
def test_a_worker_says_nothing_of_attempts_in_a_call(event: str) -> None:
    stand = JobStand()
    client, worker = stand.client(), stand.worker()
    client.open()
    frame = Frame(call_id=1)
    getattr(frame, event).SetInParent()
    with pytest.raises(ProtocolError, match=f"a worker cannot send {event}"):
        worker.send(frame)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([Frame(call_id=1, log=LogLine(text="x" * NOTE_BYTES_MAX))], "a log of"),
        ([Frame(call_id=1, progress=Progress(note="x" * NOTE_BYTES_MAX))], "a progress of"),
        ([Frame(call_id=1, checkpoint=Checkpoint(state=b"x" * (CHECKPOINT_BYTES_MAX + 1)))], "a checkpoint of"),
        ([Frame(call_id=1, checkpoint=Checkpoint())] * 2, "before the one before it was kept"),
        ([Frame(call_id=1, kept=Kept())], "a worker cannot send kept"),
        ([Frame(call_id=1, cancel=Cancel())], "a worker cannot send cancel"),
        ([Frame(call_id=9, progress=Progress())], "never opened"),
    ],
)
def test_a_worker_that_tells_too_much(frames: list[Frame], words: str) -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker()
    jobs.attempt(7)
    with pytest.raises(ProtocolError, match=words):
        worker.send(*(Frame.FromString(frame.SerializeToString()) for frame in frames))


@pytest.mark.parametrize(
    "opens",
    [
        Opens(call_ids=[1, 2], messages=[b"", b""], jobs=[1], attempts=[1, 1]),
        Opens(call_ids=[1, 2], messages=[b"", b""], jobs=[1, 2], attempts=[1]),
        Opens(call_ids=[1, 2], messages=[b"", b""], jobs=[1, 0], attempts=[1, 1]),
        Opens(call_ids=[1, 2], messages=[b"", b""], jobs=[1, 2], attempts=[1, 0]),
        Opens(shared=ATTEMPT, call_ids=[1], messages=[b""], jobs=[1], attempts=[1]),
    ],
)
def test_columns_of_attempts_that_do_not_fit(opens: Opens) -> None:
    stand = JobStand()
    jobs, worker = stand.jobs(), stand.worker(slots=5)
    with pytest.raises(ProtocolError, match="attempt"):
        jobs.send(Frame(opens=opens))
    assert worker.port.free == 5


# --- the same as singly -----------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.just(0), st.integers(1, 6)),
        st.tuples(st.just("end"), st.integers(0, 1), st.integers(1, 6)),
        st.tuples(st.just("cancel"), st.just(0), st.integers(1, 12)),
        st.tuples(st.just("lose"), st.integers(0, 1), st.just(1)),
        st.tuples(st.just("call"), st.just(0), st.just(1)),
        st.tuples(st.just("drain"), st.integers(0, 1), st.just(1)),
    ),
    max_size=30,
)


class Fleet:
    """Jobs and two workers, which speak of many attempts at once, or of each by itself."""

    def __init__(self, *, is_singly: bool) -> None:
        self.stand = JobStand()
        self.is_singly = is_singly
        self.jobs, self.client = self.stand.jobs(), self.stand.client()
        self.workers: list[Worker] = [self.stand.worker(slots=3), self.stand.worker(slots=2)]
        self.heard: list[list[Frame]] = []
        self.lost: list[tuple[int, bool]] = []

    def do(self, what: str, who: int, count: int) -> None:
        worker = self.workers[who]
        if what == "open":
            ids = range(self.jobs.port.id_last + 1, self.jobs.port.id_last + count + 1)
            messages = [b"m%d" % call_id for call_id in ids]
            frame = many_opens(Open(method=METHOD), ids, messages, [call_id + 100 for call_id in ids], [1] * count)
            self._say(self.jobs, frame)
        elif what == "end":
            ended = list(worker.port.calls)[:count]
            if ended:
                self._say(worker, many_ends(ended, [b"reply to %d" % call_id for call_id in ended]))
        elif what == "cancel" and count in self.jobs.port.calls:
            self.jobs.send(Frame(call_id=count, cancel=Cancel()))
        elif what == "call":
            self.client.open()
        elif what == "drain":
            worker.send(Frame(drain=Drain()))
        elif what == "lose":
            self.stand.lose(worker)
            self.heard.append(self._heard(worker))
            self.workers[who] = self.stand.worker(slots=2)
        for call_ids, _, is_begun in self.jobs.sink.take_losses():
            self.lost += [(call_id, is_begun) for call_id in call_ids]

    def story(self) -> object:
        heard = [*self.heard, *(self._heard(peer) for peer in (self.jobs, self.client, *self.workers))]
        free = {frozenset(methods): count for methods, count in self.stand.board.free_slots()}
        return heard, sorted(self.lost), free, self.stand.board.calls_running

    def _heard(self, peer: "Jobs | Worker | object") -> list[Frame]:
        frames = singly(peer.sink.frames)  # type: ignore[union-attr, attr-defined]  # each of these has one
        return sorted(frames, key=lambda frame: (frame.call_id, str(frame.WhichOneof("event"))))

    def _say(self, peer: Jobs | Worker, frame: Frame) -> None:
        peer.send(*(singly([frame]) if self.is_singly else [frame]))


@given(STEPS)
def test_many_at_once_are_as_many_singly(steps: list[tuple[str, int, int]]) -> None:
    together, apart = Fleet(is_singly=False), Fleet(is_singly=True)
    for step in steps:
        together.do(*step)
        apart.do(*step)
    assert together.story() == apart.story()


def test_an_id_has_thirteen_characters() -> None:
    assert [id_text(job) for job in (0, 31, 32, (1 << 63) - 1)] == [
        "0000000000000",
        "000000000000z",
        "0000000000010",
        "7zzzzzzzzzzzz",
    ]
