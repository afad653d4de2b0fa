"""What passes through a running call: ids, credit, metadata, status, and what comes late."""

import pytest

from portcall.core.refusals import UNKNOWN
from portcall.protos.portcall.v1.link_pb2 import COMPRESSION_GZIP, End, Frame, HalfClose, Headers, Metadatum

from .stand import METHOD, OTHER, Stand, metadata_of


def test_frames_of_both_ways_pass_under_the_other_sides_id() -> None:
    stand = Stand()
    first, second, worker = stand.client(), stand.client(), stand.worker(slots=2)
    first.cancel(first.open())
    worker.end(1)
    call_id = second.open(half_close=False)
    worker.sink.take()
    second.message(call_id, b"up", more=True)
    second.half_close(call_id)
    assert [frame.call_id for frame in worker.sink.take()] == [2, 2]
    worker.send(Frame(call_id=2, headers=Headers(compression=COMPRESSION_GZIP)))
    worker.message(2, b"down", more=True)
    worker.end(2)
    headers, message, end = second.sink.take()
    assert {headers.call_id, message.call_id, end.call_id} == {call_id}
    assert headers.headers.compression == COMPRESSION_GZIP
    assert (message.message.data, message.message.more) == (b"down", True)
    assert end.HasField("end")


def test_the_bytes_of_each_frame_are_told_to_the_link() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False, message=b"x" * 5_000, metadata=metadata_of(100))
    client.message(call_id, b"x" * 6_000)
    client.half_close(call_id)
    assert worker.sink.sizes[1:] == [6_000, 0]
    assert worker.sink.sizes[0] >= 5_100
    worker.send(Frame(call_id=1, headers=Headers(metadata=metadata_of(200))))
    worker.message(1, b"x" * 7_000)
    worker.end(1, status=5, message=b"x" * 8_000, trailers=metadata_of(300), details="x" * 400)
    assert client.sink.sizes == [200, 7_000, 8_700]


def test_credit_goes_ahead() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False)
    client.grant(call_id, 500)
    worker.grant(1, 600)
    assert (worker.sink.sizes[-1], client.sink.sizes[-1]) == (-1, -1)
    assert (worker.sink.frames[-1].credit.bytes, client.sink.frames[-1].credit.bytes) == (500, 600)
    assert client.sink.frames[-1].call_id == call_id


def test_a_half_close_may_follow_long_after_the_first_reply_and_before_the_last() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False)
    worker.message(1, b"reply")
    client.half_close(call_id)
    worker.message(1, b"after the half-close")
    worker.end(1)
    events = [frame.WhichOneof("event") for frame in client.sink.take()]
    assert events == ["message", "message", "end"]


def test_a_worker_may_end_before_the_half_close_and_the_half_close_is_late() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open(half_close=False)
    worker.end(1)
    worker.sink.take()
    client.half_close(call_id)
    client.message(call_id, b"late")
    assert not worker.sink.frames
    stand.check_idle()


def test_status_details_and_trailers_pass_as_they_are() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open()
    end = End(status=9, details="no \u2603", trailers=[Metadatum(key="grpc-status-details-bin", value=b"\x00\xff")])
    worker.send(Frame(call_id=1, end=end))
    assert client.end(call_id) == end


@pytest.mark.parametrize("status", [17, 100, 4_294_967_295])
def test_a_status_that_grpc_does_not_have_is_unknown(status: int) -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    call_id = client.open()
    worker.end(1, status=status)
    assert client.end(call_id).status == UNKNOWN


@pytest.mark.parametrize("size", [1_000, 1_001])
def test_metadata_of_a_reply_goes_whole_or_not_at_all(size: int) -> None:
    stand = Stand(metadata_bytes_max=1_000)
    client, worker = stand.client(), stand.worker()
    call_id = client.open()
    worker.send(Frame(call_id=1, headers=Headers(metadata=metadata_of(size))))
    worker.end(1, trailers=metadata_of(size), message=b"kept")
    headers, end = client.sink.take()
    assert len(headers.headers.metadata) == len(end.end.trailers) == (1 if size <= 1_000 else 0)
    assert end.end.message == b"kept"
    assert call_id not in client.port.calls


@pytest.mark.parametrize("frame", [Frame(half_close=HalfClose()), Frame(headers=Headers()), Frame(end=End())])
def test_frames_for_a_finished_call_of_a_worker_go_nowhere(frame: Frame) -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.open()
    worker.end(1)
    client.ends()
    late = Frame(call_id=1)
    late.MergeFrom(frame)
    worker.send(late)
    assert not client.sink.frames
    assert worker.port.free == 1


def test_a_worker_of_a_cancelled_call_is_heard_no_more_until_it_has_stopped() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker()
    client.cancel(client.open(half_close=False))
    worker.send(Frame(call_id=1, headers=Headers()))
    worker.message(1, b"x" * 65_536)
    worker.message(1, b"x" * 65_536)
    worker.grant(1, 1_000)
    assert worker.port.free == 0
    worker.end(1)
    assert worker.port.free == 1
    assert not client.sink.frames


def test_calls_of_two_methods_do_not_mix() -> None:
    stand = Stand()
    client, worker = stand.client(), stand.worker(METHOD, OTHER, slots=2)
    ids = {client.open(OTHER): b"other", client.open(METHOD): b"method"}
    for frame in worker.opens():
        worker.end(frame.call_id, message=b"other" if frame.open.method == OTHER else b"method")
    assert {call_id: end.message for call_id, end in client.ends().items()} == ids


def test_details_that_are_longer_than_metadata_may_be_are_cut() -> None:
    stand = Stand(metadata_bytes_max=1_000)
    client, worker = stand.client(), stand.worker()
    call_id = client.open()
    worker.end(1, status=2, details="x" * 1_001)
    end = client.end(call_id)
    assert end.details == "x" * 1_000
