"""One end of a link: numbers, acknowledgements, repetition, and what it does not stand for."""

from collections.abc import Callable

import pytest

from portcall.errors import ProtocolError
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames, Goodbye, Message, Open, Ping
from portcall.wire.limits import ACK_BATCHES, ACK_BYTES, STREAM_BYTES_MAX, UNACKED_BYTES_MAX
from portcall.wire.link import Link, LinkState, goodbye_batch


def message(call_id: int, data: bytes = b"x") -> Frame:
    return Frame(call_id=call_id, message=Message(data=data))


def open_link() -> Link:
    link = Link()
    link.establish()
    return link


def batch_of(link: Link) -> Frames:
    """Return the next batch, parsed; there must be one."""
    batch = link.next_batch()
    assert batch is not None
    return Frames.FromString(batch)


def numbered(seq: int, ack: int = 0, *frames: Frame) -> bytes:
    return Frames(seq=seq, ack=ack, frames=frames or (message(seq),)).SerializeToString()


def send_batches(link: Link, count: int) -> list[bytes]:
    """Send that many batches of one frame each; return them."""
    batches = []
    for number in range(1, count + 1):
        link.send(message(number), 1)
        batch = link.next_batch()
        assert batch is not None
        batches.append(batch)
    return batches


# --- numbers and acknowledgements -------------------------------------------------------------------------------------


def test_batches_are_numbered_from_one() -> None:
    link = open_link()
    assert [Frames.FromString(batch).seq for batch in send_batches(link, 3)] == [1, 2, 3]
    assert link.next_batch() is None


def test_what_gathers_goes_in_one_batch() -> None:
    link = open_link()
    for call_id in range(1, 101):
        link.send(message(call_id), 1)
    assert [frame.call_id for frame in batch_of(link).frames] == list(range(1, 101))
    assert link.next_batch() is None


def test_a_batch_acknowledges_what_has_come() -> None:
    link = open_link()
    link.receive(numbered(1))
    link.receive(numbered(2))
    link.send(message(1), 1)
    assert batch_of(link).ack == 2
    assert link.received == 2


def test_few_batches_are_not_acknowledged_by_themselves() -> None:
    link = open_link()
    for seq in range(1, ACK_BATCHES):
        link.receive(numbered(seq))
    assert link.next_batch() is None
    link.receive(numbered(ACK_BATCHES))
    acknowledgement = batch_of(link)
    assert (acknowledgement.seq, acknowledgement.ack, len(acknowledgement.frames)) == (0, ACK_BATCHES, 0)
    assert link.next_batch() is None


def test_many_bytes_are_acknowledged_by_themselves() -> None:
    link = open_link()
    link.receive(numbered(1, 0, *[message(1, b"x" * 65_536) for _ in range(ACK_BYTES // 65_536)]))
    assert batch_of(link).ack == 1


def test_what_is_acknowledged_is_held_no_longer() -> None:
    link = open_link()
    batches = send_batches(link, 3)
    assert link.bytes_held == sum(map(len, batches))
    link.receive(Frames(ack=2).SerializeToString())
    assert link.bytes_held == len(batches[2])
    link.receive(Frames(ack=3).SerializeToString())
    assert link.bytes_held == 0


def test_an_old_acknowledgement_changes_nothing() -> None:
    link = open_link()
    send_batches(link, 3)
    link.receive(Frames(ack=3).SerializeToString())
    link.receive(Frames(ack=1).SerializeToString())
    assert link.bytes_held == 0


def test_a_link_stops_at_the_bound_until_it_is_acknowledged() -> None:
    link = open_link()
    sent = 0
    for _ in range(200):
        link.send(message(1, b"x" * 65_536), 65_536)
    while link.next_batch() is not None:
        sent += 1
    assert UNACKED_BYTES_MAX <= link._unacked_bytes <= UNACKED_BYTES_MAX + 400_000
    link.receive(Frames(ack=sent).SerializeToString())
    assert batch_of(link).seq == sent + 1


def test_a_link_that_has_stopped_still_acknowledges() -> None:
    link = open_link()
    for _ in range(200):
        link.send(message(1, b"x" * 65_536), 65_536)
    while link.next_batch() is not None:
        pass
    for seq in range(1, ACK_BATCHES + 1):
        link.receive(numbered(seq))
    assert batch_of(link).ack == ACK_BATCHES


# --- drops and resumption ---------------------------------------------------------------------------------------------


def test_what_was_not_received_is_repeated_as_it_was_and_before_what_is_new() -> None:
    link = open_link()
    batches = send_batches(link, 4)
    link.suspend()
    link.send(message(99), 1)
    link.resume(2)
    assert link.state is LinkState.OPEN
    assert [link.next_batch(), link.next_batch()] == batches[2:]
    assert batch_of(link).seq == 5
    assert link.next_batch() is None


def test_a_second_drop_repeats_again() -> None:
    link = open_link()
    batches = send_batches(link, 4)
    for _ in range(3):
        link.suspend()
        link.resume(1)
        assert link.next_batch() == batches[1]
    link.suspend()
    link.resume(4)
    assert link.next_batch() is None
    assert link.bytes_held == 0


def test_the_new_stream_may_come_before_the_end_of_the_old_one_was_noticed() -> None:
    link = open_link()
    batches = send_batches(link, 2)
    link.resume(1)
    assert link.next_batch() == batches[1]


def test_what_arrives_twice_is_taken_once() -> None:
    link = open_link()
    assert len(link.receive(numbered(1))) == 1
    assert not link.receive(numbered(1))
    assert len(link.receive(numbered(2))) == 1
    assert not link.receive(numbered(1))
    assert link.received == 2


def test_what_arrives_twice_still_acknowledges() -> None:
    link = open_link()
    link.receive(numbered(1))
    send_batches(link, 1)
    link.receive(numbered(1, 1))
    assert link.bytes_held == 0


def test_nothing_of_the_old_stream_wakes_a_suspended_link() -> None:
    link = open_link()
    woken = []
    link.on_ready = lambda: woken.append(1)
    link.suspend()
    link.send(message(1), 1)
    assert not woken


@pytest.mark.parametrize("received", [0, 4, 1 << 63])
def test_a_false_claim_at_resumption_is_an_offence(received: int) -> None:
    link = open_link()
    send_batches(link, 3)
    link.receive(Frames(ack=1).SerializeToString())
    link.suspend()
    with pytest.raises(ProtocolError, match=f"session resumed at batch {received}, but 1 to 3 were possible"):
        link.resume(received)
    assert link.state is LinkState.SUSPENDED


# --- waking the writer ------------------------------------------------------------------------------------------------


SENDS: dict[str, Callable[[Link], None]] = {
    "send": lambda link: link.send(message(1), 1),
    "send_ahead": lambda link: link.send_ahead(message(1)),
    "send_event": lambda link: link.send_event(Frame(ping=Ping())),
    "say_goodbye": lambda link: link.say_goodbye(Goodbye.REASON_DONE, ""),
    "close": lambda link: link.close(),
    "resume": lambda link: link.resume(0),
}


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_a_writer_that_waits_is_woken_once_by_whatever_is_sent(send: Callable[[Link], None]) -> None:
    link, woken = open_link(), []
    link.on_ready = lambda: woken.append(1)
    send(link)
    link.send(message(2), 1)
    assert woken == [1]


def test_a_writer_is_woken_by_an_acknowledgement_that_is_due() -> None:
    link, woken = open_link(), []
    link.on_ready = lambda: woken.append(1)
    for seq in range(1, ACK_BATCHES + 1):
        assert not woken
        link.receive(numbered(seq))
    assert woken


def test_a_writer_that_has_stopped_is_woken_when_it_may_go_on() -> None:
    link, woken = open_link(), []
    send_batches(link, 1)
    link.on_ready = lambda: woken.append(1)
    link.receive(Frames(ack=1).SerializeToString())
    assert woken


# --- the end ----------------------------------------------------------------------------------------------------------


def test_the_goodbye_goes_last_and_once() -> None:
    link = open_link()
    link.say_goodbye(Goodbye.REASON_DONE, "done")
    for call_id in range(1, 3_000):
        link.send(message(call_id), 1)
    frames: list[Frame] = []
    while (batch := link.next_batch()) is not None:
        frames += Frames.FromString(batch).frames
    assert len(frames) == 3_000
    assert frames[-1].goodbye == Goodbye(reason=Goodbye.REASON_DONE, details="done")


def test_the_goodbye_waits_for_what_has_to_be_repeated() -> None:
    link = open_link()
    batches = send_batches(link, 2)
    link.suspend()
    link.say_goodbye(Goodbye.REASON_DONE, "done")
    link.resume(0)
    assert [link.next_batch(), link.next_batch(), link.next_batch()] == [
        *batches,
        goodbye_batch(Goodbye.REASON_DONE, "done"),
    ]


def test_the_goodbye_waits_for_the_acknowledgement_that_holds_up_the_rest() -> None:
    link = open_link()
    link.say_goodbye(Goodbye.REASON_DONE, "")
    for _ in range(200):
        link.send(message(1, b"x" * 65_536), 65_536)
    last = Frames()
    while (batch := link.next_batch()) is not None:
        last = Frames.FromString(batch)
    assert not last.frames[0].HasField("goodbye")


def test_a_goodbye_is_given_to_the_owner() -> None:
    (frame,) = open_link().receive(goodbye_batch(Goodbye.REASON_REFUSED, "why"))
    assert frame.goodbye.details == "why"


def test_a_closed_link_forgets_and_says_nothing() -> None:
    link = open_link()
    send_batches(link, 2)
    link.send(message(1), 1)
    link.close()
    assert link.next_batch() is None
    assert link.bytes_held == 0
    link.close()
    assert link.state is LinkState.CLOSED


def test_a_closed_link_takes_nothing_of_what_was_still_on_its_way() -> None:
    link = open_link()
    send_batches(link, 2)
    link.close()
    assert not link.receive(numbered(1, 2))
    assert not link.receive(Frames(ack=2).SerializeToString())
    assert not link.receive(b"\xff nonsense")


def test_calls_that_have_not_left_are_given_back() -> None:
    link = open_link()
    link.send(Frame(call_id=1, open=Open(method="/a.B/C")), 0)
    batch_of(link)
    link.suspend()
    link.send(Frame(call_id=2, open=Open(method="/a.B/C")), 0)
    link.send(message(1), 1)
    assert link.take_unsent_calls() == {2: [Frame(call_id=2, open=Open(method="/a.B/C"))]}


def test_a_call_in_a_batch_that_may_be_lost_counts_as_sent() -> None:
    """Whether the other side has it cannot be known, so it must not be sent elsewhere."""
    link = open_link()
    link.send(Frame(call_id=1, open=Open(method="/a.B/C")), 0)
    assert link.next_batch() is not None
    link.suspend()
    assert link.take_unsent_calls() == {}


# --- offences ---------------------------------------------------------------------------------------------------------


OFFENCES = {
    "not protobuf": (b"\xff\xff\xff", "a batch of 3 bytes is not a portcall.v1.Frames message"),
    "half a batch": (numbered(1)[:-1], "is not a portcall.v1.Frames message"),
    "a gap": (numbered(2), "batch 2 arrived where 1 was due"),
    "a wide gap": (numbered((1 << 64) - 1), "batch 18446744073709551615 arrived where 1 was due"),
    "an acknowledgement of what was never sent": (
        Frames(ack=1).SerializeToString(),
        "batch 1 acknowledged, but only 0",
    ),
    "frames without a number": (Frames(frames=[message(1)]).SerializeToString(), "a batch with frames has no number"),
    "more than a goodbye without a number": (
        Frames(frames=[Frame(goodbye=Goodbye()), message(1)]).SerializeToString(),
        "a batch with frames has no number",
    ),
}


@pytest.mark.parametrize(("batch", "reason"), OFFENCES.values(), ids=OFFENCES)
def test_a_batch_that_breaks_a_rule_is_an_offence(batch: bytes, reason: str) -> None:
    link = open_link()
    with pytest.raises(ProtocolError) as caught:
        link.receive(batch)
    assert reason in str(caught.value)
    assert link.received == 0


def test_nothing_is_a_batch_too() -> None:
    assert not open_link().receive(b"")


# --- a batch that is larger than its senders told ---------------------------------------------------------------------


def test_no_batch_is_too_large_for_the_stream_whatever_its_senders_told() -> None:
    """Such a batch would break the stream, be repeated on the next one, and break that too."""
    link = open_link()
    sent = [message(call_id, b"%4d" % call_id + b"x" * 60_000) for call_id in range(1, 1_001)]
    for frame in sent:
        link.send(frame, 0)
    arrived: list[Frame] = []
    while (batch := link.next_batch()) is not None:
        assert len(batch) < STREAM_BYTES_MAX
        parsed = Frames.FromString(batch)
        arrived += parsed.frames
        link.receive(Frames(ack=parsed.seq).SerializeToString())
    assert arrived == sent
    assert link.bytes_held == 0


def test_what_did_not_fit_into_such_a_batch_is_still_unsent() -> None:
    link = open_link()
    opens = [Frame(call_id=call_id, open=Open(method="/a.B/C", message=b"x" * 60_000)) for call_id in range(1, 1_001)]
    for frame in opens:
        link.send(frame, 0)
    left = {frame.call_id for frame in batch_of(link).frames}
    assert link.bytes_held > 30_000_000
    unsent = link.take_unsent_calls()
    assert set(unsent) == {frame.call_id for frame in opens} - left
    assert list(unsent) == sorted(unsent)


def test_events_and_late_frames_keep_their_place_behind_what_did_not_fit() -> None:
    link = open_link()
    for call_id in range(1, 1_001):
        link.send(message(call_id, b"x" * 60_000), 0)
    batch_of(link)
    link.receive(Frames(ack=1).SerializeToString())
    link.send(message(1_001), 1)
    link.say_goodbye(Goodbye.REASON_DONE, "")
    frames: list[Frame] = []
    while (batch := link.next_batch()) is not None:
        parsed = Frames.FromString(batch)
        frames += parsed.frames
        if parsed.seq:
            link.receive(Frames(ack=parsed.seq).SerializeToString())
    assert frames[-2].call_id == 1_001
    assert frames[-1].HasField("goodbye")
