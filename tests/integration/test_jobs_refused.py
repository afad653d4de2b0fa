"""What the service for jobs does not take: wrong requests, wrong contracts, and what its store cannot do."""

import asyncio
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status
from interop_pb2 import UnaryRequest

import portcall
from portcall.core.jobs.batch import Batch, Written
from portcall.core.jobs.effects import Submitted
from portcall.core.jobs.limits import JobLimits
from portcall.core.jobs.requests import CancelJobs, PutSchedule
from portcall.core.jobs.schedules import parse_schedule
from portcall.core.jobs.submissions import PlainSubmissions
from portcall.core.limits import CallLimits
from portcall.errors import ConfigurationError
from portcall.hub import Hub, HubConfig
from portcall.hub.board import Board
from portcall.hub.jobs import keeper as keeping
from portcall.hub.jobs.failing import HubClosingError
from portcall.hub.jobs.threads import StoreThreads
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.protos.portcall.v1.options_pb2 import JobOverrides
from portcall.store.errors import StoreDamagedError, StoreInUseError, StoreUnavailableError
from portcall.store.sqlite.store import SQLiteStore

from .jobdesk import SUCCEEDED, UNARY, Jobs, hub_with, jobs_of, unary
from .servicers import echo
from .stage import LONG_S, Stage, status_of

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
async def jobs(stage: Stage, store: Path) -> Jobs:
    return jobs_of(stage, await hub_with(stage, store))


async def test_without_a_store_every_method_says_how_to_get_one(stage: Stage) -> None:
    jobs = jobs_of(stage, await stage.hub())
    for call in (
        jobs.submit_all(pb.SubmitRequest()),
        jobs.list(pb.ListRequest()),
        jobs.watch(pb.WatchRequest()),
        jobs.wait(),
    ):
        code, details = await status_of(call)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert details == (
            "This hub keeps no jobs. Start it with a file for them: portcall hub --store FILE"
            " (in a container, on a volume that outlives it)"
        )


@pytest.mark.parametrize(
    ("submission", "words"),
    [
        (pb.Submission(), "method is ''; it should be like /package.Service/Method"),
        (pb.Submission(method="Service/Method"), "method is 'Service/Method'"),
        (unary(delay_s=-1), "delay_s is -1; it must be 0 to"),
        (unary(delay_s=float("nan")), "delay_s is nan"),
        (unary(at=float("inf")), "at is inf; it should be seconds since 1970"),
        (unary(after=["zz"]), "'zz' is not the id of a job"),
        (unary(parent="zz"), "'zz' is not the id of a job"),
        (unary(priority=101), "priority is 101; it must be -100 to 100"),
        (unary(key="a\n"), "a key has 1 to 512 characters"),
        (unary(overrides=JobOverrides(attempts=0)), "attempts is 0; it must be 1 to 1,000"),
        (unary(metadata=[pb.MetadataEntry(key="grpc-x")]), "metadata has the key 'grpc-x'"),
        (unary(metadata=[pb.MetadataEntry(key="X")]), "metadata has the key 'X'"),
        (unary(metadata=[pb.MetadataEntry(key="portcall-job-key", value=b"k")]), "metadata has the key"),
    ],
)
async def test_a_wrong_submission_is_refused_and_the_others_are_stored(
    jobs: Jobs, submission: pb.Submission, words: str
) -> None:
    reply = await jobs.submit_all(pb.SubmitRequest(jobs=[unary(), submission, unary()]))
    assert [bool(job.id) for job in reply.jobs] == [True, False, True]
    assert reply.jobs[1].status == INVALID.value[0]
    assert words in reply.jobs[1].details


async def test_an_unknown_job_to_wait_for_is_refused(jobs: Jobs) -> None:
    reply = await jobs.submit_all(pb.SubmitRequest(jobs=[unary(after=["0" * 13])]))
    assert reply.jobs[0].status == grpc.StatusCode.FAILED_PRECONDITION.value[0]


def scheduled(job: pb.Submission) -> pb.PutScheduleRequest:
    return pb.PutScheduleRequest(name="s", spec=pb.ScheduleSpec(every_s=60.0, job=job))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda jobs: jobs.submit_all(pb.SubmitRequest(jobs=[unary()] * 10_001)), "10,001 jobs; at most 10,000"),
        (lambda jobs: jobs.get_all(pb.GetRequest(ids=["0" * 13] * 10_001)), "10,001 ids; at most 10,000"),
        (lambda jobs: jobs.cancel(pb.CancelRequest(ids=["job"])), "'job' is not the id of a job"),
        (lambda jobs: jobs.list(pb.ListRequest(page_size=1_001)), "page_size is 1001; at most 1,000"),
        (lambda jobs: jobs.list(pb.ListRequest(page_token="x")), "page_token is not one of a reply before"),
        (lambda jobs: jobs.list(pb.ListRequest(states=[0])), "states has 0, which is no state of a job"),
        (lambda jobs: jobs.list(pb.ListRequest(label_value="x")), "label_value needs a label"),
        (lambda jobs: jobs.list(pb.ListRequest(submitted_after=float("nan"))), "submitted_after is nan"),
        (lambda jobs: jobs.watch(pb.WatchRequest(jobs=[pb.WatchRequest.From(id="x")])), "'x' is not the id of a job"),
        (lambda jobs: jobs.replies(pb.ReadRepliesRequest()), "'' is not the id of a job"),
        (lambda jobs: jobs.put_schedule(pb.PutScheduleRequest(name="s")), "give either cron or every_s"),
        (lambda jobs: jobs.put_schedule(scheduled(unary(priority=1_000))), "its job cannot be: priority is 1000"),
        (lambda jobs: jobs.put_schedule(scheduled(unary(labels={"l": "x" * 200}))), "its job cannot be: at most 16"),
        (
            lambda jobs: jobs.put_schedule(scheduled(unary(overrides=JobOverrides(timeout_s=-1)))),
            "its job cannot be: timeout_s is -1",
        ),
    ],
)
async def test_a_wrong_request_is_refused_in_words(jobs: Jobs, call: Callable[[Jobs], Any], words: str) -> None:
    code, details = await status_of(call(jobs))
    assert code is INVALID
    assert words in details


async def test_bytes_that_are_no_request_are_refused(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    raw = stage.native_channel(hub.address).unary_unary("/portcall.v1.Jobs/Submit")
    assert await status_of(raw(b"\xff")) == (INVALID, "this is not a portcall.v1.SubmitRequest")


async def test_the_service_is_listed_by_reflection(stage: Stage, store: Path) -> None:
    hub = await hub_with(stage, store)
    assert hub.fleet.registry.file_of_symbol("portcall.v1.Jobs") is not None


# --- stores -----------------------------------------------------------------------------------------------------------


class Sick(SQLiteStore):
    """A store that cannot write while it has words."""

    words = ""
    is_full = False
    defect: Exception | None = None

    def write(self, batch: Batch) -> Written:
        if Sick.defect is not None:
            raise Sick.defect
        if Sick.words:
            raise StoreUnavailableError(Sick.words, is_full=Sick.is_full)
        return super().write(batch)


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> type[Sick]:
    monkeypatch.setattr("portcall.hub.jobs.hosting.SQLiteStore", Sick)
    monkeypatch.setattr(Sick, "words", "")
    monkeypatch.setattr(Sick, "is_full", False)
    monkeypatch.setattr(Sick, "defect", None)
    return Sick


@pytest.mark.parametrize(
    ("is_full", "code"),
    [(True, grpc.StatusCode.RESOURCE_EXHAUSTED), (False, grpc.StatusCode.UNAVAILABLE)],
)
async def test_a_store_that_cannot_write_refuses_new_jobs_and_recovers(
    stage: Stage, store: Path, sick: type[Sick], monkeypatch: pytest.MonkeyPatch, is_full: bool, code: grpc.StatusCode
) -> None:
    limits = JobLimits(store_retry_s=0.01)
    hub = await hub_with(stage, store, access={"job_limits": limits})
    await stage.worker(hub.address, UnaryCall=echo)
    jobs = jobs_of(stage, hub)
    [before] = await jobs.submit(unary())
    await jobs.end(before)
    sick.words, sick.is_full = "there is no room", is_full
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await jobs.submit_all(pb.SubmitRequest(jobs=[unary(), unary()]))
    assert (caught.value.code(), caught.value.details()) == (code, "there is no room")
    status = rpc_status.from_call(caught.value)
    assert status is not None
    info = ErrorInfo()
    assert status.details[0].Is(RetryInfo.DESCRIPTOR)
    assert status.details[1].Unpack(info)
    reason = "STORE_FULL" if is_full else "STORE_UNAVAILABLE"
    assert (info.domain, info.reason) == ("portcall", reason)
    with pytest.raises(portcall.SubmitError) as refused:
        await stage.stub(hub.address).UnaryCall.submit(UnaryRequest(), timeout=0.01)
    error = pickle.loads(pickle.dumps(refused.value))
    assert (error.code(), error.reason, error.is_unknown) == (code, reason, False)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await jobs.cancel(pb.CancelRequest(ids=[before]))
    assert caught.value.code() is code
    # Calls go on meanwhile.
    await stage.native_stub(hub.address).UnaryCall(UnaryRequest())
    sick.words = ""
    [after] = await jobs.submit(unary())
    assert (await jobs.end(after)).state == SUCCEEDED


async def test_a_defect_of_the_store_is_a_crash_with_words_and_no_hang(
    stage: Stage, store: Path, sick: type[Sick], caplog: pytest.LogCaptureFixture
) -> None:
    hub = await hub_with(stage, store)
    sick.defect = RuntimeError("a defect")
    call = jobs_of(stage, hub).submit_all(pb.SubmitRequest(jobs=[unary()]))
    assert str(await hub.failed()) == "a defect"
    assert "The jobs cannot go on" in caplog.text
    await hub.stop()
    code, _ = await status_of(call)
    assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def test_a_second_hub_on_the_same_file_is_refused(stage: Stage, store: Path) -> None:
    await hub_with(stage, store)
    with pytest.raises(StoreInUseError, match="is in use by another hub") as caught:
        await hub_with(stage, store)
    assert isinstance(caught.value, ConfigurationError)


async def test_a_damaged_file_is_refused_and_not_touched(stage: Stage, store: Path) -> None:
    store.write_bytes(b"SQLite format 3\x00" + b"\x13" * 9_000)
    before = store.read_bytes()
    with pytest.raises(StoreDamagedError, match="is damaged"):
        await hub_with(stage, store)
    assert store.read_bytes() == before


async def test_a_hub_that_cannot_listen_lets_go_of_its_store(stage: Stage, store: Path) -> None:
    first = await stage.hub()
    with pytest.raises(ConfigurationError, match="cannot listen"):
        await Hub(HubConfig(listen=first.address, store=store)).start()
    await hub_with(stage, store)


async def test_what_waits_for_the_store_is_bounded(
    stage: Stage, store: Path, sick: type[Sick], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = JobLimits(submissions_waiting_max=5, store_retry_s=60.0)
    hub = await hub_with(stage, store, access={"job_limits": limits})
    jobs = jobs_of(stage, hub)
    await jobs.submit(unary())
    sick.words = "not now"
    code, _ = await status_of(jobs.submit_all(pb.SubmitRequest(jobs=[unary()])))
    assert code is grpc.StatusCode.UNAVAILABLE
    # Now the store is left alone for a while, and what comes waits.
    waiting = jobs.submit_all(pb.SubmitRequest(jobs=[unary()] * 5))
    code, details = await status_of(jobs.submit_all(pb.SubmitRequest(jobs=[unary()])))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "wait to be stored" in details
    waiting.cancel()


async def test_a_backup_is_a_store_of_its_own(stage: Stage, store: Path, tmp_path: Path) -> None:
    hub = await hub_with(stage, store)
    jobs = jobs_of(stage, hub)
    [job] = await jobs.submit(unary(b"1"))
    parts = [part async for part in jobs.backup(pb.BackupRequest())]
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"".join(part.data for part in parts))
    assert parts[0].total_bytes == copy.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == []
    other = await hub_with(stage, copy)
    assert (await jobs_of(stage, other).get(job)).method == UNARY


async def test_a_schedule_too_many_is_refused_without_advice_to_try_again(stage: Stage, store: Path) -> None:
    jobs = jobs_of(stage, await hub_with(stage, store, access={"job_limits": JobLimits(schedules_max=1)}))
    spec = pb.ScheduleSpec(every_s=60.0, job=unary())
    await jobs.put_schedule(pb.PutScheduleRequest(name="first", spec=spec))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await jobs.put_schedule(pb.PutScheduleRequest(name="second", spec=spec))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "there are 1 schedules already; remove some first"
    assert rpc_status.from_call(caught.value) is None


# --- the end ----------------------------------------------------------------------------------------------------------


class Quiet(keeping.JobKeeper):
    """A keeper that does something a few turns of the loop after it has come to rest."""

    def do_at_rest(self, turns: int, step: Callable[[], None]) -> None:
        self._step: tuple[int, Callable[[], None]] | None = (turns, step)

    def _rest(self) -> None:
        super()._rest()
        step, self._step = getattr(self, "_step", None), None
        if step is not None:
            self._later(*step)

    def _later(self, turns: int, step: Callable[[], None]) -> None:
        if turns:
            self._loop.call_soon(self._later, turns - 1, step)
        else:
            step()


def quiet_keeper(store: Path) -> Quiet:
    board = Board(CallLimits())
    return Quiet(StoreThreads(store, SQLiteStore), board, lambda _: False, message_bytes_max=1_000)


@pytest.mark.parametrize("turns", range(6))
async def test_what_comes_while_the_keeper_closes_is_stored_or_refused(
    store: Path, turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Submitted] = []
    asked: list[asyncio.Task[None]] = []

    async def ask() -> None:
        await keeper.request(lambda done: CancelJobs(token=done, jobs=[1]))

    def come() -> None:
        # Its method is new, so it takes two batches.
        keeper.submit_with(answers.extend, PlainSubmissions(UNARY, [b""]))
        asked.append(asyncio.ensure_future(ask()))

    async with quiet_keeper(store) as keeper:
        keeper.do_at_rest(turns, come)
    assert [(answer.status, answer.reason) for answer in answers] in (
        [(0, "")],
        [(grpc.StatusCode.UNAVAILABLE.value[0], "HUB_CLOSING")],
    )
    async with asyncio.timeout(LONG_S):
        [error] = await asyncio.gather(*asked, return_exceptions=True)
    assert error is None or isinstance(error, HubClosingError)
    assert caplog.text == ""


async def test_a_keeper_that_has_closed_triggers_nothing(store: Path) -> None:
    async with quiet_keeper(store) as keeper:
        schedule = parse_schedule("s", pb.ScheduleSpec(every_s=60.0, job=unary()))
        await keeper.request(lambda done: PutSchedule(token=done, schedule=schedule))
    with pytest.raises(HubClosingError):
        await keeper.trigger("s")


async def test_each_who_asks_a_store_in_trouble_gets_an_error_of_its_own(store: Path, sick: type[Sick]) -> None:
    board = Board(CallLimits())
    async with keeping.JobKeeper(StoreThreads(store, Sick), board, lambda _: False, message_bytes_max=1_000) as keeper:
        sick.words, sick.is_full = "there is no room", True
        asked = [keeper.request(lambda done: CancelJobs(token=done, jobs=[1])) for _ in range(2)]
        first, second = await asyncio.gather(*asked, return_exceptions=True)
    for error in (first, second):
        assert isinstance(error, StoreUnavailableError)
        assert (str(error), error.is_full) == ("there is no room", True)
    assert first is not second


def test_the_clock_of_jobs_does_not_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = keeping.steady_clock()
    first = clock()
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert first <= clock() < first + 60
