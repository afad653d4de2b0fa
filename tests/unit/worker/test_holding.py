"""What a worker holds of attempts, and for how long."""

from collections.abc import Sequence

import pytest

from portcall.core.refusals import CANCELLED, OK, UNAVAILABLE
from portcall.errors import ProtocolError
from portcall.protos.link_rules import singly
from portcall.protos.portcall.v1.jobs_pb2 import LogLine, Progress
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Checkpoint,
    Credit,
    End,
    Frame,
    Frames,
    HeldAttempt,
    JobAttempt,
    Kept,
    Message,
    Metadatum,
    Open,
    Opens,
    Recorded,
    Release,
)
from portcall.wire.link import Link
from portcall.worker import holding as module
from portcall.worker import notes as notes_module
from portcall.worker.holding import Holding

METHOD = "/test.Service/Method"


class Held:
    """A holding, with what it gives to what runs attempts, and what it sends to the hub of the moment."""

    def __init__(self) -> None:
        self.run: list[Frame] = []
        self.holding = Holding(self._run)
        self.attach()

    def _run(self, frames: Sequence[Frame]) -> None:
        self.run += singly(frames)

    def attach(self) -> None:
        """Begin a session."""
        self.link = Link()
        self.link.establish()
        self.holding.attach(self.link)

    def open(self, call_id: int, job: int, number: int = 1, *, half_close: bool = True, replies: int = 0) -> int:
        """Open an attempt; return the id that it has here."""
        attempt = JobAttempt(job=job, number=number, replies=replies)
        self.holding.take_open(Frame(call_id=call_id, open=Open(method=METHOD, half_close=half_close, attempt=attempt)))
        return self.run[-1].call_id

    def adopt(self, call_id: int, job: int, number: int = 1, replies: int = 0) -> None:
        attempt = JobAttempt(job=job, number=number, replies=replies, is_adopted=True)
        self.holding.take_open(Frame(call_id=call_id, open=Open(half_close=True, attempt=attempt)))

    def take(self, frame: Frame) -> None:
        assert self.holding.take(frame)

    def reply(self, id_: int, data: bytes, *, more: bool = False) -> None:
        self.holding.send(Frame(call_id=id_, message=Message(data=data, more=more)), len(data))

    def sent(self) -> list[Frame]:
        """What has gone to the hub since the last time."""
        batch = self.link.next_batch()
        return [] if batch is None else list(singly(Frames.FromString(batch).frames))

    def named(self) -> list[tuple[int, int]]:
        return [(one.job, one.number) for one in self.holding.named()]


def ends(frames: Sequence[Frame]) -> dict[int, End]:
    return {frame.call_id: frame.end for frame in frames if frame.HasField("end")}


def test_ids_here_outlive_those_of_the_link() -> None:
    held = Held()
    first = held.open(5, 70)
    held.attach()
    second = held.open(5, 71)
    assert first != second
    held.adopt(6, 70)
    held.take(Frame(call_id=6, cancel=Cancel()))
    assert held.run[-1] == Frame(call_id=first, cancel=Cancel())
    held.holding.end_ok(second, b"two")
    held.holding.end_ok(first, b"one")
    assert {call_id: end.message for call_id, end in ends(held.sent()).items()} == {5: b"two", 6: b"one"}


def test_an_end_is_named_until_it_is_recorded() -> None:
    held = Held()
    held.holding.take_opens(
        Opens(shared=Open(method=METHOD), call_ids=[1, 2], messages=[b"", b""], jobs=[70, 71], attempts=[1, 4])
    )
    for frame in held.run:
        held.holding.end_ok(frame.call_id, b"r")
    assert sorted(held.named()) == [(70, 1), (71, 4)]
    told: list[str] = []
    held.holding.on_empty = lambda: told.append("empty")
    held.take(Frame(recorded=Recorded(jobs=[70, 71], attempts=[1, 3])))
    assert held.named() == [(71, 4)], "the number counts, too"
    assert not told
    held.take(Frame(recorded=Recorded(jobs=[71], attempts=[4])))
    assert told == ["empty"]
    assert held.holding.is_empty
    assert held.holding._over_bytes == 0
    assert not held.holding._by_call


def test_what_is_released_is_stopped_and_says_nothing_more() -> None:
    held = Held()
    id_ = held.open(1, 70)
    over = held.open(2, 71)
    held.holding.end_ok(over, b"r")
    held.attach()
    held.take(Frame(release=Release(attempts=[HeldAttempt(job=70, number=1), HeldAttempt(job=71, number=1)])))
    assert held.run[-1] == Frame(call_id=id_, cancel=Cancel())
    assert held.holding.is_empty
    held.holding.send(Frame(call_id=id_, end=End(status=CANCELLED)))
    held.holding.send(Frame(call_id=id_, checkpoint=Checkpoint()))
    held.holding.end_ok(id_, b"")
    assert held.sent() == []
    assert held.holding.is_empty


def test_a_higher_number_releases_the_attempt_before() -> None:
    held = Held()
    before = held.open(1, 70, 1)
    held.open(2, 70, 2)
    assert Frame(call_id=before, cancel=Cancel()) in held.run
    assert held.named() == [(70, 2)]


@pytest.mark.parametrize("number", [1, 2])
def test_an_attempt_is_opened_once(number: int) -> None:
    held = Held()
    held.open(1, 70, 2)
    with pytest.raises(ProtocolError, match=f"attempt {number} opened where 2 is held"):
        held.open(2, 70, number)


def test_what_is_not_here_any_more_cannot_be_adopted() -> None:
    held = Held()
    held.open(1, 70, 2)
    held.attach()
    for call_id, (job, number) in enumerate([(71, 1), (70, 1)], 1):
        held.adopt(call_id, job, number)
    held.adopt(3, 70, 2)
    held.adopt(4, 70, 2)
    told = ends(held.sent())
    assert {call_id: end.cause for call_id, end in told.items()} == dict.fromkeys((1, 2, 4), End.CAUSE_DIED)


def test_a_request_that_is_cut_off_is_forgotten() -> None:
    held = Held()
    id_ = held.open(1, 70, half_close=False)
    held.take(Frame(call_id=1, message=Message(data=b"half")))
    held.attach()
    assert held.named() == []
    assert held.run[-1] == Frame(call_id=id_, cancel=Cancel())


def test_replies_are_kept_until_the_hub_has_them() -> None:
    held = Held()
    id_ = held.open(1, 70, replies=2)
    for number in range(2, 6):
        held.reply(id_, b"%d" % number)
    held.take(Frame(call_id=1, kept=Kept(replies=4)))
    held.holding.send(Frame(call_id=id_, end=End(status=OK)))
    assert [frame.message.data for frame in held.sent()][:4] == [b"2", b"3", b"4", b"5"]
    held.attach()
    held.adopt(9, 70, replies=5)
    assert [frame.WhichOneof("event") for frame in held.sent()] == ["message", "end"]
    held.attach()
    held.adopt(1, 70, replies=3)
    assert ends(held.sent())[1].cause == End.CAUSE_DIED, "the hub has forgotten what it had"


def test_replies_wait_for_the_credit_of_each_session() -> None:
    held = Held()
    id_ = held.open(1, 70)
    for _ in range(3):
        held.reply(id_, b"x" * 30_000)
    held.holding.send(Frame(call_id=id_, end=End(status=OK)))
    sizes = [len(frame.message.data) for frame in held.sent()]
    assert sum(sizes) == 65_536
    held.attach()
    held.adopt(1, 70)
    assert sum(len(frame.message.data) for frame in held.sent()) == 65_536
    held.take(Frame(call_id=1, credit=Credit(bytes=65_536)))
    frames = held.sent()
    assert sum(len(frame.message.data) for frame in frames) == 90_000 - 65_536
    assert frames[-1].HasField("end")


def test_what_a_hub_kept_without_a_word_makes_room_all_the_same() -> None:
    held = Held()
    id_ = held.open(1, 70)
    for _ in range(4):
        held.reply(id_, b"x" * 60_000)
    granted = [frame.credit.bytes for frame in held.run if frame.HasField("credit")]
    assert sum(granted) < 262_144
    held.attach()
    held.run.clear()
    held.adopt(1, 70, replies=4)
    assert [frame.HasField("credit") for frame in held.run] == [True]


def test_a_checkpoint_goes_behind_the_replies_before_it() -> None:
    held = Held()
    id_ = held.open(1, 70)
    held.reply(id_, b"x" * 60_000)
    held.reply(id_, b"y" * 20_000)
    held.holding.send(Frame(call_id=id_, checkpoint=Checkpoint(state=b"s")), 1)
    held.reply(id_, b"z")
    assert not any(frame.HasField("checkpoint") for frame in held.sent())
    held.take(Frame(call_id=1, credit=Credit(bytes=65_536)))
    kinds = [frame.WhichOneof("event") for frame in held.sent()]
    assert kinds == ["message", "checkpoint", "message"]
    held.attach()
    held.adopt(1, 70, replies=2)
    assert [frame.WhichOneof("event") for frame in held.sent()] == ["checkpoint", "message"]
    held.take(Frame(call_id=1, kept=Kept(checkpoints=1, replies=2)))
    assert held.run[-1] == Frame(call_id=id_, kept=Kept(checkpoints=1))


def test_a_checkpoint_that_nobody_has_is_told_before_the_end_that_makes_it_matter() -> None:
    held = Held()
    id_ = held.open(1, 70)
    held.holding.detach()
    held.holding.send(Frame(call_id=id_, checkpoint=Checkpoint(state=b"s")), 1)
    held.holding.lost([id_], None, is_begun=True)
    for call_id in (5, 6):
        # The hub that heard it may die before it has stored it.
        held.attach()
        held.adopt(call_id, 70)
        told = held.sent()
        assert [frame.WhichOneof("event") for frame in told] == ["checkpoint", "end"]
        assert told[0].checkpoint.state == b"s"
    held.take(Frame(call_id=6, kept=Kept(checkpoints=1)))
    held.attach()
    held.adopt(7, 70)
    assert [frame.WhichOneof("event") for frame in held.sent()] == ["end"]
    held.take(Frame(recorded=Recorded(jobs=[70], attempts=[1])))
    assert held.holding.is_empty


def test_a_checkpoint_of_an_attempt_that_succeeded_is_of_no_use() -> None:
    held = Held()
    id_ = held.open(1, 70)
    held.holding.detach()
    held.holding.send(Frame(call_id=id_, checkpoint=Checkpoint(state=b"s")), 1)
    held.holding.send(Frame(call_id=id_, end=End(trailers=[Metadatum(key="k", value=b"v")])))
    held.attach()
    held.adopt(2, 70)
    assert [frame.WhichOneof("event") for frame in held.sent()] == ["end"]


# --- what is told while nobody hears it -------------------------------------------------------------------------------


def tell(held: Held, id_: int, *texts: str, done: float = 0.0) -> None:
    for text in texts:
        held.holding.send(Frame(call_id=id_, log=LogLine(level=20, text=text)))
    if done:
        held.holding.send(Frame(call_id=id_, progress=Progress(done=done)))


def notes(frames: Sequence[Frame]) -> list[str | float]:
    told = (frame for frame in frames if frame.WhichOneof("event") in {"log", "progress"})
    return [frame.log.text if frame.HasField("log") else frame.progress.done for frame in told]


def test_lines_and_progress_wait_for_the_hub_to_be_back() -> None:
    held = Held()
    id_ = held.open(1, 70)
    tell(held, id_, "heard", done=1)
    assert notes(held.sent()) == ["heard", 1.0]
    held.holding.detach()
    tell(held, id_, "one", done=2)
    tell(held, id_, "two", done=3)
    held.holding.end_ok(id_, b"")
    held.attach()
    held.adopt(2, 70)
    told = held.sent()
    assert (notes(told), list(ends(told))) == (["one", "two", 3.0], [2])
    held.attach()
    held.adopt(3, 70)
    assert notes(held.sent()) == [3.0], "a line that was told once is not told again"


def test_progress_that_a_lost_hub_may_not_have_stored_is_told_again() -> None:
    held = Held()
    id_ = held.open(1, 70)
    tell(held, id_, done=1)
    held.attach()
    held.adopt(2, 70)
    assert notes(held.sent()) == [1.0]


def test_of_many_lines_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes_module, "LINES_MAX", 2)
    held = Held()
    id_ = held.open(1, 70)
    held.holding.detach()
    tell(held, id_, "a", "b", "c", "d")
    held.attach()
    held.adopt(2, 70)
    told = notes(held.sent())
    assert told == ["(lines left out here, which came while the hub was away: 2)", "c", "d"]


def test_lines_of_all_attempts_have_a_bound_in_bytes_and_give_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes_module, "LINES_BYTES_MAX", 2 * (notes_module.LINE_OVERHEAD_BYTES + 1))
    held = Held()
    first, second, third = (held.open(number, 70 + number) for number in (1, 2, 3))
    held.holding.detach()
    tell(held, first, "a", "b", "c")
    tell(held, second, "d")
    held.attach()
    held.adopt(4, 71)
    held.adopt(5, 72)
    by_call = {
        call: notes([frame for frame in told if frame.call_id == call]) for told in [held.sent()] for call in (4, 5)
    }
    assert by_call[4][1:] == ["b", "c"]
    assert by_call[5] == ["(lines left out here, which came while the hub was away: 1)"]
    held.holding.detach()
    tell(held, first, "e", "f")
    held.attach()
    held.take(Frame(release=Release(attempts=[HeldAttempt(job=71, number=1)])))
    held.holding.detach()
    tell(held, third, "g", "h")
    held.attach()
    held.adopt(6, 73)
    assert notes(held.sent()) == ["g", "h"]


def test_what_the_worker_stops_is_worth_another_try() -> None:
    held = Held()
    replaced, left, cancelled, failed = (held.open(number, 70 + number) for number in range(1, 5))
    held.take(Frame(call_id=3, cancel=Cancel()))
    held.holding.stopping([replaced, cancelled], "replaced")
    held.holding.send(Frame(call_id=replaced, end=End(status=CANCELLED)))
    held.holding.leave("stopped")
    held.holding.send(Frame(call_id=cancelled, end=End(status=CANCELLED)))
    held.holding.send(Frame(call_id=failed, end=End(status=5, details="not found")))
    held.holding.give_up()
    held.holding.end_ok(left, b"too late")
    told = {call_id: (end.status, end.details) for call_id, end in ends(held.sent()).items()}
    assert told == {
        1: (UNAVAILABLE, "replaced"),
        2: (UNAVAILABLE, "stopped"),
        3: (CANCELLED, ""),
        4: (5, "not found"),
    }


def test_ends_that_nobody_records_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENDS_BYTES_MAX", 2 * (module.END_OVERHEAD_BYTES + 100))
    held = Held()
    for number in range(1, 5):
        held.holding.end_ok(held.open(number, number), b"x" * 100)
    assert held.named() == [(3, 1), (4, 1)]
    held.holding.end_ok(held.open(5, 5), b"x" * 4_000)
    assert held.named() == [(5, 1)], "the last one stays, whatever its size"


def test_what_a_hub_cannot_send() -> None:
    held = Held()
    held.open(1, 70)
    with pytest.raises(ProtocolError, match="a hub cannot send progress"):
        held.holding.take(Frame(call_id=1, progress=Progress()))
    assert not held.holding.take(Frame(call_id=2, cancel=Cancel()))
