"""Unary calls that become jobs by their metadata alone, from native clients and from channels."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from interop.service import InteropStub
from interop.timeouts import timeouts
from interop_pb2 import StreamRequest, UnaryReply, UnaryRequest

from .jobdesk import SUCCEEDED, hub_with, jobs_of
from .servicers import Gate, echo
from .stage import Stage, status_of

KEY = (("portcall-job-key", "k"),)


@pytest.fixture(params=["native_stub", "stub"])
def stub_of(stage: Stage, request: pytest.FixtureRequest) -> Callable[[str], InteropStub]:
    return getattr(stage, request.param)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


async def test_the_call_is_answered_and_the_job_is_kept(stage: Stage, store: Path, stub_of: Any) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=echo)
    call = stub_of(hub.address).UnaryCall(UnaryRequest(body=b"1"), metadata=(*KEY, ("x-app", "yes")))
    assert (await call).body == b"1"
    job = dict(await call.initial_metadata())["portcall-job-id"]
    row = await jobs_of(stage, hub).get(job)
    assert (row.key, row.state) == ("k", SUCCEEDED)


async def test_the_same_key_gets_the_recorded_result(stage: Stage, store: Path, stub_of: Any) -> None:
    gate = Gate()
    gate.opened.set()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = stub_of(hub.address)
    for body in (b"1", b"2"):
        assert (await stub.UnaryCall(UnaryRequest(body=body), metadata=KEY)).body == b"1"
    assert gate.begun == [b"1"]


async def test_a_caller_that_is_cut_off_finds_its_job_again(stage: Stage, store: Path, stub_of: Any) -> None:
    gate = Gate()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = stub_of(hub.address)
    first = stub.UnaryCall(UnaryRequest(body=b"1"), metadata=KEY)
    sent = asyncio.ensure_future(_result(first))
    await gate.when_begun()
    first.cancel()
    await asyncio.wait([sent])
    second = asyncio.ensure_future(_result(stub.UnaryCall(UnaryRequest(body=b"1"), metadata=KEY)))
    gate.opened.set()
    assert (await second).body == b"1"
    assert (gate.begun, gate.cancelled) == ([b"1"], [])


async def _result(call: Any) -> UnaryReply:
    reply: UnaryReply = await call
    return reply


async def test_the_jobs_status_and_trailers_are_the_calls(stage: Stage, store: Path, stub_of: Any) -> None:
    async def fail(request: UnaryRequest, context: grpc.aio.ServicerContext) -> UnaryReply:
        context.set_trailing_metadata((("x-why", "so"),))
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")

    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=fail)
    stub = stub_of(hub.address)
    for _ in range(2):
        call = stub.UnaryCall(UnaryRequest(), metadata=KEY)
        assert await status_of(call) == (grpc.StatusCode.NOT_FOUND, "no such thing")
        assert dict(await call.trailing_metadata())["x-why"] == "so"


async def test_large_messages_pass(stage: Stage, store: Path, stub_of: Any) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=echo)
    body = bytes(range(256)) * 4_000
    stub = stub_of(hub.address)
    for _ in range(2):
        assert (await stub.UnaryCall(UnaryRequest(body=body), metadata=KEY)).body == body


async def test_a_deadline_ends_the_call_and_not_the_job(stage: Stage, store: Path, stub_of: Any) -> None:
    gate = Gate()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = stub_of(hub.address)
    for timeout in timeouts(lambda: bool(gate.begun)):
        code, _ = await status_of(stub.UnaryCall(UnaryRequest(body=b"1"), metadata=KEY, timeout=timeout))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    again = asyncio.ensure_future(_result(stub.UnaryCall(UnaryRequest(), metadata=KEY)))
    gate.opened.set()
    assert (await again).body == b"1"
    assert (gate.begun, gate.cancelled) == ([b"1"], [])


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (("portcall-job-key", ""), "the metadata portcall-job-key is empty"),
        (("portcall-job-attempts", "many"), "the metadata portcall-job-attempts is 'many'; it should be a number"),
        (("portcall-job-attempts", "0"), "attempts is 0; it must be 1 to 1,000"),
        (("portcall-job-color", "red"), "there is no metadata 'portcall-job-color'"),
        (("portcall-job-delay", "nan"), "the metadata portcall-job-delay is 'nan'"),
    ],
)
async def test_wrong_metadata_is_refused_in_words(
    stage: Stage, store: Path, stub_of: Any, metadata: tuple[str, str], words: str
) -> None:
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=echo)
    more = () if metadata[0] == "portcall-job-key" else KEY
    code, details = await status_of(stub_of(hub.address).UnaryCall(UnaryRequest(), metadata=(*more, metadata)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert words in details


async def test_a_stream_of_requests_cannot_be_a_job(stage: Stage, store: Path, stub_of: Any) -> None:
    async def unused(requests: Any, context: Any) -> Any:
        raise AssertionError

    hub = await hub_with(stage, store)
    await stage.worker(hub.address, StreamingInputCall=unused)
    call = stub_of(hub.address).StreamingInputCall(iter([StreamRequest(), StreamRequest()]), metadata=KEY)
    code, details = await status_of(call)
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
    assert "one" in details


async def test_many_calls_of_map_with_a_key_are_one_job(stage: Stage, store: Path) -> None:
    gate = Gate()
    gate.opened.set()
    hub = await hub_with(stage, store)
    await stage.worker(hub.address, UnaryCall=gate.handle)
    stub = stage.stub(hub.address)
    requests = [UnaryRequest(body=b"%d" % number) for number in range(20)]
    replies = [reply.body async for reply in stub.UnaryCall.map(requests, metadata=KEY)]
    assert replies == [b"0"] * 20
    assert gate.begun == [b"0"]


async def test_a_hub_without_a_store_says_how_to_get_one(stage: Stage, stub_of: Any) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    code, details = await status_of(stub_of(hub.address).UnaryCall(UnaryRequest(), metadata=KEY))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "portcall hub --store FILE" in details
