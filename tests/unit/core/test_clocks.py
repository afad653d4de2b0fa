"""Deadlines, and the time that a worker is told it has."""

import pytest

from portcall.core.calls import Call, CallState, ClientPort
from portcall.core.deadlines import Deadlines
from portcall.core.refusals import DEADLINE_EXCEEDED
from portcall.core.switchboard import DEADLINE_S_MAX
from portcall.protos.portcall.v1.link_pb2 import Frame

from .stand import METHOD, Sink, Stand


def test_a_worker_with_a_free_slot_is_told_the_whole_timeout() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.open(timeout_us=5_000_000)
    assert [frame.open.timeout_us for frame in worker.opens()] == [5_000_000]


def test_a_worker_is_told_the_timeout_less_the_time_that_the_call_waited() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.open()
    client.open(timeout_us=5_000_000)
    worker.opens()
    stand.wait(2.0)
    worker.end_oldest()
    (opened,) = worker.opens()
    assert opened.open.timeout_us == pytest.approx(3_000_000, abs=1)


def test_a_worker_is_told_the_timeout_less_the_time_that_another_worker_wasted() -> None:
    stand = Stand()
    client, lost = stand.client(), stand.worker()
    client.open(timeout_us=5_000_000)
    unsent = {frame.call_id: [frame] for frame in lost.opens()}
    free = stand.worker()
    stand.wait(2.0)
    stand.lose(lost, unsent)
    (opened,) = free.opens()
    assert opened.open.timeout_us == pytest.approx(3_000_000, abs=1)


def test_a_call_without_a_deadline_stays_without_one() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.open()
    client.open()
    stand.wait(1_000.0)
    worker.opens()
    worker.end_oldest()
    assert [frame.open.timeout_us for frame in worker.opens()] == [0]


def test_a_timeout_of_ages_is_none() -> None:
    stand = Stand()
    client = stand.client()
    stand.worker()
    call_id = client.open(timeout_us=int(DEADLINE_S_MAX * 1e6))
    assert client.call(call_id).deadline is None
    assert stand.board.next_tick is None


def test_a_waiting_call_ends_at_its_deadline() -> None:
    stand = Stand()
    client = stand.client()
    stand.worker(slots=0)
    call_id = client.open(timeout_us=5_000_000)
    assert stand.board.next_tick == stand.now + 5.0
    stand.wait(4.9)
    assert not client.ends()
    stand.wait(0.1)
    assert client.end(call_id).status == DEADLINE_EXCEEDED
    stand.check_idle()


def test_a_running_call_ends_at_its_deadline_and_its_worker_is_told() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(timeout_us=5_000_000)
    (opened,) = worker.opens()
    stand.wait(5.0)
    assert client.end(call_id).status == DEADLINE_EXCEEDED
    assert [frame.WhichOneof("event") for frame in worker.sink.take()] == ["cancel"]
    # The slot is the call's until its worker says that the work has stopped.
    assert worker.port.free == 0
    client.open(message=b"next")
    worker.end(opened.call_id, status=DEADLINE_EXCEEDED)
    assert [frame.open.message for frame in worker.opens()] == [b"next"]
    assert not client.ends()


def test_the_reply_of_an_overdue_call_goes_nowhere() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.open(timeout_us=1)
    stand.wait(1.0)
    assert len(client.ends()) == 1
    worker.message(1, b"late")
    worker.end(1, message=b"too late")
    assert not client.sink.frames
    assert worker.port.free == 1


def test_deadlines_come_in_the_order_of_their_times() -> None:
    deadlines, client = Deadlines(), ClientPort("ada", Sink())
    calls = [Call(client, index, METHOD, Frame()) for index in range(6)]
    for index in (3, 0, 5, 1, 4, 2):
        deadlines.add(float(index), calls[index], 0)
    assert deadlines.next == 0.0
    assert deadlines.pop_due(3.0) == calls[:4]
    assert deadlines.next == 4.0
    assert deadlines.pop_due(3.5) == []
    assert deadlines.pop_due(10.0) == calls[4:]
    assert deadlines.next is None
    assert not len(deadlines)


def test_calls_with_equal_times_come_in_the_order_in_which_they_were_added() -> None:
    deadlines, client = Deadlines(), ClientPort("ada", Sink())
    calls = [Call(client, index, METHOD, Frame()) for index in range(5)]
    for call in calls:
        deadlines.add(7.0, call, 0)
    assert deadlines.pop_due(7.0) == calls


def test_calls_that_have_ended_go_when_they_are_most_of_the_heap() -> None:
    deadlines, client = Deadlines(), ClientPort("ada", Sink())
    live = Call(client, 1, METHOD, Frame())
    deadlines.add(1e9, live, 1)
    for index in range(100_000):
        ended = Call(client, 2 + index, METHOD, Frame())
        deadlines.add(1e6 + index, ended, 1)
        ended.state = CallState.ENDED
        assert len(deadlines) < 2_000
    assert deadlines.pop_due(2e9)[-1] is live
