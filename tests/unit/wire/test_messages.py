"""Messages cut into frames and put together again, whatever their sizes and whenever credit comes."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from portcall.errors import ProtocolError
from portcall.protos.link_rules import (
    CREDIT_BYTES_INITIAL,
    CREDIT_BYTES_MAX,
    FRAME_COST_BYTES_MIN,
    FRAME_MESSAGE_BYTES_MAX,
    frame_cost,
)
from portcall.protos.portcall.v1.link_pb2 import Frame
from portcall.wire.limits import WINDOW_BYTES
from portcall.wire.messages import MessageReceiver, MessageSender, MessageTooLargeError

MESSAGE_BYTES_MAX = 1 << 20


class Wire:
    """A sender and a receiver, and what is between them; credit goes back when the test says so."""

    def __init__(self, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self.frames: list[Frame] = []
        self.sender = MessageSender(7, self._send)
        self.receiver = MessageReceiver(7, message_bytes_max)
        self.grants: list[int] = []
        self.read: list[bytes] = []
        self.is_half_closed = False

    def _send(self, frame: Frame, size: int) -> None:
        assert frame.call_id == 7
        assert size == len(frame.message.data) <= FRAME_MESSAGE_BYTES_MAX
        self.frames.append(frame)

    def deliver(self) -> None:
        """Let one frame arrive."""
        frame = self.frames.pop(0)
        if frame.HasField("half_close"):
            self.is_half_closed = True
            return
        self.receiver.feed(frame.message.data, more=frame.message.more)
        self._note_grant()

    def take(self) -> None:
        """Read one message."""
        self.read.append(self.receiver.read())
        self._note_grant()

    def grant(self) -> None:
        """Let one grant arrive."""
        self.sender.grant(self.grants.pop(0))

    def _note_grant(self) -> None:
        frame = self.receiver.grant()
        if frame is not None:
            assert frame.call_id == 7
            self.grants.append(frame.credit.bytes)

    def check(self) -> None:
        """Assert that no side has gone past what it may."""
        assert self.sender._credit >= 0
        assert self.receiver._outstanding >= 0
        unread = self.receiver._unread
        assert unread == sum(frame_cost(len(message)) for message in self.receiver._messages)
        # A window, beside the one message that may be larger than any window.
        largest = max((len(message) for message in self.receiver._messages), default=0)
        assert unread <= WINDOW_BYTES + largest

    def run(self) -> None:
        """Deliver, read and grant until nothing moves."""
        while self.frames or self.grants or len(self.receiver):
            if self.frames:
                self.deliver()
            elif self.grants:
                self.grant()
            else:
                self.take()
            self.check()


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 65_535, 65_536, 65_537, 131_072, 200_000, MESSAGE_BYTES_MAX])
def test_a_message_of_any_size_arrives_as_it_was(size: int) -> None:
    wire = Wire()
    message = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    wire.sender.write(message)
    wire.sender.finish()
    wire.run()
    assert wire.read == [message]
    assert wire.sender.is_idle
    assert wire.is_half_closed
    assert wire.receiver.is_between_messages


def test_many_small_messages_arrive_one_by_one() -> None:
    wire = Wire()
    messages = [b"%d" % index for index in range(20_000)]
    for message in messages:
        wire.sender.write(message)
        wire.run()
        assert wire.sender.is_idle
    assert wire.read == messages


def test_a_reader_that_stops_stops_the_writer() -> None:
    wire = Wire()
    sent = 0
    while wire.sender.is_idle:
        wire.sender.write(b"x" * 1_000)
        sent += 1_000
        while wire.frames or wire.grants:
            wire.deliver() if wire.frames else wire.grant()
            wire.check()
        assert sent <= WINDOW_BYTES + 2_000
    assert not wire.grants
    wire.run()
    assert wire.sender.is_idle


def test_most_calls_need_no_grant() -> None:
    wire = Wire()
    wire.sender.write(b"x" * 30_000)
    wire.sender.finish()
    wire.deliver()
    wire.take()
    assert not wire.grants


def test_without_credit_nothing_is_sent() -> None:
    wire = Wire()
    wire.sender.write(b"x" * (CREDIT_BYTES_INITIAL + 1))
    assert sum(len(frame.message.data) for frame in wire.frames) == CREDIT_BYTES_INITIAL
    assert not wire.sender.is_idle
    wire.sender.grant(FRAME_COST_BYTES_MIN - 1)
    assert not wire.sender.is_idle
    wire.sender.grant(1)
    assert wire.sender.is_idle
    assert [frame.message.more for frame in wire.frames] == [True, False]


def test_writing_before_the_last_message_has_gone_is_a_defect() -> None:
    wire = Wire()
    wire.sender.write(b"x" * 100_000)
    with pytest.raises(RuntimeError, match="before the one before it had gone"):
        wire.sender.write(b"y")


def test_writing_after_the_half_close_is_a_defect() -> None:
    wire = Wire()
    wire.sender.finish()
    with pytest.raises(RuntimeError, match="after the half-close"):
        wire.sender.write(b"y")


def test_finishing_twice_sends_one_half_close() -> None:
    wire = Wire()
    wire.sender.write(b"x" * 100_000)
    wire.sender.finish()
    wire.sender.finish()
    wire.run()
    wire.sender.finish()
    wire.sender.grant(1)
    assert not wire.frames
    assert wire.is_half_closed


def test_what_goes_inline_takes_credit_too() -> None:
    wire = Wire()
    assert wire.sender.can_inline(FRAME_MESSAGE_BYTES_MAX)
    assert not wire.sender.can_inline(FRAME_MESSAGE_BYTES_MAX + 1)
    wire.sender.spend(CREDIT_BYTES_INITIAL - FRAME_COST_BYTES_MIN)
    assert not wire.sender.can_inline(FRAME_COST_BYTES_MIN + 1)
    assert wire.sender.can_inline(1)
    wire.sender.spend(0)
    assert not wire.sender.can_inline(0)
    assert wire.sender._credit == 0


def test_nothing_goes_inline_before_a_message_that_waits() -> None:
    wire = Wire()
    wire.sender.write(b"x" * 100_000)
    wire.sender.grant(1)
    assert not wire.sender.can_inline(0)


@pytest.mark.parametrize("count", [CREDIT_BYTES_MAX, (1 << 64) - 1])
def test_more_credit_than_a_call_can_hold_is_an_offence(count: int) -> None:
    with pytest.raises(ProtocolError, match="lifts a call's credit past"):
        Wire().sender.grant(count)


def test_sending_without_credit_is_an_offence() -> None:
    receiver = MessageReceiver(7, MESSAGE_BYTES_MAX)
    receiver.feed(b"x" * CREDIT_BYTES_INITIAL)
    with pytest.raises(ProtocolError, match="call 7 sent 64 bytes more than it had credit for"):
        receiver.feed(b"")


@pytest.mark.parametrize("chunks", [[1_001], [500, 501], [500, 500, 1]])
def test_a_message_that_is_too_large_is_refused(chunks: list[int]) -> None:
    receiver = MessageReceiver(7, 1_000)
    *first, last = chunks
    for size in first:
        receiver.feed(b"x" * size, more=True)
    with pytest.raises(MessageTooLargeError, match=r"Received message larger than max \(1000 bytes\)"):
        receiver.feed(b"x" * last)


def test_a_message_of_exactly_the_limit_is_taken() -> None:
    receiver = MessageReceiver(7, 1_000)
    receiver.feed(b"x" * 500, more=True)
    receiver.feed(b"x" * 500)
    assert len(receiver.read()) == 1_000


@pytest.mark.parametrize("chunk", [b"", b"x", b"xy"])
def test_an_endless_message_of_tiny_chunks_is_too_large_in_the_end(chunk: bytes) -> None:
    receiver = MessageReceiver(7, 100_000)

    def feed_on_and_on() -> None:
        for _ in range(1_000_000):
            receiver.feed(chunk, more=True)
            receiver.grant()

    with pytest.raises(MessageTooLargeError):
        feed_on_and_on()
    assert len(receiver._chunks) <= 2_000


def test_the_last_message_may_come_with_the_end_whatever_the_credit() -> None:
    receiver = MessageReceiver(7, MESSAGE_BYTES_MAX)
    receiver.feed(b"x" * CREDIT_BYTES_INITIAL)
    receiver.feed_last(b"last")
    assert [receiver.read(), receiver.read()][1] == b"last"
    assert not len(receiver)


def test_an_unfinished_message_is_told_from_none() -> None:
    receiver = MessageReceiver(7, MESSAGE_BYTES_MAX)
    assert receiver.is_between_messages
    receiver.feed(b"", more=True)
    assert not receiver.is_between_messages
    receiver.feed(b"")
    assert receiver.is_between_messages
    assert receiver.read() == b""


# --- any sizes, any order ---------------------------------------------------------------------------------------------

SIZES = st.one_of(
    st.integers(0, 200),
    st.sampled_from([FRAME_MESSAGE_BYTES_MAX - 1, FRAME_MESSAGE_BYTES_MAX, FRAME_MESSAGE_BYTES_MAX + 1]),
    st.integers(0, 400_000),
)


@given(sizes=st.lists(SIZES, max_size=8), choices=st.randoms(use_true_random=False))
def test_everything_arrives_in_order_whatever_waits_for_what(sizes: list[int], choices: object) -> None:
    wire = Wire()
    messages = [bytes([number]) * size for number, size in enumerate(sizes)]
    waiting = list(messages)
    while True:
        moves = []
        if waiting and wire.sender.is_idle:
            moves.append(lambda: wire.sender.write(waiting.pop(0)))
        if wire.frames:
            moves.append(wire.deliver)
        if wire.grants:
            moves.append(wire.grant)
        if len(wire.receiver):
            moves.append(wire.take)
        if not moves:
            break
        choices.choice(moves)()  # type: ignore[attr-defined]
        wire.check()
    assert wire.read == messages


@given(size=st.integers(0, 300_000), grants=st.lists(st.integers(1, 100_000), max_size=30))
def test_a_sender_never_spends_more_than_it_was_given(size: int, grants: list[int]) -> None:
    frames: list[Frame] = []
    sender = MessageSender(7, lambda frame, _: frames.append(frame))
    sender.write(b"x" * size)
    given_in = CREDIT_BYTES_INITIAL
    for count in [0, *grants]:
        sender.grant(count)
        given_in += count
        spent = sum(frame_cost(len(frame.message.data)) for frame in frames)
        assert spent + sender._credit == given_in
        assert sender._credit >= 0
        # It does not sit on credit that it could use.
        assert sender.is_idle or sender._credit < FRAME_COST_BYTES_MIN
    assert sender.is_idle == (sum(len(frame.message.data) for frame in frames) == size)
