"""Jobs on a blocking channel, and the blocking fleet of `portcall.testing`."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc
import pytest

import portcall
from portcall.jobs import JobState, StateChanged
from portcall.testing import SyncFleet

from .ports import Dock, Manifest, PortStub, Refusal, Sighting, WatchRequest, add


class Blocking(Dock):
    """A harbour for threads."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.is_begun = threading.Event()

    def Inspect(self, request: Manifest, context: Any) -> Manifest:  # type: ignore[override]
        self.is_begun.set()
        self.gate.wait()
        return request

    def Watch(self, request: WatchRequest, context: Any) -> Any:
        for number in range(request.count):
            yield Sighting(number=number)


@pytest.fixture
def dock(portcall_sync_fleet: SyncFleet) -> Blocking:
    dock = Blocking()
    portcall_sync_fleet.serve(add, dock)
    return dock


@pytest.fixture
def stub(portcall_sync_fleet: SyncFleet, dock: Blocking) -> Any:
    return PortStub(portcall_sync_fleet.channel())


def test_a_job_gives_the_reply_of_its_method(stub: Any) -> None:
    job = stub.Inspect.submit(Manifest(string_value="a"))
    assert job.result().string_value == "a"
    assert job.result(timeout=0).string_value == "a"
    assert stub.Inspect.job(job.id).result().string_value == "a"
    assert job.status().state is JobState.SUCCEEDED


def test_a_job_fails_with_the_status_of_its_method(stub: Any) -> None:
    with pytest.raises(portcall.JobError, match="no berth") as raised:
        stub.Refuse.submit(Refusal(code=5, details="no berth")).result()
    assert isinstance(raised.value, grpc.RpcError)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_requests_are_taken_in_the_thread_that_submits(stub: Any) -> None:
    threads = set()

    def requests() -> Any:
        for number in range(5_000):
            threads.add(threading.current_thread())
            yield Manifest(string_value=f"{number}")

    jobs = stub.Inspect.submit_many(requests())
    assert threads == {threading.current_thread()}
    assert [job.result().string_value for job in jobs] == [f"{number}" for number in range(5_000)]


def test_many_threads_share_a_channel(stub: Any) -> None:
    def work(number: int) -> str:
        job = stub.Inspect.submit(Manifest(string_value=f"{number}"), key=f"{number % 10}")
        return str(job.result().string_value)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(200)))
    assert len(set(found)) == 10


def test_what_was_refused_is_told(stub: Any) -> None:
    requests = [Manifest(string_value="a"), Manifest(string_value="b")]
    with pytest.raises(portcall.SubmitError, match="1 of 2") as raised:
        stub.Inspect.submit_many(
            requests, key=lambda each: each.string_value * 1_000 if "b" in each.string_value else "a"
        )
    stored, refused = raised.value.results
    assert stored.result().string_value == "a"
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_results_are_waited_for_no_longer_than_asked(stub: Any, dock: Blocking) -> None:
    dock.gate.clear()
    job = stub.Inspect.submit(Manifest())
    with pytest.raises(TimeoutError):
        job.result(timeout=0.01)
    dock.gate.set()
    assert job.result() == Manifest()


def test_events_and_cancellation(stub: Any, portcall_sync_fleet: SyncFleet) -> None:
    job = stub.Inspect.submit(Manifest(), delay=timedelta(days=1))
    assert job.cancel() is JobState.CANCELLED
    events = list(job.events())
    assert [event.state for event in events if isinstance(event, StateChanged)][-1] is JobState.CANCELLED
    early = job.events()
    next(early)
    early.close()


def test_stored_replies_are_read_by_offset(stub: Any) -> None:
    job = stub.Watch.submit(WatchRequest(count=5))
    assert [reply.number for reply in job.replies()] == [0, 1, 2, 3, 4]
    assert [reply.number for reply in job.replies(3)] == [3, 4]
    assert job.result() is None


def test_jobs_may_wait_for_jobs(stub: Any) -> None:
    first = stub.Inspect.submit(Manifest(string_value="a"))
    assert stub.Inspect.submit(Manifest(string_value="b"), after=[first]).result().string_value == "b"


def test_the_clock_and_the_hub_are_in_the_hand_of_the_test(portcall_sync_fleet: SyncFleet, stub: Any) -> None:
    job = stub.Inspect.submit(Manifest(string_value="late"), delay=3_600)
    portcall_sync_fleet.restart_hub()
    portcall_sync_fleet.clock.advance(3_601)
    assert job.result().string_value == "late"
    with pytest.raises(ValueError, match="go back"):
        portcall_sync_fleet.clock.advance(-1)


def test_a_closed_channel_says_so(portcall_sync_fleet: SyncFleet, dock: Blocking) -> None:
    channel = portcall_sync_fleet.channel()
    stub: Any = PortStub(channel)
    dock.gate.clear()
    job = stub.Inspect.submit(Manifest())
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            job.result()
        except grpc.RpcError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    dock.is_begun.wait()
    channel.close()
    thread.join()
    dock.gate.set()
    assert [error.code() for error in errors] == [grpc.StatusCode.CANCELLED]  # type: ignore[attr-defined]
