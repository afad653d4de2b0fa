"""The order in which frames leave, and what is taken back of those that have not."""

from collections import Counter
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from portcall.protos.link_rules import FRAME_MESSAGE_BYTES_MAX, fault_of_many, many_opens
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Credit,
    Drain,
    End,
    Frame,
    Frames,
    HalfClose,
    Message,
    Open,
    Ping,
    Pong,
)
from portcall.wire.limits import BATCH_BYTES_MAX, STREAM_BYTES_MAX, TURN_BYTES_MIN
from portcall.wire.outbox import FRAME_OVERHEAD_BYTES, Outbox

CHUNK = b"x" * FRAME_MESSAGE_BYTES_MAX


def opening(call_id: int, size: int = 0) -> Frame:
    return Frame(call_id=call_id, open=Open(method="/a.B/C", message=b"o" * size))


def message(call_id: int, size: int = 0, *, more: bool = False) -> Frame:
    return Frame(call_id=call_id, message=Message(data=b"m" * size, more=more))


def put(outbox: Outbox, *frames: Frame) -> None:
    """Queue frames with the sizes that their senders would tell."""
    for frame in frames:
        outbox.put(frame, len(frame.open.message) + len(frame.message.data) + len(frame.end.message))


def take(outbox: Outbox) -> list[Frame]:
    """The frames of the next batch."""
    batch = Frames.FromString(outbox.take(7, 5))
    assert (batch.seq, batch.ack) == (7, 5)
    return list(batch.frames)


def take_all(outbox: Outbox) -> list[Frame]:
    frames: list[Frame] = []
    while outbox:
        batch = take(outbox)
        assert batch
        frames += batch
    return frames


def shape(frames: list[Frame]) -> list[tuple[int, str | None]]:
    return [(frame.call_id, frame.WhichOneof("event")) for frame in frames]


def test_an_empty_outbox_has_nothing() -> None:
    outbox = Outbox()
    assert not outbox
    assert take(outbox) == []
    assert outbox.bytes_queued == 0


def test_small_frames_go_in_their_order() -> None:
    outbox = Outbox()
    frames = [opening(1), message(1, 10), opening(2, 100), message(1, 20), message(2, TURN_BYTES_MIN - 1)]
    put(outbox, *frames)
    assert take(outbox) == frames
    assert not outbox


def test_events_of_the_link_go_first() -> None:
    outbox = Outbox()
    put(outbox, opening(1), message(2, 10_000))
    outbox.put_urgent(Frame(ping=Ping(value=1)))
    outbox.put_urgent(Frame(pong=Pong(value=2)))
    assert shape(take(outbox)) == [(0, "ping"), (0, "pong"), (1, "open"), (2, "message")]


def test_of_pongs_only_the_newest_waits() -> None:
    outbox = Outbox()
    for value in range(1_000):
        outbox.put_urgent(Frame(pong=Pong(value=value)))
    assert take(outbox) == [Frame(pong=Pong(value=999))]


def test_small_frames_overtake_large_ones_of_other_calls() -> None:
    outbox = Outbox()
    put(outbox, message(1, 60_000), message(2, 10), message(1, 60_000), message(3, 10))
    assert shape(take(outbox)) == [(2, "message"), (3, "message"), (1, "message"), (1, "message")]


def test_what_follows_a_large_frame_in_its_call_waits_behind_it() -> None:
    outbox = Outbox()
    put(outbox, message(1, 60_000, more=True), message(1, 10), Frame(call_id=1, half_close=HalfClose()))
    frames = take(outbox)
    assert [len(frame.message.data) for frame in frames] == [60_000, 10, 0]
    assert frames[2].HasField("half_close")


def test_calls_with_large_frames_take_turns() -> None:
    outbox = Outbox()
    for call_id in (1, 2, 3):
        put(outbox, *[message(call_id, 60_000) for _ in range(call_id)])
    assert [frame.call_id for frame in take_all(outbox)] == [1, 2, 3, 2, 3, 3]


def test_turns_go_on_from_batch_to_batch() -> None:
    outbox = Outbox()
    put(outbox, *[message(1, 60_000) for _ in range(20)], message(2, 60_000))
    assert 2 in {frame.call_id for frame in take(outbox)}


def test_opens_keep_their_order_whatever_their_size() -> None:
    outbox = Outbox()
    frames = [
        opening(index, size) for index, size in enumerate((0, 65_536, 10, 60_000, 65_536, 0, 65_536, 65_536, 5), 1)
    ]
    put(outbox, *frames)
    assert take_all(outbox) == frames


def test_a_message_never_overtakes_the_open_of_its_call() -> None:
    """The opens fill more than one batch, and the message belongs to the last of them."""
    outbox = Outbox()
    put(outbox, *[opening(index, 65_536) for index in range(1, 11)])
    put(outbox, message(10, 60_000), message(11, 60_000))
    frames = shape(take_all(outbox))
    assert frames.index((10, "open")) < frames.index((10, "message"))
    assert frames.index((11, "message")) < frames.index((10, "open")), "others need not wait"


def test_a_message_never_overtakes_small_frames_of_its_call() -> None:
    outbox = Outbox()
    put(outbox, *[message(index % 7, 10) for index in range(1_024)], message(8, 1), message(8, 60_000))
    assert [len(frame.message.data) for frame in take_all(outbox) if frame.call_id == 8] == [1, 60_000]


@pytest.mark.parametrize(("size", "count"), [(0, 3_000), (60_000, 20)])
def test_no_open_follows_a_drain(size: int, count: int) -> None:
    outbox = Outbox()
    put(outbox, *[opening(index, size) for index in range(1, count)], message(1, 60_000), Frame(drain=Drain()))
    frames = shape(take_all(outbox))
    assert "open" not in {event for _, event in frames[frames.index((0, "drain")) :]}


# --- ahead ------------------------------------------------------------------------------------------------------------


def test_a_cancel_overtakes_the_messages_of_its_call() -> None:
    outbox = Outbox()
    put(outbox, message(1, 60_000), message(1, 10))
    outbox.put_ahead(Frame(call_id=1, cancel=Cancel()))
    assert shape(take(outbox))[0] == (1, "cancel")


@pytest.mark.parametrize("size", [0, 65_536])
@pytest.mark.parametrize("ahead", [Cancel(), Credit(bytes=1)], ids=["cancel", "credit"])
def test_nothing_overtakes_the_open_of_its_call(size: int, ahead: Cancel | Credit) -> None:
    outbox = Outbox()
    put(outbox, *[opening(index, size) for index in range(1, 10)], message(9, 60_000))
    frame = Frame(call_id=9, cancel=ahead) if isinstance(ahead, Cancel) else Frame(call_id=9, credit=ahead)
    outbox.put_ahead(frame)
    frames = shape(take_all(outbox))
    assert frames.index((9, "open")) < frames.index((9, frame.WhichOneof("event"))) <= frames.index((9, "message"))


def test_grants_of_a_call_that_wait_are_one_grant() -> None:
    """A peer that grants byte by byte must not fill the queue of a link that does not move."""
    outbox = Outbox()
    for _ in range(1_000):
        outbox.put_ahead(Frame(call_id=1, credit=Credit(bytes=3)))
        outbox.put_ahead(Frame(call_id=2, credit=Credit(bytes=4)))
    assert take(outbox) == [Frame(call_id=1, credit=Credit(bytes=3_000)), Frame(call_id=2, credit=Credit(bytes=4_000))]
    outbox.put_ahead(Frame(call_id=1, credit=Credit(bytes=5)))
    assert take(outbox) == [Frame(call_id=1, credit=Credit(bytes=5))]


def test_dropped_messages_do_not_go() -> None:
    outbox = Outbox()
    put(outbox, opening(1), message(1, 10), message(1, 60_000), message(1, 10), message(2, 60_000))
    outbox.drop_chunks(1)
    assert shape(take(outbox)) == [(1, "open"), (1, "message"), (2, "message")]
    assert outbox.bytes_queued == 0


def test_dropping_what_is_not_there_is_no_different() -> None:
    outbox = Outbox()
    outbox.drop_chunks(5)
    put(outbox, message(1, 60_000))
    outbox.drop_chunks(5)
    assert len(take(outbox)) == 1


# --- what has not left ------------------------------------------------------------------------------------------------


def test_calls_of_which_nothing_has_left_are_taken_back_whole() -> None:
    outbox = Outbox()
    put(outbox, opening(1))
    take(outbox)
    put(outbox, message(1, 60_000), message(1, 5))
    whole = [opening(2, 65_536), message(2, 65_536), message(2, 3), Frame(call_id=2, half_close=HalfClose())]
    put(outbox, *whole, opening(3))
    outbox.put_urgent(Frame(ping=Ping()))
    assert outbox.take_unsent_calls() == {2: whole, 3: [opening(3)]}
    assert not outbox
    assert outbox.bytes_queued == 0
    assert outbox.take_unsent_calls() == {}


def test_a_call_whose_open_has_left_is_not_taken_back() -> None:
    outbox = Outbox()
    put(outbox, *[opening(index, 65_536) for index in range(1, 11)])
    left = {frame.call_id for frame in take(outbox)}
    assert left
    assert set(outbox.take_unsent_calls()) == set(range(1, 11)) - left


def test_calls_opened_together_are_taken_back_one_by_one() -> None:
    outbox = Outbox()
    outbox.add(2).CopyFrom(many_opens(Open(method="/a.B/C"), [1, 2], [b"x", b"y"]))
    calls = outbox.take_unsent_calls()
    assert calls == {
        1: [Frame(call_id=1, open=Open(method="/a.B/C", message=b"x", half_close=True))],
        2: [Frame(call_id=2, open=Open(method="/a.B/C", message=b"y", half_close=True))],
    }


def test_small_replies_gather_in_one_frame_for_each_batch() -> None:
    outbox = Outbox()
    put(outbox, message(1, 5))
    for call_id in range(2, 12_002):
        outbox.add_end(call_id, b"well")
    put(outbox, message(12_002, 5))
    frames = take_all(outbox)
    ends = [frame.ends for frame in frames if frame.HasField("ends")]
    assert [call_id for end in ends for call_id in end.call_ids] == list(range(2, 12_002))
    assert {reply for end in ends for reply in end.messages} == {b"well"}
    assert not [end for end in ends if fault_of_many(end)]
    assert len(ends) < 12
    assert outbox.bytes_queued == 0


def test_clearing_forgets_everything() -> None:
    outbox = Outbox()
    put(outbox, opening(1), message(2, 60_000))
    outbox.put_ahead(Frame(call_id=1, credit=Credit(bytes=1)))
    outbox.put_urgent(Frame(ping=Ping()))
    outbox.clear()
    assert not outbox
    assert outbox.bytes_queued == 0
    outbox.put_ahead(Frame(call_id=1, credit=Credit(bytes=2)))
    assert take(outbox) == [Frame(call_id=1, credit=Credit(bytes=2))]


# --- frames that wait for long ----------------------------------------------------------------------------------------


def test_what_is_put_here_is_copied_at_once() -> None:
    outbox = Outbox()
    frames = [opening(1), message(1, 10), message(1, 60_000), Frame(call_id=1, credit=Credit(bytes=1))]
    put(outbox, *frames[:3])
    outbox.put_ahead(frames[3])
    for frame in frames:
        frame.Clear()
    assert sorted(shape(take_all(outbox))) == [(1, "credit"), (1, "message"), (1, "message"), (1, "open")]


def test_a_frame_can_be_made_in_its_place() -> None:
    outbox = Outbox()
    put(outbox, opening(1))
    outbox.add(3).CopyFrom(opening(2, 3))
    put(outbox, opening(3))
    assert take_all(outbox) == [opening(1), opening(2, 3), opening(3)]


def test_grants_to_one_call_are_one_even_where_more_waits_than_a_batch_takes() -> None:
    outbox = Outbox()
    for call_id in range(1, 3_000):
        for _ in range(2):
            outbox.put_ahead(Frame(call_id=call_id, credit=Credit(bytes=1)))
    first = take(outbox)
    for call_id in range(1, 3_000):
        outbox.put_ahead(Frame(call_id=call_id, credit=Credit(bytes=1)))
    rest = take_all(outbox)
    assert len(first) + len(rest) <= 3_000 + len(first)
    granted = Counter[int]()
    for frame in [*first, *rest]:
        granted[frame.call_id] += frame.credit.bytes
    assert set(granted.values()) == {3}


def test_a_batch_that_was_told_too_small_is_cut_so_that_a_stream_takes_it() -> None:
    outbox = Outbox()
    for call_id in range(1, 201):
        outbox.put(opening(call_id, 65_536), 0)
    sizes, ids = [], []
    while outbox:
        batch = outbox.take(1, 1)
        sizes.append(len(batch))
        ids += [frame.call_id for frame in Frames.FromString(batch).frames]
    assert ids == list(range(1, 201))
    assert max(sizes) <= STREAM_BYTES_MAX // 2
    assert outbox.bytes_queued == 0


# --- bounds of a batch ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda index: message(index, 10), 5_000),
        (lambda index: message(index, TURN_BYTES_MIN - 1), 3_000),
        (lambda index: opening(index, 65_536), 100),
        (lambda index: message(index, 65_536), 100),
        (lambda index: message(1, 65_536), 100),
        (lambda index: Frame(call_id=index, end=End(message=b"e" * 30_000)), 100),
    ],
    ids=["tiny", "small", "large opens", "large, many calls", "large, one call", "large ends"],
)
def test_a_batch_is_bounded_in_frames_and_bytes(make: Callable[[int], Frame], count: int) -> None:
    outbox = Outbox()
    put(outbox, *[make(index) for index in range(1, count + 1)])
    seen = 0
    while outbox:
        batch = take(outbox)
        seen += len(batch)
        assert len(batch) <= BATCH_BYTES_MAX // FRAME_OVERHEAD_BYTES + 1
        assert sum(frame.ByteSize() for frame in batch) <= BATCH_BYTES_MAX + 66_000
        assert outbox.bytes_queued >= 0
    assert seen == count
    assert outbox.bytes_queued == 0


# --- any order of doing -----------------------------------------------------------------------------------------------

SIZES = st.sampled_from([0, 1, 100, TURN_BYTES_MIN - 1, TURN_BYTES_MIN, 30_000, 65_536])
CALLS = st.integers(1, 8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), CALLS, SIZES),
        st.tuples(st.just("message"), CALLS, SIZES),
        st.tuples(st.just("ahead"), CALLS, st.just(0)),
        st.tuples(st.just("take"), st.just(0), st.just(0)),
    ),
    max_size=80,
)


@given(STEPS)
def test_order_is_kept_whatever_is_done(steps: list[tuple[str, int, int]]) -> None:
    outbox, ids, opened = Outbox(), 0, dict[int, int]()
    given_in: list[Frame] = []
    came_out: list[Frame] = []
    for number, (what, call, size) in enumerate(steps):
        if what == "open":
            ids += 1
            opened[call] = ids
            given_in.append(opening(ids, size))
            put(outbox, given_in[-1])
        elif what == "take":
            came_out += take(outbox)
        elif call in opened and what == "message":
            given_in.append(Frame(call_id=opened[call], message=Message(data=b"%4d" % number + b"m" * size)))
            put(outbox, given_in[-1])
        elif call in opened:
            outbox.put_ahead(Frame(call_id=opened[call], credit=Credit(bytes=1)))
    came_out += take_all(outbox)
    check_order(given_in, came_out)
    assert outbox.bytes_queued == 0


def check_order(given_in: list[Frame], came_out: list[Frame]) -> None:
    """Assert that each call's frames came in their order, and no credit before its open; and so did the opens."""
    open_ids = set()
    for frame in came_out:
        if frame.HasField("open"):
            open_ids.add(frame.call_id)
        assert frame.call_id in open_ids
    by_call: dict[int, list[Frame]] = {}
    for frame in came_out:
        if not frame.HasField("credit"):
            by_call.setdefault(frame.call_id, []).append(frame)
    for call_id, frames in by_call.items():
        assert frames == [frame for frame in given_in if frame.call_id == call_id]
    assert [frame for frame in came_out if frame.HasField("open")] == [
        frame for frame in given_in if frame.HasField("open")
    ]
    assert sum(map(len, by_call.values())) == len(given_in)
