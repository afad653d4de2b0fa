"""What is kept of what was sent to a process."""

import pytest

from portcall.protos.portcall.v1.link_pb2 import Cancel, Frame, Frames, HalfClose, Message, Open
from portcall.wire.link import Link
from portcall.worker.processes import keeping
from portcall.worker.processes.keeping import KeptBatches


def batch(*frames: Frame) -> bytes:
    return Frames(frames=frames, seq=1).SerializeToString()


def opened(call_id: int) -> Frame:
    return Frame(call_id=call_id, open=Open(method="/a.B/C", peer="ipv4:10.0.0.1:1"))


def message(call_id: int, data: bytes = b"x") -> Frame:
    return Frame(call_id=call_id, message=Message(data=data))


def test_calls_above_the_mark_are_found_with_all_their_frames_in_order() -> None:
    kept = KeptBatches()
    kept.keep(batch(opened(1), opened(2)), 2)
    kept.keep(batch(message(1), message(2, b"a"), opened(3)), 3)
    kept.keep(batch(message(2, b"b"), Frame(call_id=2, half_close=HalfClose()), Frame(call_id=3, cancel=Cancel())), 3)
    calls = kept.unbegun_calls(1)
    assert sorted(calls) == [2, 3]
    assert [frame.WhichOneof("event") for frame in calls[2]] == ["open", "message", "message", "half_close"]
    assert [frame.message.data for frame in calls[2][1:3]] == [b"a", b"b"]
    assert calls[2][0].open.peer == "ipv4:10.0.0.1:1"
    assert sorted(kept.unbegun_calls(2)) == [3]
    assert kept.unbegun_calls(3) == {}


def test_batches_are_forgotten_when_their_calls_have_begun() -> None:
    kept = KeptBatches()
    kept.keep(batch(opened(1)), 1)
    kept.keep(batch(opened(2), opened(3)), 3)
    kept.keep(batch(message(1)), 3)
    kept.forget(2)
    assert len(kept) == 2
    kept.forget(3)
    assert len(kept) == 0


def test_past_its_bound_the_oldest_calls_count_as_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [batch(opened(1)), batch(opened(2), message(1, b"x" * 1_000)), batch(message(1), message(2))]
    monkeypatch.setattr(keeping, "KEPT_BYTES_MAX", sum(map(len, batches)) - 1)
    kept = KeptBatches()
    for one, id_last in zip(batches, (1, 2, 2), strict=True):
        kept.keep(one, id_last)
    calls = kept.unbegun_calls(0)
    assert sorted(calls) == [2]
    assert [frame.WhichOneof("event") for frame in calls[2]] == ["open", "message"]


def test_what_still_waits_to_be_sent_is_added_to_its_call() -> None:
    link = Link()
    link.establish()
    kept = KeptBatches()
    link.send(opened(1))
    link.send(opened(2))
    sent = link.next_batch()
    assert sent is not None
    kept.keep(sent, 2)
    link.send(message(1, b"for the first"))
    link.send(message(2, b"x" * 5_000), 5_000)
    link.send(opened(3))
    link.send(Frame(call_id=2, half_close=HalfClose()))
    calls = link.take_unsent_calls(kept.unbegun_calls(1))
    assert sorted(calls) == [2, 3]
    assert [frame.WhichOneof("event") for frame in calls[2]] == ["open", "message", "half_close"]
    assert link.next_batch() is None
