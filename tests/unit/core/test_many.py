"""Frames of many calls: they do what as many frames of one call do."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from portcall.errors import ProtocolError
from portcall.protos.link_rules import many_ends, many_opens, singly
from portcall.protos.portcall.v1.link_pb2 import Cancel, End, Frame, Metadatum, Open

from .stand import METHOD, OTHER, Client, Stand, Worker, metadata_of

SHARED = Open(method=METHOD, metadata=[Metadatum(key="k", value=b"v")], timeout_us=5_000_000, wait_for_ready=True)


def test_calls_opened_together_go_on_together_to_one_worker() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=10)
    client.send(many_opens(SHARED, [3, 5, 8], [b"a", b"b", b"c"]))
    (frame,) = worker.sink.take()
    assert list(frame.opens.call_ids) == [1, 2, 3]
    assert list(frame.opens.messages) == [b"a", b"b", b"c"]
    shared = Open()
    shared.CopyFrom(SHARED)
    shared.peer = client.port.name
    assert frame.opens.shared == shared
    worker.send(many_ends([3, 1, 2], [b"C", b"A", b"B"]))
    (frame,) = client.sink.take()
    assert dict(zip(frame.ends.call_ids, frame.ends.messages, strict=True)) == {3: b"A", 5: b"B", 8: b"C"}
    stand.check_idle()
    assert worker.port.free == 10
    assert worker.port.ended == 3


def test_calls_opened_together_go_to_the_workers_with_the_most_free_slots_and_the_rest_wait() -> None:
    stand = Stand()
    client, small, large = stand.client(), stand.worker(slots=1), stand.worker(slots=3)
    client.send(many_opens(SHARED, range(1, 7), [b"%d" % number for number in range(6)]))
    assert [len(worker.port.calls) for worker in (small, large)] == [1, 3]
    assert stand.board.calls_waiting == 2
    small.end_oldest()
    (opens, single) = small.sink.take()
    assert opens.HasField("opens")
    assert single.open.message == b"4"
    assert single.open.half_close


def test_calls_opened_together_are_refused_one_by_one() -> None:
    stand = Stand(calls_waiting_max=1)
    client, _ = stand.client(), stand.worker(slots=1)
    client.send(many_opens(SHARED, [1, 2, 3], [b""] * 3))
    assert {call_id: end.status for call_id, end in client.ends().items()} == {3: 8}
    client.send(many_opens(Open(method=OTHER), [4, 5], [b""] * 2))
    assert {call_id: end.status for call_id, end in client.ends().items()} == {4: 12, 5: 12}
    client.send(many_opens(Open(method=METHOD, metadata=metadata_of(1 << 20)), [6], [b""]))
    assert {call_id: end.status for call_id, end in client.ends().items()} == {6: 8}


def test_a_message_in_what_calls_share_goes_no_further() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.send(many_opens(Open(method=METHOD, message=b"x" * 100_000), [1, 2], [b"a", b"b"]))
    (frame,) = worker.sink.take()
    assert frame.ByteSize() < 200
    worker.end_oldest()
    (frame,) = worker.opens()
    assert frame.open.message == b"b"


def test_calls_that_ended_before_a_broken_rule_have_their_replies() -> None:
    stand = Stand()
    client, other, worker = stand.client(), stand.client(), stand.worker(slots=2)
    client.open()
    other.open()
    worker.port.id_last = 2
    with pytest.raises(ProtocolError, match="call 9"):
        worker.send(many_ends([1, 2, 9], [b"one", b"two", b"none"]))
    assert [frame.ends.messages[0] for frame in (*client.sink.take(), *other.sink.take())] == [b"one", b"two"]
    stand.check_idle()


# --- the same as singly -----------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 1), st.integers(1, 6)),
        st.tuples(st.just("end"), st.integers(0, 1), st.integers(1, 6)),
        st.tuples(st.just("cancel"), st.integers(0, 1), st.integers(1, 12)),
        st.tuples(st.just("wait"), st.just(0), st.integers(1, 4)),
    ),
    max_size=30,
)


class Fleet:
    """Two clients and two workers, which speak of many calls at once, or of each by itself."""

    def __init__(self, *, is_singly: bool) -> None:
        self.stand = Stand(calls_waiting_max=4)
        self.is_singly = is_singly
        self.clients: list[Client] = [self.stand.client(), self.stand.client()]
        self.workers: list[Worker] = [self.stand.worker(slots=3), self.stand.worker(slots=2)]

    def do(self, what: str, who: int, count: int) -> None:
        client, worker = self.clients[who], self.workers[who]
        if what == "open":
            first = client.port.id_last + 1
            self._say(client, many_opens(SHARED, range(first, first + count), [b"m"] * count))
        elif what == "end":
            ids = list(worker.port.calls)[:count]
            if ids:
                self._say(worker, many_ends(ids, [b"reply to %d" % call_id for call_id in ids]))
        elif what == "cancel" and count in client.port.calls:
            client.send(Frame(call_id=count, cancel=Cancel()))
        elif what == "wait":
            self.stand.wait(count)

    def heard(self) -> list[list[Frame]]:
        """What each peer was sent, told singly; workers in the order of the calls, since that is what has to rise."""
        return [
            sorted(singly(peer.sink.frames), key=lambda frame: (frame.call_id, frame.WhichOneof("event")))
            for peer in (*self.clients, *self.workers)
        ]

    def _say(self, peer: Client | Worker, frame: Frame) -> None:
        peer.send(*(singly([frame]) if self.is_singly else [frame]))


@given(STEPS)
def test_many_at_once_are_as_many_singly(steps: list[tuple[str, int, int]]) -> None:
    together, apart = Fleet(is_singly=False), Fleet(is_singly=True)
    for step in steps:
        together.do(*step)
        apart.do(*step)
    assert together.heard() == apart.heard()
    for worker in together.workers:
        opened = [frame.call_id for frame in singly(worker.sink.frames) if frame.HasField("open")]
        assert opened == sorted(opened), "ids must rise"
    assert (together.stand.board.calls_waiting, together.stand.board.calls_running) == (
        apart.stand.board.calls_waiting,
        apart.stand.board.calls_running,
    )


def test_an_end_taken_apart_has_its_message_even_if_that_is_empty() -> None:
    (frame,) = singly([many_ends([4], [b""])])
    assert frame == Frame(call_id=4, end=End(message=b""))
