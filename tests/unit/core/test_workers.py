"""Workers that come, drop, come back, drain, change their slots and are lost."""

import pytest

from portcall.core.refusals import UNAVAILABLE
from portcall.protos.portcall.v1.link_pb2 import Cancel, Drain, Frame, HalfClose, Message, Slots

from .stand import METHOD, OTHER, Stand, metadata_of


def test_a_lost_worker_takes_its_calls_with_it() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open()
    stand.lose(worker)
    end = client.end(call_id)
    assert (end.status, end.details) == (UNAVAILABLE, f"Worker {worker.port.name} was lost while it ran this call")
    stand.check_idle()
    assert not worker.port.calls


def test_a_lost_workers_cancelled_calls_end_quietly() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.cancel(client.open())
    stand.lose(worker)
    assert not client.sink.frames
    assert not worker.port.calls
    stand.check_idle()


def test_a_call_that_never_left_goes_to_another_worker_at_once() -> None:
    stand = Stand()
    client, lost, other = stand.client(), stand.worker(), stand.worker()
    call_id = client.open(half_close=False, message=b"one")
    client.message(call_id, b"two")
    client.half_close(call_id)
    frames = lost.sink.take()
    stand.lose(lost, {1: frames})
    assert not client.ends()
    assert [frame.WhichOneof("event") for frame in other.sink.frames] == ["open", "message", "half_close"]
    assert stand.board.calls_running == 1
    other.end(1)
    assert client.end(call_id).status == 0
    stand.check_idle()


def test_a_call_that_never_left_waits_if_no_other_worker_is_free() -> None:
    stand = Stand()
    client, lost = stand.client(), stand.worker()
    call_id = client.open(half_close=False, message=b"one", metadata=metadata_of(500))
    client.message(call_id, b"two")
    stand.lose(lost, {1: lost.sink.take()})
    assert (stand.board.calls_running, stand.board.calls_waiting) == (0, 1)
    assert stand.board.bytes_waiting >= 500
    client.message(call_id, b"three")
    client.half_close(call_id)
    other = stand.worker()
    frames = other.sink.frames
    assert [frame.open.message or frame.message.data for frame in frames] == [b"one", b"two", b"three", b""]
    assert stand.board.bytes_waiting == 0


def test_a_call_that_never_left_gives_up_when_no_worker_comes() -> None:
    stand = Stand()
    client, lost = stand.client(), stand.worker()
    call_id = client.open()
    stand.lose(lost, {1: lost.sink.take()})
    stand.wait(stand.limits.worker_wait_max_s)
    assert client.end(call_id).status == UNAVAILABLE
    stand.check_idle()


def test_a_call_that_never_left_again_and_again_still_gives_up() -> None:
    stand = Stand()
    client = stand.client()
    taker = stand.worker()
    call_id = client.open()
    for _ in range(3):
        stand.lose(taker, {1: taker.sink.take()})
        stand.wait(20.0)
        taker = stand.worker()
        stand.wait(20.0)
    stand.lose(taker, {1: taker.sink.take()})
    stand.wait(stand.limits.worker_wait_max_s - 0.1)
    assert not client.ends()
    stand.wait(0.1)
    assert client.end(call_id).status == UNAVAILABLE


def test_a_call_cancelled_before_it_left_is_not_given_back() -> None:
    stand = Stand()
    client, lost, other = stand.client(), stand.worker(), stand.worker()
    client.cancel(client.open())
    stand.lose(lost, {1: lost.sink.take()})
    assert not other.opens()
    assert not client.sink.frames
    stand.check_idle()


def test_the_credit_of_a_call_given_back_is_what_it_was() -> None:
    stand = Stand()
    client, lost, other = stand.client(), stand.worker(), stand.worker()
    call_id = client.open(half_close=False)
    client.message(call_id, b"x" * 1_000)
    stand.lose(lost, {1: lost.sink.take()})
    client.message(call_id, b"x" * 64_000)
    assert client.call(call_id).up_credit == 65_536 - 65_000
    other.grant(1, 1_000)
    assert client.call(call_id).up_credit == 65_536 - 64_000


# --- a link that drops and resumes ------------------------------------------------------------------------------------


def test_a_suspended_worker_gets_no_new_calls_and_keeps_its_own() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=2)
    running = client.open()
    stand.board.suspend_worker(worker.port, stand.now)
    client.open(message=b"new")
    worker.opens()
    assert stand.board.calls_waiting == 1
    stand.board.resume_worker(worker.port, stand.now)
    assert [frame.open.message for frame in worker.opens()] == [b"new"]
    worker.end(1)
    assert client.end(running).status == 0


def test_slots_freed_and_changed_while_a_worker_is_suspended_count_when_it_is_back() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=2)
    client.open()
    client.open()
    stand.board.suspend_worker(worker.port, stand.now)
    worker.end(1)
    stand.board.set_slots(worker.port, 4, stand.now)
    for _ in range(5):
        client.open()
    worker.opens()
    stand.board.resume_worker(worker.port, stand.now)
    assert len(worker.opens()) == 3
    assert worker.port.free == 0


def test_suspending_and_resuming_twice_is_no_different() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=2)
    for _ in range(2):
        stand.board.suspend_worker(worker.port, stand.now)
    for _ in range(2):
        stand.board.resume_worker(worker.port, stand.now)
    for _ in range(3):
        client.open()
    assert len(worker.opens()) == 2


def test_a_worker_resumes_among_others_of_its_kind() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    stand.board.suspend_worker(worker.port, stand.now)
    other = stand.worker()
    stand.board.resume_worker(worker.port, stand.now)
    client.open()
    client.open()
    assert (len(worker.opens()), len(other.opens())) == (1, 1)
    worker.end_oldest()
    other.end_oldest()
    assert (worker.port.free, other.port.free) == (1, 1)


# --- draining ---------------------------------------------------------------------------------------------------------


def test_a_draining_worker_is_answered_and_gets_no_more_calls() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=2)
    call_id = client.open()
    worker.send(Frame(drain=Drain()))
    assert [frame.WhichOneof("event") for frame in worker.sink.take()] == ["open", "drain"]
    client.open()
    worker.end(1)
    assert client.end(call_id).status == 0
    assert not worker.opens()
    assert stand.board.calls_waiting == 1


def test_draining_outlasts_a_drop_of_the_link() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    worker.send(Frame(drain=Drain()))
    stand.board.suspend_worker(worker.port, stand.now)
    stand.board.resume_worker(worker.port, stand.now)
    client.open()
    assert not worker.opens()


# --- slots ------------------------------------------------------------------------------------------------------------


def test_more_slots_take_more_of_what_waits() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=1)
    for _ in range(5):
        client.open()
    worker.opens()
    worker.send(Frame(slots=Slots(slots=3)))
    assert len(worker.opens()) == 2
    assert stand.board.calls_waiting == 2


def test_fewer_slots_take_no_calls_until_enough_have_ended() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=3)
    for _ in range(6):
        client.open()
    worker.opens()
    worker.send(Frame(slots=Slots(slots=1)))
    assert worker.port.free == -2
    worker.end(1)
    worker.end(2)
    assert not worker.opens()
    worker.end(3)
    assert len(worker.opens()) == 1
    assert worker.port.free == 0


def test_no_slots_at_all_is_a_pause() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=2)
    worker.send(Frame(slots=Slots(slots=0)))
    call_id = client.open()
    assert not worker.opens()
    stand.wait(1_000.0)
    assert not client.ends()
    worker.send(Frame(slots=Slots(slots=1)))
    assert len(worker.opens()) == 1
    assert call_id in client.port.calls


def test_slots_told_before_the_worker_was_added_count() -> None:
    stand = Stand()
    client = stand.client()
    worker = stand.worker(slots=1)
    stand.lose(worker)
    worker.port.pool = None
    stand.board.set_slots(worker.port, 3, stand.now)
    stand.board.add_worker(worker.port, [METHOD], stand.now)
    for _ in range(4):
        client.open()
    assert len(worker.opens()) == 3


@pytest.mark.timeout(20)
def test_slots_that_go_up_and_down_by_millions_cost_nothing() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=2)
    for _ in range(200):
        worker.send(Frame(slots=Slots(slots=1_000_000)))
        worker.send(Frame(slots=Slots(slots=1)))
        client.open()
        worker.end_oldest()
    assert len(client.ends()) == 200


def test_a_worker_of_many_slots_leaves_no_traces_of_those_it_used() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=500)
    for _ in range(500):
        client.open()
    for _ in range(500):
        worker.end_oldest()
    assert worker.port.pool is not None
    assert len(worker.port.pool._buckets) <= 1


# --- clients that are gone --------------------------------------------------------------------------------------------


def test_the_calls_of_a_client_that_is_gone_are_cancelled() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(METHOD, OTHER, slots=1)
    client.open()
    client.open(OTHER)
    stand.board.remove_client(client.port)
    assert not client.sink.frames
    assert [frame.WhichOneof("event") for frame in worker.sink.take()] == ["open", "cancel"]
    stand.check_idle()
    worker.message(1, b"nobody hears this")
    worker.end(1)
    assert worker.port.free == 1
    assert not client.port.calls


def test_a_cancel_drops_what_the_worker_has_not_been_sent_yet() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False)
    client.message(call_id, b"x" * 60_000)
    client.cancel(call_id)
    assert worker.sink.dropped == [1]
    assert worker.sink.frames[-1] == Frame(call_id=1, cancel=Cancel())
    assert not client.sink.frames


def test_what_a_client_sends_after_its_cancel_is_late() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False)
    client.cancel(call_id)
    worker.sink.take()
    client.send(
        Frame(call_id=call_id, message=Message(data=b"late")),
        Frame(call_id=call_id, half_close=HalfClose()),
        Frame(call_id=call_id, cancel=Cancel()),
    )
    client.grant(call_id, 1 << 40)
    assert not worker.sink.frames
