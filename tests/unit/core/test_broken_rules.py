"""Everything that a peer can do wrong, each with the reason that it is told, and with nobody else hurt."""

from collections.abc import Callable, Sequence

import pytest

from portcall.errors import ProtocolError
from portcall.protos.link_rules import (
    CREDIT_BYTES_INITIAL,
    CREDIT_BYTES_MAX,
    FRAME_MESSAGE_BYTES_MAX,
    many_ends,
    many_opens,
)
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Drain,
    End,
    Frame,
    HalfClose,
    Headers,
    Hello,
    Open,
    Ping,
    Slots,
)
from portcall.wire.messages import MessageReceiver

from .stand import METHOD, Client, Stand, Worker

Wrong = Callable[[Client], None]
WrongWorker = Callable[[Worker], None]


def opened(client: Client) -> int:
    return client.open(half_close=False)


def spend_all_then_more(client: Client) -> None:
    call_id = opened(client)
    client.message(call_id, b"x" * CREDIT_BYTES_INITIAL)
    client.message(call_id)


def spend_all_on_empty_messages(client: Client) -> None:
    call_id = opened(client)
    for _ in range(CREDIT_BYTES_INITIAL // 64 + 1):
        client.message(call_id)


def spend_on_empty_inline_message(client: Client) -> None:
    call_id = client.open(half_close=False, message=b"")
    client.message(call_id, b"x" * CREDIT_BYTES_INITIAL)


def open_twice(client: Client) -> None:
    client.send(Frame(call_id=9, open=Open(method=METHOD)), Frame(call_id=9, open=Open(method=METHOD)))


def open_backwards(client: Client) -> None:
    client.send(Frame(call_id=9, open=Open(method=METHOD)), Frame(call_id=8, open=Open(method=METHOD)))


def grant_too_much_little_by_little(client: Client) -> None:
    call_id = opened(client)
    for _ in range(3):
        client.grant(call_id, CREDIT_BYTES_MAX // 2)


def open_many(ids: Sequence[int], messages: Sequence[bytes], call_id: int = 0) -> Wrong:
    frame = many_opens(Open(method=METHOD), ids, messages)
    frame.call_id = call_id
    return lambda client: client.send(frame)


def end_many(ids: Sequence[int], messages: Sequence[bytes], call_id: int = 0) -> WrongWorker:
    frame = many_ends(ids, messages)
    frame.call_id = call_id
    return lambda worker: worker.send(frame)


COLUMN_WRONGS: dict[str, tuple[list[int], list[bytes], str]] = {
    "many of none": ([], [], "a frame of 0 calls with 0 messages"),
    "many with a message missing": ([1, 2], [b""], "a frame of 2 calls with 1 messages"),
    "many with a message too many": ([1], [b"", b""], "a frame of 1 calls with 2 messages"),
    "too many": (list(range(1, 4_098)), [b""] * 4_097, "a frame of 4097 calls"),
    "many with too large a message": ([1], [b"x" * 65_537], "a message of 65537 bytes, over 65536"),
    "many with too many bytes": (list(range(1, 18)), [b"x" * 65_536] * 17, "1114112 bytes of messages, over 1048576"),
}


CLIENT_WRONGS: dict[str, tuple[Wrong, str]] = {
    "an id twice": (open_twice, "call 9 opened after call 9: ids must rise"),
    "an id that falls": (open_backwards, "call 8 opened after call 9: ids must rise"),
    "id 0": (lambda client: client.send(Frame(open=Open(method=METHOD))), "call 0 opened after call 0"),
    "a large message inline": (
        lambda client: void(client.open(message=b"x" * (FRAME_MESSAGE_BYTES_MAX + 1))),
        "opened with 65537 bytes inline, over 65536",
    ),
    "no credit left": (spend_all_then_more, "0 bytes sent without credit"),
    "empty messages without end": (spend_all_on_empty_messages, "0 bytes sent without credit"),
    "an empty message inline is not free": (spend_on_empty_inline_message, "65536 bytes sent without credit"),
    "a chunk too large": (
        lambda client: client.message(opened(client), b"x" * (FRAME_MESSAGE_BYTES_MAX + 1)),
        "65537 bytes sent without credit",
    ),
    "a message after the half-close": (lambda client: client.message(client.open(), b"x"), "after the half-close"),
    "a second half-close": (lambda client: client.half_close(client.open()), "half-closed twice"),
    "too large a grant": (lambda client: client.grant(opened(client), CREDIT_BYTES_MAX), "granted more than"),
    "the largest grant": (lambda client: client.grant(opened(client), (1 << 64) - 1), "granted more than"),
    "grants that add up": (grant_too_much_little_by_little, "granted more than"),
    "an end": (
        lambda client: client.send(Frame(call_id=opened(client), end=End())),
        "call 1: a client cannot send end",
    ),
    "headers": (
        lambda client: client.send(Frame(call_id=opened(client), headers=Headers())),
        "call 1: a client cannot send headers",
    ),
    "no event": (
        lambda client: client.send(Frame(call_id=opened(client))),
        "call 1: a client cannot send a frame without an event",
    ),
    "a call that never was": (
        lambda client: client.send(Frame(call_id=77, cancel=Cancel())),
        "cancel for call 77, which was never opened",
    ),
    "an event of a worker": (lambda client: client.send(Frame(slots=Slots(slots=1))), "slots for call 0"),
    "an event of the link": (lambda client: client.send(Frame(ping=Ping())), "ping for call 0"),
    "a second hello": (lambda client: client.send(Frame(hello=Hello())), "hello for call 0"),
    "nothing at all": (lambda client: client.send(Frame()), "a frame without an event for call 0"),
    **{name: (open_many(ids, messages), reason) for name, (ids, messages, reason) in COLUMN_WRONGS.items()},
    "many ids of which one falls": (open_many([1, 3, 2], [b""] * 3), "ids must rise"),
    "many ids of which one comes twice": (open_many([1, 1], [b""] * 2), "ids must rise"),
    "many ids from 0": (open_many([0, 1], [b""] * 2), "calls 0 to 1 opened after 0: ids must rise"),
    "many calls with an id": (open_many([1], [b""], call_id=7), "opens for call 7, which was never opened"),
    "many ends": (lambda client: client.send(many_ends([1], [b""])), "ends for call 0, which was never opened"),
}


def void(_: object) -> None:
    """Make an expression a statement."""


@pytest.mark.parametrize(("wrong", "reason"), CLIENT_WRONGS.values(), ids=CLIENT_WRONGS)
@pytest.mark.parametrize("slots", [0, 1], ids=["waiting", "running"])
def test_a_client_that_breaks_a_rule_is_told_which_and_hurts_no_other(wrong: Wrong, reason: str, slots: int) -> None:
    stand = Stand()
    good, bad = stand.client(), stand.client()
    worker = stand.worker(slots=1)
    call_id = good.open()
    stand.board.set_slots(worker.port, 1 + slots, stand.now)
    with pytest.raises(ProtocolError) as caught:
        wrong(bad)
    assert reason in str(caught.value)
    stand.board.remove_client(bad.port)
    worker.end(1, message=b"fine")
    assert good.end(call_id) == End(message=b"fine")
    for live in list(worker.port.calls):
        worker.end(live)
    stand.check_idle()
    assert worker.port.free == 1 + slots


def test_what_came_before_a_broken_rule_has_been_taken() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(slots=2)
    with pytest.raises(ProtocolError):
        client.send(Frame(call_id=1, open=Open(method=METHOD)), Frame(call_id=1, open=Open(method=METHOD)))
    assert len(worker.opens()) == 1


def spend_all_then_end(worker: Worker) -> None:
    worker.message(1, b"x" * CREDIT_BYTES_INITIAL)
    worker.end(1, message=b"x")


def spend_nearly_all_then_end(worker: Worker) -> None:
    worker.message(1, b"x" * (CREDIT_BYTES_INITIAL - 10))
    worker.end(1, message=b"")


def spend_all_downwards(worker: Worker) -> None:
    worker.message(1, b"x" * CREDIT_BYTES_INITIAL)
    worker.message(1)


def headers_after_a_message(worker: Worker) -> None:
    worker.message(1, b"x")
    worker.send(Frame(call_id=1, headers=Headers()))


def spend_all_then_end_many(worker: Worker) -> None:
    worker.message(1, b"x" * (CREDIT_BYTES_INITIAL - 63))
    worker.send(many_ends([1], [b""]))


WORKER_WRONGS: dict[str, tuple[WrongWorker, str]] = {
    "no credit left": (spend_all_downwards, "call 1: 0 bytes sent without credit"),
    "no credit left for the end": (spend_all_then_end, "call 1: 1 bytes sent without credit"),
    "not enough credit for the end": (spend_nearly_all_then_end, "call 1: 0 bytes sent without credit"),
    "a chunk too large": (
        lambda worker: worker.message(1, b"x" * (FRAME_MESSAGE_BYTES_MAX + 1)),
        "call 1: 65537 bytes sent without credit",
    ),
    "an end too large": (
        lambda worker: worker.end(1, message=b"x" * (FRAME_MESSAGE_BYTES_MAX + 1)),
        "call 1: 65537 bytes sent without credit",
    ),
    "headers twice": (
        lambda worker: worker.send(Frame(call_id=1, headers=Headers()), Frame(call_id=1, headers=Headers())),
        "call 1: initial metadata sent twice",
    ),
    "headers after a message": (headers_after_a_message, "call 1: initial metadata sent twice, or after a message"),
    "too large a grant": (lambda worker: worker.grant(1, CREDIT_BYTES_MAX), "call 1: granted more than"),
    "the largest grant": (lambda worker: worker.grant(1, (1 << 64) - 1), "call 1: granted more than"),
    "an open": (
        lambda worker: worker.send(Frame(call_id=1, open=Open(method=METHOD))),
        "call 1: a worker cannot send open",
    ),
    "a cancel": (lambda worker: worker.send(Frame(call_id=1, cancel=Cancel())), "call 1: a worker cannot send cancel"),
    "a half-close": (
        lambda worker: worker.send(Frame(call_id=1, half_close=HalfClose())),
        "call 1: a worker cannot send half_close",
    ),
    "slots of a call": (
        lambda worker: worker.send(Frame(call_id=1, slots=Slots(slots=3))),
        "call 1: a worker cannot send slots",
    ),
    "no event": (
        lambda worker: worker.send(Frame(call_id=1)),
        "call 1: a worker cannot send a frame without an event",
    ),
    "a call that never was": (lambda worker: worker.end(2), "end for call 2, which was never opened"),
    "a message for the link": (lambda worker: worker.message(0), "message for call 0, which was never opened"),
    "an event of the link": (lambda worker: worker.send(Frame(ping=Ping())), "ping for call 0"),
    "nothing at all": (lambda worker: worker.send(Frame()), "a frame without an event for call 0"),
    "too many slots": (lambda worker: worker.send(Frame(slots=Slots(slots=4_294_967_295))), "4294967295 slots"),
    "a drain of a call that never was": (
        lambda worker: worker.send(Frame(call_id=9, drain=Drain())),
        "drain for call 9, which was never opened",
    ),
    **{name: (end_many(ids, messages), reason) for name, (ids, messages, reason) in COLUMN_WRONGS.items()},
    "many ends, of a call that never was": (end_many([2], [b"well"]), "an end for call 2, which was never"),
    "many ends with an id": (end_many([1], [b""], call_id=7), "ends for call 7, which was never opened"),
    "no credit left for many ends": (spend_all_then_end_many, "call 1: 0 bytes sent without credit"),
    "many opens": (lambda worker: worker.send(many_opens(Open(method=METHOD), [2], [b""])), "opens for call 0"),
}


@pytest.mark.parametrize(("wrong", "reason"), WORKER_WRONGS.values(), ids=WORKER_WRONGS)
def test_a_worker_that_breaks_a_rule_is_told_which_and_hurts_no_other(wrong: WrongWorker, reason: str) -> None:
    stand = Stand()
    client, bad, good = stand.client(), stand.worker(), stand.worker()
    hurt, fine = client.open(half_close=False), client.open()
    with pytest.raises(ProtocolError) as caught:
        wrong(bad)
    assert reason in str(caught.value)
    client.sink.take()
    stand.lose(bad)
    good.end(1, message=b"fine")
    ends = client.ends()
    assert ends[fine] == End(message=b"fine")
    assert set(ends) == {fine, hurt}
    stand.check_idle()


@pytest.mark.parametrize("inline", [None, b"", b"x", b"x" * 64, b"x" * 65_536], ids=["none", "0", "1", "64", "65536"])
def test_the_hub_takes_no_more_from_a_client_than_a_worker_does(inline: bytes | None) -> None:
    """What a client may send by the hub's accounts must never be an offence by the worker's."""
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False) if inline is None else client.open(half_close=False, message=inline)

    def send_on_and_on() -> None:
        for _ in range(2_000):
            client.message(call_id)

    with pytest.raises(ProtocolError):
        send_on_and_on()
    receiver = MessageReceiver(1, 1 << 30)
    for frame in worker.sink.take():
        if frame.HasField("open") and frame.open.HasField("message"):
            receiver.feed(frame.open.message)
        elif frame.HasField("message"):
            receiver.feed(frame.message.data)


def test_grants_of_nothing_are_an_offence() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False)
    with pytest.raises(ProtocolError, match="a grant of nothing"):
        client.grant(call_id, 0)
    with pytest.raises(ProtocolError, match="a grant of nothing"):
        worker.grant(1, 0)
