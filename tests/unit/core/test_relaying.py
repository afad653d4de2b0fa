"""A client that is a switchboard itself: a hub, seen from the supervisor of a worker's processes."""

from portcall.core.calls import CallState
from portcall.core.refusals import CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE
from portcall.core.relaying import RelaySwitchboard
from portcall.protos.portcall.v1.link_pb2 import Frame, Open, Opens

from .stand import METHOD, Stand


class RelayStand(Stand):
    def __init__(self, **limits: float) -> None:
        super().__init__(**limits)
        self.board = RelaySwitchboard(self.limits, self.now - self.limits.settle_s)


def test_who_calls_is_kept() -> None:
    stand = RelayStand()
    client, worker = stand.client(), stand.worker()
    client.open(peer="ipv4:10.9.9.9:1")
    [opened] = worker.opens()
    assert opened.open.peer == "ipv4:10.9.9.9:1"


def test_who_calls_is_kept_where_many_calls_are_opened_together() -> None:
    stand = RelayStand()
    client, worker = stand.client(), stand.worker(slots=2)
    shared = Open(method=METHOD, peer="ipv4:10.9.9.9:1")
    client.send(Frame(opens=Opens(shared=shared, call_ids=[1, 2], messages=[b"x", b"y"])))
    [frame] = worker.sink.take()
    assert frame.opens.shared.peer == "ipv4:10.9.9.9:1"


def test_a_cancelled_call_ends_when_the_worker_says_so() -> None:
    stand = RelayStand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open()
    worker.sink.take()
    client.cancel(call_id)
    [cancel] = worker.sink.take()
    assert cancel.HasField("cancel")
    assert worker.sink.dropped == [1]
    assert not client.ends()
    assert client.call(call_id).is_stopping
    client.cancel(call_id)
    assert not worker.sink.take()
    worker.message(1, b"late")
    worker.end(1, CANCELLED, details="as told")
    end = client.end(call_id)
    assert (end.status, end.details) == (CANCELLED, "as told")
    stand.check_idle()


def test_a_waiting_call_that_is_cancelled_ends_at_once() -> None:
    stand = RelayStand()
    client, worker = stand.client(), stand.worker()
    client.open()
    waiting = client.open()
    client.cancel(waiting)
    assert client.end(waiting).status == CANCELLED
    worker.end_oldest()
    stand.check_idle()


def test_the_worker_is_told_to_stop_an_overdue_call_and_says_how_it_ended() -> None:
    stand = RelayStand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(timeout_us=1_000_000)
    worker.sink.take()
    stand.wait(1.0)
    assert [frame.WhichOneof("event") for frame in worker.sink.take()] == ["cancel"]
    assert client.call(call_id).state is CallState.RUNNING
    assert not client.ends()
    stand.wait(1.0)
    worker.end(1, DEADLINE_EXCEEDED)
    assert client.end(call_id).status == DEADLINE_EXCEEDED
    stand.check_idle()


def test_a_waiting_call_that_is_overdue_ends_at_once() -> None:
    stand = RelayStand()
    client = stand.client()
    stand.worker()
    client.open()
    waiting = client.open(timeout_us=1_000_000)
    stand.wait(1.0)
    assert client.end(waiting).status == DEADLINE_EXCEEDED


def test_a_call_that_waited_is_sent_with_the_time_that_is_left() -> None:
    stand = RelayStand()
    client, worker = stand.client(), stand.worker()
    client.open()
    client.open(timeout_us=5_000_000)
    worker.sink.take()
    stand.now += 2.0
    worker.end_oldest()
    [opened] = worker.opens()
    assert opened.open.timeout_us == 3_000_000


def test_a_call_that_was_to_stop_is_not_given_to_another_worker() -> None:
    stand = RelayStand()
    client, lost, other = stand.client(), stand.worker(), stand.worker()
    call_id = client.open()
    opened = lost.sink.take()
    client.cancel(call_id)
    stand.lose(lost, {1: opened})
    assert client.end(call_id).status == UNAVAILABLE
    assert not other.opens()
    stand.check_idle()


def test_a_relay_that_is_gone_wants_no_end() -> None:
    stand = RelayStand()
    client, worker = stand.client(), stand.worker()
    stopping, running = client.open(), client.open()
    client.cancel(stopping)
    stand.board.remove_client(client.port)
    worker.end_oldest()
    assert not client.ends()
    assert running not in client.port.calls
    stand.check_idle()


def test_late_frames_of_a_call_that_stops_go_by() -> None:
    stand = RelayStand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False)
    client.cancel(call_id)
    worker.sink.take()
    client.message(call_id, b"late")
    assert [frame.message.data for frame in worker.sink.take()] == [b"late"]
    worker.end(1)
    client.ends()
    client.half_close(call_id)
    assert worker.sink.take() == list[Frame]()
