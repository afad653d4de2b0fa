"""What is refused because there is too much of it, and how callers are told."""

from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from portcall.core.refusals import DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED
from portcall.protos.link_rules import FRAME_COST_BYTES_MIN
from portcall.protos.portcall.v1.link_pb2 import End, Frame, Message, Open

from .stand import METHOD, Stand, metadata_of


def retry_delay_s(end: End) -> float:
    """Return what a refusal advises to wait, as a gRPC program reads it."""
    (trailer,) = end.trailers
    assert trailer.key == "grpc-status-details-bin"
    status = Status.FromString(trailer.value)
    assert (status.code, status.message) == (end.status, end.details)
    (detail,) = status.details
    advice = RetryInfo()
    assert detail.Unpack(advice)
    return float(advice.retry_delay.ToNanoseconds()) / 1e9


def test_past_the_bound_on_calls_a_caller_is_told_when_to_come_back() -> None:
    stand = Stand(calls_waiting_max=2, retry_delay_s=0.25)
    client, worker = stand.client(), stand.worker()
    for _ in range(3):
        client.open()
    end = client.end(client.open())
    assert end.status == RESOURCE_EXHAUSTED
    assert end.details == "2 calls wait for a worker already; no more may"
    assert retry_delay_s(end) == 0.25
    assert stand.board.calls_refused == 1
    worker.end_oldest()
    client.ends()
    client.open()
    assert not client.ends()


def test_past_the_bound_on_bytes_a_call_is_refused() -> None:
    stand = Stand(bytes_waiting_max=10_000)
    client = stand.client()
    stand.worker(slots=0)
    client.open(message=b"x" * 9_000)
    end = client.end(client.open(message=b"x" * 2_000))
    assert end.status == RESOURCE_EXHAUSTED
    assert retry_delay_s(end) == stand.limits.retry_delay_s
    assert stand.board.calls_waiting == 1
    client.cancel(1)
    stand.check_idle()


def test_past_the_bound_on_bytes_a_waiting_call_that_sends_more_is_refused() -> None:
    stand = Stand(bytes_waiting_max=10_000)
    client = stand.client()
    stand.worker(slots=0)
    call_id = client.open(half_close=False)
    client.message(call_id, b"x" * 5_000)
    client.message(call_id, b"x" * 5_000)
    end = client.end(call_id)
    assert end.status == RESOURCE_EXHAUSTED
    assert retry_delay_s(end) == stand.limits.retry_delay_s
    stand.check_idle()
    # What the client had on its way is late, and harmless.
    client.message(call_id, b"x")
    client.half_close(call_id)
    assert not client.ends()


def test_whatever_waits_counts_for_something() -> None:
    stand = Stand()
    client = stand.client()
    stand.worker(slots=0)
    call_id = client.open("/test.Service/Method", half_close=False)
    assert stand.board.bytes_waiting >= FRAME_COST_BYTES_MIN
    for _ in range(10):
        client.grant(call_id, 1)
    assert stand.board.bytes_waiting >= 11 * FRAME_COST_BYTES_MIN


def test_long_names_of_methods_count_as_bytes_that_wait() -> None:
    stand = Stand(is_settled=False, bytes_waiting_max=100_000)
    client = stand.client()
    for index in range(10):
        client.open(f"/test.Service/{index}" + "x" * 30_000)
    assert stand.board.calls_waiting == 3
    assert len(client.ends()) == 7


def test_metadata_counts_as_bytes_that_wait() -> None:
    stand = Stand(bytes_waiting_max=100_000)
    client = stand.client()
    stand.worker(slots=0)
    for _ in range(10):
        client.open(metadata=metadata_of(30_000))
    assert stand.board.calls_waiting == 3


def test_a_small_call_that_waits_does_not_hold_on_to_the_batch_it_came_in() -> None:
    """A frame of a parsed batch keeps the memory of the whole batch alive; one that waits must not."""
    stand = Stand()
    client = stand.client()
    stand.worker(slots=0)
    opening = Frame(call_id=1, open=Open(method=METHOD, message=b"small"))
    client.send(opening)
    client.send(followed := Frame(call_id=1, message=Message(data=b"more")))
    call = client.call(1)
    assert call.open is not None
    assert call.open is not opening
    assert call.open.open.message == b"small"
    assert call.held is not None
    assert call.held[0] is not followed


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_a_call_with_more_metadata_than_may_be_is_refused() -> None:
    stand = Stand(metadata_bytes_max=1_000)
    client, worker = stand.client(), stand.worker()
    end = client.end(client.open(metadata=metadata_of(1_001)))
    assert end.status == RESOURCE_EXHAUSTED
    assert end.details == "Received 1001 bytes of metadata; at most 1000 may be"
    assert not worker.opens()
    client.open(metadata=metadata_of(1_000))
    assert len(worker.opens()) == 1


def test_metadata_of_many_small_entries_counts_the_entries_too() -> None:
    stand = Stand(metadata_bytes_max=1_000)
    client = stand.client()
    stand.worker()
    entries = [entry for _ in range(40) for entry in metadata_of(33)]
    assert client.end(client.open(metadata=entries)).status == RESOURCE_EXHAUSTED


# --- a client that does not read --------------------------------------------------------------------------------------


def test_a_client_that_leaves_its_replies_unread_may_not_call_again_until_it_has_read_them() -> None:
    stand = Stand(unread_bytes_max=1_000)
    client, worker = stand.client(), stand.worker()
    client.sink.bytes_held = 1_001
    end = client.end(client.open())
    assert end.status == RESOURCE_EXHAUSTED
    assert end.details == "The client does not read its replies; read them before calling again"
    assert retry_delay_s(end) == stand.limits.retry_delay_s
    assert not worker.opens()
    client.sink.bytes_held = 1_000
    client.open()
    assert len(worker.opens()) == 1


def test_the_calls_that_a_client_has_already_go_on_though_it_does_not_read() -> None:
    stand = Stand(unread_bytes_max=1_000)
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False)
    client.sink.bytes_held = 1_001
    client.message(call_id, b"more")
    client.half_close(call_id)
    assert [frame.WhichOneof("event") for frame in worker.sink.take()] == ["open", "message", "half_close"]


def test_refusals_count_as_bytes_that_wait_to_be_read() -> None:
    """So that the link of a client that never reads can be ended, however little each refusal holds."""
    stand = Stand(unread_bytes_max=1_000, metadata_bytes_max=1_000)
    client = stand.client()
    stand.worker()
    client.open("/not.There/Method")
    client.open(metadata=metadata_of(2_000))
    client.sink.bytes_held = 1_001
    client.open()
    assert len(client.sink.frames) == 3
    assert all(size >= frame.end.ByteSize() for frame, size in zip(client.sink.frames, client.sink.sizes, strict=True))


# --- deadlines and bounds ---------------------------------------------------------------------------------------------


def test_calls_that_end_early_leave_nothing_behind_in_the_deadlines() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    for _ in range(10_000):
        client.open(timeout_us=3_600_000_000)
        worker.end_oldest()
    client.ends()
    assert len(stand.board._deadlines) < 2_000


def test_a_refused_call_has_no_deadline_left() -> None:
    stand = Stand(calls_waiting_max=0)
    client = stand.client()
    stand.worker(slots=0)
    client.end(client.open(timeout_us=1_000_000))
    stand.wait(2.0)
    assert not client.ends()


def test_a_call_refused_by_its_deadline_says_so() -> None:
    stand = Stand()
    client = stand.client()
    stand.worker(slots=0)
    call_id = client.open(timeout_us=1_000_000)
    stand.wait(1.0)
    end = client.end(call_id)
    assert (end.status, end.details) == (DEADLINE_EXCEEDED, "Deadline Exceeded")
