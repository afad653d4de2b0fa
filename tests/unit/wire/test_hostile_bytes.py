"""Whatever bytes come on one link: an offence or not, the calls on the others go on.

The stand is a switchboard with real links; what is hostile speaks for one client or one worker.
"""

from collections.abc import Callable, Iterable, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from portcall.core.calls import ClientPort, WorkerPort
from portcall.core.limits import CallLimits
from portcall.core.switchboard import Switchboard
from portcall.errors import ProtocolError
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Credit,
    Drain,
    End,
    Ends,
    Frame,
    Frames,
    Goodbye,
    HalfClose,
    Headers,
    Hello,
    Message,
    Metadatum,
    Open,
    Opens,
    Ping,
    Pong,
    Slots,
    Welcome,
)
from portcall.wire.link import Link

METHOD = "/test.Service/Method"
NOW = 1_000.0


def open_link() -> Link:
    link = Link()
    link.establish()
    return link


class Fleet:
    """A client and a worker that behave, and one of each that need not."""

    def __init__(self) -> None:
        self.board = Switchboard(CallLimits(settle_s=0.0, calls_waiting_max=50), NOW)
        self.good_client = ClientPort("good", open_link())
        self.bad_client = ClientPort("bad", open_link())
        self.good_worker = WorkerPort("good", open_link(), 2)
        self.bad_worker = WorkerPort("bad", open_link(), 2)
        self._id_last = 0

    def attach_good_worker(self) -> None:
        self.board.add_worker(self.good_worker, [METHOD], NOW)

    def attach_bad_worker(self) -> None:
        self.board.add_worker(self.bad_worker, [METHOD], NOW)

    def open_good_call(self) -> int:
        self._id_last += 1
        opening = Frame(call_id=self._id_last, open=Open(method=METHOD, message=b"good", half_close=True))
        self.board.from_client(self.good_client, [opening], NOW)
        return self._id_last

    def let_client_speak(self, batches: Iterable[bytes]) -> None:
        """Take batches of the bad client, until one is an offence; then its link is over."""
        self._hear(self.bad_client, batches, lambda frames: self.board.from_client(self.bad_client, frames, NOW))
        self.board.remove_client(self.bad_client)

    def let_worker_speak(self, batches: Iterable[bytes]) -> None:
        """Take batches of the bad worker, until one is an offence; then its link is over."""
        self._hear(self.bad_worker, batches, lambda frames: self.board.from_worker(self.bad_worker, frames, NOW))
        assert isinstance(self.bad_worker.sink, Link)
        self.board.remove_worker(self.bad_worker, self.bad_worker.sink.take_unsent_calls(), NOW)

    def _hear(
        self, port: ClientPort | WorkerPort, batches: Iterable[bytes], take: Callable[[Sequence[Frame]], None]
    ) -> None:
        assert isinstance(port.sink, Link)
        for batch in batches:
            try:
                frames = port.sink.receive(batch)
                if not (frames and frames[0].HasField("goodbye")):
                    take(frames)
            except ProtocolError as error:
                reason = str(error)
                break
            self.board.tick(NOW)
        else:
            return
        assert 0 < len(reason) < 500

    def finish_good_calls(self) -> None:
        """Let the good worker serve everything that reaches it."""
        while self.good_worker.calls:
            for call_id in list(self.good_worker.calls):
                end = Frame(call_id=call_id, end=End(message=b"well"))
                self.board.from_worker(self.good_worker, [end], NOW)

    def good_ends(self) -> dict[int, End]:
        link = self.good_client.sink
        assert isinstance(link, Link)
        ends = {}
        while (batch := link.next_batch()) is not None:
            for frame in Frames.FromString(batch).frames:
                if frame.HasField("end"):
                    assert frame.call_id not in ends
                    ends[frame.call_id] = frame.end
        return ends

    def check_idle(self) -> None:
        board = self.board
        assert (board.calls_running, board.calls_waiting, board.bytes_waiting) == (0, 0, 0)
        assert self.good_worker.free == self.good_worker.slots


# --- what a hostile peer may say --------------------------------------------------------------------------------------

IDS = st.one_of(st.integers(0, 6), st.integers(0, (1 << 64) - 1))
COUNTS = st.one_of(st.integers(0, 70_000), st.integers(0, (1 << 64) - 1))
SMALL_COUNTS = st.one_of(st.integers(0, 5), st.integers(0, (1 << 32) - 1))
METHODS = st.one_of(st.just(METHOD), st.text(max_size=10))
PAYLOADS = st.one_of(st.binary(max_size=20), st.sampled_from([b"x" * 65_536, b"x" * 65_537, b"x" * 70_000]))
METADATA = st.lists(st.builds(Metadatum, key=st.text(max_size=10), value=st.binary(max_size=10)), max_size=3)
BOOLEANS = st.booleans()
COLUMN_IDS = st.one_of(st.lists(IDS, max_size=4), st.lists(IDS, max_size=4, unique=True).map(sorted))
COLUMN_PAYLOADS = st.lists(PAYLOADS, max_size=4)

EVENTS = st.one_of(
    st.builds(
        lambda method, metadata, timeout, message, half_close, patient: Frame(
            open=Open(
                method=method,
                metadata=metadata,
                timeout_us=timeout,
                message=message,
                half_close=half_close,
                wait_for_ready=patient,
            )
        ),
        METHODS,
        METADATA,
        COUNTS,
        st.none() | PAYLOADS,
        BOOLEANS,
        BOOLEANS,
    ),
    st.builds(
        lambda method, metadata, timeout, message, ids, messages: Frame(
            opens=Opens(
                shared=Open(method=method, metadata=metadata, timeout_us=timeout, message=message),
                call_ids=ids,
                messages=messages,
            )
        ),
        METHODS,
        METADATA,
        COUNTS,
        st.none() | PAYLOADS,
        COLUMN_IDS,
        COLUMN_PAYLOADS,
    ),
    st.builds(lambda ids, messages: Frame(ends=Ends(call_ids=ids, messages=messages)), COLUMN_IDS, COLUMN_PAYLOADS),
    st.builds(lambda metadata: Frame(headers=Headers(metadata=metadata)), METADATA),
    st.builds(lambda data, more: Frame(message=Message(data=data, more=more)), PAYLOADS, BOOLEANS),
    st.just(Frame(half_close=HalfClose())),
    st.builds(
        lambda status, details, trailers, message: Frame(
            end=End(status=status, details=details, trailers=trailers, message=message)
        ),
        SMALL_COUNTS,
        st.text(max_size=10),
        METADATA,
        st.none() | PAYLOADS,
    ),
    st.just(Frame(cancel=Cancel())),
    st.builds(lambda count: Frame(credit=Credit(bytes=count)), COUNTS),
    st.builds(lambda count: Frame(slots=Slots(slots=count)), SMALL_COUNTS),
    st.sampled_from(
        [
            Frame(drain=Drain()),
            Frame(ping=Ping(value=1)),
            Frame(pong=Pong(value=1)),
            Frame(hello=Hello()),
            Frame(welcome=Welcome()),
            Frame(goodbye=Goodbye()),
            Frame(),
        ]
    ),
)


def with_id(frame: Frame, call_id: int) -> Frame:
    numbered = Frame(call_id=call_id)
    numbered.MergeFrom(frame)
    return numbered


FRAMES = st.builds(with_id, EVENTS, st.one_of(st.just(0), IDS))
CONVERSATIONS = st.lists(st.lists(FRAMES, max_size=6), max_size=6)


def numbered_batches(conversation: Sequence[Sequence[Frame]]) -> list[bytes]:
    return [Frames(seq=seq, frames=frames).SerializeToString() for seq, frames in enumerate(conversation, 1)]


@settings(max_examples=300)
@given(CONVERSATIONS)
def test_whatever_a_client_says_the_others_calls_go_on(conversation: list[list[Frame]]) -> None:
    fleet = Fleet()
    fleet.attach_good_worker()
    calls = [fleet.open_good_call()]
    fleet.let_client_speak(numbered_batches(conversation))
    calls += [fleet.open_good_call() for _ in range(3)]
    fleet.finish_good_calls()
    assert fleet.good_ends() == {call_id: End(message=b"well") for call_id in calls}
    fleet.check_idle()


@settings(max_examples=300)
@given(CONVERSATIONS)
def test_whatever_a_worker_says_the_others_calls_go_on(conversation: list[list[Frame]]) -> None:
    fleet = Fleet()
    fleet.attach_bad_worker()
    with_bad = [fleet.open_good_call() for _ in range(2)]
    fleet.attach_good_worker()
    with_good = [fleet.open_good_call()]
    sink = fleet.bad_worker.sink
    assert isinstance(sink, Link)
    assert sink.next_batch() is not None, "what the bad worker was given counts as sent"
    fleet.let_worker_speak(numbered_batches(conversation))
    fleet.board.remove_worker(fleet.bad_worker, {}, NOW)
    fleet.finish_good_calls()
    with_good += [fleet.open_good_call() for _ in range(3)]
    fleet.finish_good_calls()
    ends = fleet.good_ends()
    assert set(ends) == {*with_bad, *with_good}, "each call ends, and once"
    assert all(ends[call_id] == End(message=b"well") for call_id in with_good)
    fleet.check_idle()


# --- bytes that are no frames -----------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_arbitrary_bytes_are_an_offence_or_nothing(batches: list[bytes]) -> None:
    fleet = Fleet()
    fleet.attach_good_worker()
    fleet.attach_bad_worker()
    fleet.let_client_speak(batches)
    fleet.let_worker_speak(batches)
    call_id = fleet.open_good_call()
    fleet.finish_good_calls()
    assert fleet.good_ends() == {call_id: End(message=b"well")}
    fleet.check_idle()


VALID = numbered_batches(
    [
        [
            Frame(call_id=1, open=Open(method=METHOD, message=b"abc", metadata=[Metadatum(key="k", value=b"v")])),
            Frame(call_id=2, open=Open(method=METHOD, timeout_us=5_000_000, wait_for_ready=True)),
        ],
        [
            Frame(call_id=1, message=Message(data=b"def", more=True)),
            Frame(call_id=2, credit=Credit(bytes=1_000)),
            Frame(call_id=1, message=Message(data=b"ghi")),
        ],
        [Frame(call_id=1, half_close=HalfClose()), Frame(call_id=2, cancel=Cancel())],
    ]
)

MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, len(VALID) - 1),
        st.sampled_from(["flip", "cut", "insert", "drop", "repeat"]),
        st.integers(0, 10_000),
        st.integers(0, 255),
    ),
    max_size=4,
)


def mutate(batch: bytes, kind: str, place: int, value: int) -> bytes:
    place %= len(batch) + 1
    head, tail = batch[:place], batch[place:]
    if kind == "flip" and tail:
        return head + bytes([tail[0] ^ value]) + tail[1:]
    if kind == "cut":
        return head
    if kind == "insert":
        return head + bytes([value]) + tail
    if kind == "drop":
        return head + tail[1:]
    return batch + tail


@settings(max_examples=300)
@given(MUTATIONS)
def test_batches_that_were_tampered_with_are_an_offence_or_another_batch(
    mutations: list[tuple[int, str, int, int]],
) -> None:
    batches = list(VALID)
    for index, kind, place, value in mutations:
        batches[index] = mutate(batches[index], kind, place, value)
    fleet = Fleet()
    fleet.attach_good_worker()
    fleet.let_client_speak(batches)
    fleet.finish_good_calls()
    call_id = fleet.open_good_call()
    fleet.finish_good_calls()
    assert fleet.good_ends() == {call_id: End(message=b"well")}
    fleet.check_idle()


@pytest.mark.parametrize("batch", VALID)
def test_every_way_to_cut_a_batch_short_is_an_offence_or_another_batch(batch: bytes) -> None:
    for length in range(len(batch)):
        link = open_link()
        try:
            link.receive(batch[:length])
        except ProtocolError:
            continue


@given(seq=st.integers(0, (1 << 64) - 1), ack=st.integers(0, (1 << 64) - 1), frames=st.lists(FRAMES, max_size=2))
def test_any_numbers_on_a_batch_are_an_offence_or_in_order(seq: int, ack: int, frames: list[Frame]) -> None:
    link = open_link()
    link.send(Frame(call_id=1, open=Open(method=METHOD)), 0)
    link.next_batch()
    try:
        link.receive(Frames(seq=seq, ack=ack, frames=frames).SerializeToString())
    except ProtocolError:
        assert link.received == 0
        return
    assert ack <= 1
    assert link.received == (1 if seq == 1 else 0)
    assert seq in (0, 1)
