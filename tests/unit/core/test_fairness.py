"""Waiting calls take turns by client, whatever the clients do."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from .stand import METHOD, OTHER, Client, Stand, Worker

METHODS = (METHOD, OTHER)


def served(stand: Stand, worker: Worker, clients: list[Client], turns: int) -> list[int]:
    """Free one slot after another; return which client each slot went to."""
    by_peer = {client.port.name: index for index, client in enumerate(clients)}
    worker.opens()
    order = []
    for _ in range(turns):
        worker.end_oldest()
        order += [by_peer[frame.open.peer] for frame in worker.opens()]
    return order


def busy(stand: Stand, *methods: str, slots: int = 1) -> Worker:
    """Attach a worker whose slots are taken by a client that calls no more."""
    worker, other = stand.worker(*methods, slots=slots), stand.client()
    for _ in range(slots):
        other.open(methods[0] if methods else METHOD)
    worker.opens()
    return worker


def test_a_client_is_served_in_the_order_of_its_calls() -> None:
    stand = Stand()
    worker, client = busy(stand), stand.client()
    for index in range(5):
        client.open(message=b"%d" % index)
    messages = []
    for _ in range(5):
        worker.end_oldest()
        messages += [frame.open.message for frame in worker.opens()]
    assert messages == [b"0", b"1", b"2", b"3", b"4"]


def test_a_thousand_waiting_calls_delay_another_client_by_one_turn() -> None:
    stand = Stand()
    worker, crowd, single = busy(stand), stand.client(), stand.client()
    for _ in range(1_000):
        crowd.open()
    single.open()
    assert 1 in served(stand, worker, [crowd, single], 2)


def test_a_thousand_waiting_calls_delay_another_method_by_one_turn() -> None:
    stand = Stand()
    worker, crowd, single = busy(stand, METHOD, OTHER), stand.client(), stand.client()
    for _ in range(1_000):
        crowd.open(METHOD)
    single.open(OTHER)
    assert 1 in served(stand, worker, [crowd, single], 2)


def test_calls_spread_over_many_methods_win_no_more_turns() -> None:
    stand = Stand()
    methods = [f"/test.Service/M{index}" for index in range(20)]
    worker, crowd, single = busy(stand, *methods), stand.client(), stand.client()
    for method in methods * 10:
        crowd.open(method)
    for _ in range(10):
        single.open(methods[-1])
    order = served(stand, worker, [crowd, single], 20)
    assert order.count(0) == order.count(1) == 10


def test_clients_take_turns() -> None:
    stand = Stand()
    worker, clients = busy(stand), [stand.client() for _ in range(3)]
    for client, calls in zip(clients, (30, 20, 10), strict=True):
        for _ in range(calls):
            client.open()
    order = served(stand, worker, clients, 60)
    assert order[:30] == [0, 1, 2] * 10
    assert order[30:50] == [0, 1] * 10
    assert order[50:] == [0] * 10


def test_one_client_calls_its_methods_in_turns() -> None:
    stand = Stand()
    worker, client = busy(stand, METHOD, OTHER), stand.client()
    for method in (METHOD, METHOD, METHOD, OTHER):
        client.open(method)
    worker.end_oldest()
    worker.end_oldest()
    assert OTHER in {frame.open.method for frame in worker.opens()}


def test_who_comes_back_has_no_turns_saved_up() -> None:
    stand = Stand()
    worker, steady, returning = busy(stand), stand.client(), stand.client()
    for _ in range(200):
        steady.open()
    served(stand, worker, [steady, returning], 100)
    for _ in range(50):
        returning.open()
    order = served(stand, worker, [steady, returning], 40)
    assert order.count(0) == order.count(1) == 20


@pytest.mark.parametrize("wait_s", [0.0, 100.0], ids=["cancelled", "expired"])
def test_calls_that_ended_unserved_cost_no_turns(wait_s: float) -> None:
    stand = Stand()
    worker, steady, unlucky = busy(stand), stand.client(), stand.client()
    for _ in range(200):
        steady.open()
    call_ids = [unlucky.open(timeout_us=50_000_000) for _ in range(100)]
    if wait_s:
        stand.wait(wait_s)
    else:
        for call_id in call_ids:
            unlucky.cancel(call_id)
    for _ in range(20):
        unlucky.open()
    order = served(stand, worker, [steady, unlucky], 20)
    assert order.count(1) == 10


def test_turns_at_a_fast_worker_do_not_count_at_a_slow_one() -> None:
    stand = Stand()
    slow, fast = busy(stand, METHOD), busy(stand, OTHER)
    crowd, visitor, runner = stand.client(), stand.client(), stand.client()
    for _ in range(1_000):
        crowd.open(METHOD)
    for _ in range(500):
        runner.open(OTHER)
        runner.open(OTHER)
        fast.end_oldest()
        fast.end_oldest()
    visitor.open(METHOD)
    assert 1 in served(stand, slow, [crowd, visitor, runner], 2)
    runner.open(METHOD)
    assert 2 in served(stand, slow, [crowd, visitor, runner], 2)


def test_calls_that_waited_for_a_missing_worker_do_not_come_all_at_once() -> None:
    stand = Stand()
    stand.lose(stand.worker(OTHER))
    worker, patient, steady = busy(stand, METHOD), stand.client(), stand.client()
    for _ in range(100):
        patient.open(OTHER, wait_for_ready=True)
    for _ in range(300):
        steady.open(METHOD)
    served(stand, worker, [patient, steady], 150)
    both = stand.worker(METHOD, OTHER, slots=1)
    order = served(stand, both, [patient, steady], 40)
    assert 19 <= order.count(0) <= 21


STEPS = st.lists(
    st.tuples(st.sampled_from(["open", "open", "open", "end", "cancel"]), st.integers(0, 3), st.sampled_from(METHODS)),
    max_size=150,
)


@given(STEPS)
def test_no_client_is_served_twice_while_another_waits(steps: list[tuple[str, int, str]]) -> None:
    stand = Stand()
    worker, clients = busy(stand, *METHODS), [stand.client() for _ in range(4)]
    passed_over: dict[int, set[int]] = {index: set() for index in range(4)}
    """For each client that waits, those that have been served since it began to, or was served itself."""
    for what, index, method in steps:
        client = clients[index]
        if what == "open":
            client.open(method)
        elif what == "cancel" and client.port.calls:
            client.cancel(next(reversed(client.port.calls)))
        for winner in served(stand, worker, clients, 1) if what == "end" and worker.port.calls else ():
            passed_over[winner] = set()
            for other in range(4):
                is_waiting = any(call.worker is None for call in clients[other].port.calls.values())
                assert not (is_waiting and winner in passed_over[other]), f"{winner} was served twice, {other} waits"
                passed_over[other] = passed_over[other] | {winner} if is_waiting and other != winner else set()
        for other in range(4):
            if not any(call.worker is None for call in clients[other].port.calls.values()):
                passed_over[other] = set()


def test_a_call_given_back_comes_before_those_that_waited() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=2)
    for name in (b"first", b"second", b"third"):
        client.open(message=name)
    unsent = {frame.call_id: [frame] for frame in worker.opens()}
    stand.lose(worker, unsent)
    taker = stand.worker(slots=3)
    assert [frame.open.message for frame in taker.opens()] == [b"first", b"second", b"third"]


def test_a_call_given_back_comes_before_those_of_others() -> None:
    stand = Stand()
    client, crowd, worker = stand.client(), stand.client(), stand.worker()
    client.open(message=b"first")
    for _ in range(10):
        crowd.open(message=b"crowd")
    unsent = {frame.call_id: [frame] for frame in worker.opens()}
    stand.lose(worker, unsent)
    assert [frame.open.message for frame in stand.worker(slots=1).opens()] == [b"first"]
