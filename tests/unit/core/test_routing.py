"""Which worker a call goes to, and what becomes of one that finds none."""

from portcall.core.refusals import DEADLINE_EXCEEDED, UNAVAILABLE, UNIMPLEMENTED
from portcall.protos.portcall.v1.link_pb2 import End, Frame

from .stand import METHOD, OTHER, Stand


def test_a_call_goes_to_its_worker_and_its_end_comes_back() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(message=b"question")
    (opened,) = worker.opens()
    assert (opened.open.method, opened.open.message, opened.open.half_close) == (METHOD, b"question", True)
    worker.end(opened.call_id, message=b"answer")
    assert client.end(call_id) == End(message=b"answer")
    stand.check_idle()
    assert not worker.port.calls
    assert worker.port.free == 1
    assert worker.port.ended == 1


def test_the_hub_says_who_calls_whatever_the_client_says() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.open(peer="somebody else")
    (opened,) = worker.opens()
    assert opened.open.peer == client.port.name


def test_each_worker_sees_ids_of_its_own_that_rise_from_one() -> None:
    stand = Stand()
    first, second = stand.worker(METHOD, slots=2), stand.worker(OTHER, slots=2)
    clients = [stand.client(), stand.client()]
    for client in clients:
        client.open(METHOD)
        client.open(OTHER)
    assert [frame.call_id for frame in first.opens()] == [1, 2]
    assert [frame.call_id for frame in second.opens()] == [1, 2]


def test_a_call_goes_to_the_worker_with_the_most_free_slots() -> None:
    stand = Stand()
    small, large = stand.worker(slots=2), stand.worker(slots=5)
    client = stand.client()
    for _ in range(7):
        client.open()
    # The large one has more free slots until both have two; from then on they take turns.
    assert len(large.opens()) == 5
    assert len(small.opens()) == 2
    assert (small.port.free, large.port.free) == (0, 0)


def test_workers_with_equally_many_free_slots_take_turns() -> None:
    stand = Stand()
    workers = [stand.worker(slots=4) for _ in range(3)]
    client = stand.client()
    order = []
    for _ in range(9):
        client.open()
        (taker,) = [worker for worker in workers if worker.opens()]
        order.append(workers.index(taker))
        taker.end_oldest()
    assert order == [0, 1, 2] * 3


def test_equals_take_turns_whatever_else_they_serve() -> None:
    stand = Stand()
    workers = [stand.worker(METHOD, slots=4), stand.worker(METHOD, OTHER, slots=4), stand.worker(METHOD, slots=4)]
    client = stand.client()
    order = []
    for _ in range(12):
        client.open(METHOD)
        (taker,) = [worker for worker in workers if worker.opens()]
        order.append(workers.index(taker))
        taker.end_oldest()
    assert order.count(1) >= 4


def test_a_worker_of_more_methods_is_found_for_each_of_them() -> None:
    stand = Stand()
    narrow, wide = stand.worker(METHOD, slots=1), stand.worker(METHOD, OTHER, slots=3)
    client = stand.client()
    client.open(OTHER)
    assert len(wide.opens()) == 1
    for _ in range(3):
        client.open(METHOD)
    assert (len(narrow.opens()), len(wide.opens())) == (1, 2)


def test_a_call_waits_for_a_slot_and_gets_the_one_that_is_freed() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.open(message=b"one")
    client.open(message=b"two")
    assert (stand.board.calls_running, stand.board.calls_waiting) == (1, 1)
    assert [frame.open.message for frame in worker.opens()] == [b"one"]
    worker.end_oldest()
    assert [frame.open.message for frame in worker.opens()] == [b"two"]
    assert (stand.board.calls_running, stand.board.calls_waiting) == (1, 0)


def test_a_worker_that_comes_takes_what_waits_up_to_its_slots() -> None:
    stand = Stand()
    client, busy = stand.client(), stand.worker()
    for _ in range(6):
        client.open()
    assert len(busy.opens()) == 1
    assert len(stand.worker(slots=3).opens()) == 3
    assert stand.board.calls_waiting == 2


def test_what_was_sent_while_a_call_waited_follows_it_in_order() -> None:
    stand = Stand()
    client = stand.client()
    stand.worker(slots=1)
    client.open()
    call_id = client.open(half_close=False, message=b"first")
    client.message(call_id, b"second", more=True)
    client.grant(call_id, 100)
    client.message(call_id, b"third")
    client.half_close(call_id)
    taker = stand.worker(slots=1)
    frames = taker.sink.take()
    assert [frame.WhichOneof("event") for frame in frames] == ["open", "message", "credit", "message", "half_close"]
    assert {frame.call_id for frame in frames} == {1}
    assert [frames[1].message.data, frames[3].message.data] == [b"second", b"third"]
    assert frames[1].message.more
    assert stand.board.bytes_waiting == 0


# --- no worker --------------------------------------------------------------------------------------------------------


def test_a_method_that_nobody_has_brought_is_unimplemented_at_once() -> None:
    stand = Stand()
    stand.worker(OTHER)
    client = stand.client()
    end = client.end(client.open(METHOD, wait_for_ready=True))
    assert end.status == UNIMPLEMENTED
    assert end.details == f"Method not found! This hub knows no worker for {METHOD}"
    assert stand.board.calls_refused == 1
    stand.check_idle()


def test_in_the_first_seconds_an_unknown_method_may_still_be_on_its_way() -> None:
    stand = Stand(is_settled=False)
    client = stand.client()
    client.open()
    assert stand.board.calls_waiting == 1
    stand.wait(stand.limits.settle_s - 0.1)
    assert not client.ends()
    assert len(stand.worker().opens()) == 1


def test_after_the_first_seconds_a_method_that_did_not_come_is_unimplemented() -> None:
    stand = Stand(is_settled=False)
    client = stand.client()
    call_ids = [client.open(), client.open(wait_for_ready=True)]
    stand.wait(stand.limits.settle_s)
    ends = client.ends()
    assert [ends[call_id].status for call_id in call_ids] == [UNIMPLEMENTED] * 2
    assert ends[1].details == f"Method not found! No worker has brought {METHOD}"
    stand.check_idle()


def test_the_first_seconds_are_waited_out_though_calls_else_wait_shorter() -> None:
    stand = Stand(is_settled=False, worker_wait_max_s=1.0)
    client = stand.client()
    client.open()
    stand.wait(2.0)
    assert not client.ends()
    stand.wait(1.0)
    assert client.end(1).status == UNIMPLEMENTED


def test_a_method_without_workers_is_waited_for_and_then_unavailable() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    stand.lose(worker)
    call_id = client.open()
    stand.wait(stand.limits.worker_wait_max_s - 0.1)
    assert not client.ends()
    stand.wait(0.1)
    end = client.end(call_id)
    assert end.status == UNAVAILABLE
    assert end.details == f"No worker serves {METHOD} now, and none came in 30 s"
    stand.check_idle()


def test_a_worker_that_comes_in_time_gets_the_call_that_waits() -> None:
    stand = Stand()
    client = stand.client()
    stand.lose(stand.worker())
    client.open()
    stand.wait(stand.limits.worker_wait_max_s - 0.1)
    worker = stand.worker()
    assert len(worker.opens()) == 1
    stand.wait(100.0)
    assert not client.ends()


def test_a_patient_call_waits_for_a_worker_as_long_as_it_takes() -> None:
    stand = Stand()
    client = stand.client()
    stand.lose(stand.worker())
    client.open(wait_for_ready=True)
    stand.wait(100_000.0)
    assert not client.ends()
    assert len(stand.worker().opens()) == 1


def test_a_patient_call_waits_no_longer_than_its_deadline() -> None:
    stand = Stand()
    client = stand.client()
    stand.lose(stand.worker())
    call_id = client.open(wait_for_ready=True, timeout_us=50_000_000)
    stand.wait(49.9)
    assert not client.ends()
    stand.wait(0.1)
    assert client.end(call_id).status == DEADLINE_EXCEEDED


def test_a_patient_call_of_the_first_seconds_stays_patient() -> None:
    stand = Stand(is_settled=False)
    client = stand.client()
    client.open(wait_for_ready=True)
    stand.lose(stand.worker(slots=0))
    stand.wait(stand.limits.settle_s)
    stand.wait(1_000.0)
    assert not client.ends()
    assert len(stand.worker().opens()) == 1


def test_calls_that_wait_for_a_busy_worker_begin_to_give_up_when_it_is_gone() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.open()
    call_id = client.open()
    stand.wait(1_000.0)
    assert not client.ends()
    stand.lose(worker)
    client.ends()
    stand.wait(stand.limits.worker_wait_max_s)
    assert client.end(call_id).status == UNAVAILABLE


def test_the_wait_for_a_worker_counts_from_when_the_last_one_left() -> None:
    stand = Stand()
    client = stand.client()
    stand.lose(stand.worker())
    call_id = client.open()
    for _ in range(10):
        stand.wait(20.0)
        visitor = stand.worker(slots=0)
        stand.wait(20.0)
        stand.lose(visitor)
    stand.wait(stand.limits.worker_wait_max_s - 0.1)
    assert not client.ends()
    stand.wait(0.1)
    assert client.end(call_id).status == UNAVAILABLE


def test_workers_that_come_and_go_do_not_pile_up_wakes_for_the_calls_that_wait() -> None:
    stand = Stand()
    client = stand.client()
    stand.lose(stand.worker())
    for _ in range(100):
        client.open(timeout_us=3_600_000_000)
    for _ in range(1_000):
        stand.lose(stand.worker(slots=0))
    assert len(stand.board._deadlines) <= 3 * 100


# --- what the hub says of itself --------------------------------------------------------------------------------------


def test_the_hub_tells_served_known_and_unknown_methods_apart() -> None:
    stand = Stand()
    assert stand.board.has_worker(METHOD) is None
    worker = stand.worker()
    assert stand.board.has_worker(METHOD) is True
    stand.lose(worker)
    assert stand.board.has_worker(METHOD) is False


def test_a_hub_that_is_closing_refuses_new_calls() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    stand.board.is_closing = True
    end = client.end(client.open())
    assert (end.status, end.details) == (UNAVAILABLE, "The hub is shutting down")
    assert not worker.opens()
    stand.check_idle()


# --- methods that are forgotten ---------------------------------------------------------------------------------------


def test_methods_that_nobody_serves_any_more_are_forgotten_past_a_bound() -> None:
    stand = Stand(methods_remembered_max=2)
    for name in ("/a.A/A", "/b.B/B", "/c.C/C"):
        stand.lose(stand.worker(name))
    assert stand.board.has_worker("/a.A/A") is None
    assert stand.board.has_worker("/c.C/C") is False


def test_a_worker_with_more_methods_than_are_remembered_has_them_all_served() -> None:
    stand = Stand(methods_remembered_max=2)
    methods = [f"/a.A/M{index}" for index in range(5)]
    worker = stand.worker(*methods, slots=5)
    client = stand.client()
    for method in methods:
        client.open(method)
    assert sorted(frame.open.method for frame in worker.opens()) == methods
    assert not client.ends()


def test_a_method_is_not_forgotten_while_calls_wait_for_it() -> None:
    stand = Stand(methods_remembered_max=1)
    client = stand.client()
    stand.lose(stand.worker())
    client.open(wait_for_ready=True)
    stand.worker("/b.B/B")
    stand.worker("/c.C/C")
    assert len(stand.worker().opens()) == 1


def test_a_call_given_back_is_kept_though_its_method_was_forgotten() -> None:
    stand = Stand(methods_remembered_max=1)
    client, worker = stand.client(), stand.worker()
    client.open(message=b"still here")
    (opened,) = worker.opens()
    stand.board.suspend_worker(worker.port, stand.now)
    stand.worker("/b.B/B")
    stand.worker("/c.C/C")
    stand.lose(worker, {opened.call_id: [Frame.FromString(opened.SerializeToString())]})
    assert not client.ends()
    assert [frame.open.message for frame in stand.worker().opens()] == [b"still here"]


def test_a_refused_call_of_the_first_seconds_leaves_no_method_behind() -> None:
    stand = Stand(is_settled=False, calls_waiting_max=1)
    client = stand.client()
    client.open("/a.A/A")
    for index in range(10):
        client.open(f"/b.B/M{index}")
    assert len(client.ends()) == 10
    client.cancel(1)
    assert not stand.board._routes.strange
    stand.check_idle()
