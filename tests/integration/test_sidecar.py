"""The sidecar: a server that knows nothing of the fleet joins it, leaves it while it is unwell, and comes back."""

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from interop.service import SERVICE, Context
from interop_pb2 import DESCRIPTOR, UnaryReply, UnaryRequest

from portcall.errors import ConfigurationError
from portcall.hub import Hub
from portcall.protos.job_ids import id_text
from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus
from portcall.wire.access import resolve_access
from portcall.wire.limits import Liveness
from portcall.worker import upstream_access
from portcall.worker.sidecar import Sidecar, SidecarConfig
from portcall.worker.upstream import PROBE

from .jobs_by_hand import JobsByHand
from .servicers import Gate, Named, echo
from .stage import LONG_S, Stage, status_of, until
from .test_reflection import Asker
from .upstreams import NOT_SERVING, SERVICE_UNKNOWN, SERVING, Health, UpstreamStage

READY = WorkerStatus.STATE_READY
DRAINING = WorkerStatus.STATE_DRAINING


@pytest.fixture
def upstreams(stage: Stage, tmp_path: Path) -> UpstreamStage:
    return UpstreamStage(stage, tmp_path)


async def call_named(stage: Stage, hub: Hub) -> bytes:
    """Which server answers; waits for one if there is none."""
    reply = await stage.native_stub(hub.address).UnaryCall(UnaryRequest(), wait_for_ready=True)
    return reply.body


# --- joining and leaving ---------------------------------------------------------------------------------------------


async def test_joins_and_leaves_with_its_sidecar(upstreams: UpstreamStage) -> None:
    stage = upstreams.stage
    hub = await stage.hub(worker_wait_max_s=0.0)
    sidecar = await upstreams.joined(await upstreams.serving(UnaryCall=echo), hub.address, name="crane", slots=7)
    (worker,) = await stage.fleet(hub.address).workers()
    assert (worker.name, worker.slots, list(worker.services)) == ("crane", 7, [SERVICE])
    assert await stage.native_stub(hub.address).UnaryCall(UnaryRequest(body=b"x")) == UnaryReply(body=b"x")
    await sidecar.stop()
    await sidecar.stop()  # idempotent
    await stage.fleet(hub.address).when_state()
    code, _ = await status_of(stage.native_stub(hub.address).UnaryCall(UnaryRequest()))
    assert code is grpc.StatusCode.UNAVAILABLE


async def test_reflection_of_the_hub_tells_of_its_services(upstreams: UpstreamStage) -> None:
    hub = await upstreams.stage.hub()
    await upstreams.joined(await upstreams.serving(health=Health(SERVING), UnaryCall=echo), hub.address)
    asker = Asker(upstreams.stage.native_channel(hub.address), "v1")
    assert [name for name in await asker.services() if not name.startswith(("grpc.", "portcall."))] == [SERVICE]
    pool = await asker.pool(file_containing_symbol=SERVICE)
    assert pool.FindServiceByName(SERVICE).methods_by_name["StreamingInputCall"].client_streaming


async def test_chosen_services_join_alone(upstreams: UpstreamStage) -> None:
    stage = upstreams.stage
    hub = await stage.hub()
    services = (SERVICE, "interop.Unregistered")
    upstream = await upstreams.serving(services=services, UnaryCall=echo)
    await upstreams.joined(upstream, hub.address, services=(SERVICE,))
    (worker,) = await stage.fleet(hub.address).workers()
    assert list(worker.services) == [SERVICE]


async def test_waits_for_upstream_and_hub(upstreams: UpstreamStage, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/hub.sock"
    upstream = upstreams.upstream()
    sidecar = upstreams.sidecar(upstream, address)
    starting = asyncio.ensure_future(sidecar.start())
    await upstream.start(UnaryCall=Named(b"one").handle)
    hub = await upstreams.stage.hub(listen=address)
    async with asyncio.timeout(LONG_S):
        await starting
    assert await call_named(upstreams.stage, hub) == b"one"


async def test_stops_while_it_waits(upstreams: UpstreamStage, tmp_path: Path) -> None:
    for upstream in (upstreams.upstream(), await upstreams.serving(UnaryCall=echo)):
        sidecar = upstreams.sidecar(upstream, f"unix:{tmp_path}/nobody.sock")
        starting = asyncio.ensure_future(sidecar.start())
        await asyncio.sleep(0)
        await sidecar.stop()
        with pytest.raises(asyncio.CancelledError):
            await starting


async def test_stops_before_it_has_started(upstreams: UpstreamStage) -> None:
    await upstreams.sidecar(upstreams.upstream(), "127.0.0.1:1").stop()


async def test_finds_the_hub_back(upstreams: UpstreamStage, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/hub.sock"
    first = await upstreams.stage.hub(listen=address)
    await upstreams.joined(await upstreams.serving(UnaryCall=Named(b"one").handle), address)
    await first.stop()
    again = await upstreams.stage.hub(listen=address)
    await upstreams.stage.fleet(address).when_state(READY)
    assert await call_named(upstreams.stage, again) == b"one"


# --- health ----------------------------------------------------------------------------------------------------------


async def test_leaves_while_it_says_that_it_is_not_serving(upstreams: UpstreamStage) -> None:
    stage = upstreams.stage
    hub, health = await stage.hub(), Health(SERVING)
    await upstreams.joined(await upstreams.serving(health=health, UnaryCall=Named(b"one").handle), hub.address)
    for _ in range(2):
        health.set(NOT_SERVING)
        await stage.fleet(hub.address).when_state()
        health.set(SERVING)
        assert await call_named(stage, hub) == b"one"


async def test_joins_only_when_it_serves(upstreams: UpstreamStage, caplog: pytest.LogCaptureFixture) -> None:
    hub, health = await upstreams.stage.hub(), Health(NOT_SERVING)
    sidecar = upstreams.sidecar(await upstreams.serving(health=health, UnaryCall=echo), hub.address)
    starting = asyncio.ensure_future(sidecar.start())
    await until(lambda: "says that it is not serving" in caplog.text)
    assert await upstreams.stage.fleet(hub.address).workers() == []
    health.set(SERVING)
    await starting
    await upstreams.stage.fleet(hub.address).when_state(READY)


async def test_calls_that_run_go_on_while_it_does_not_serve(upstreams: UpstreamStage) -> None:
    stage, gate = upstreams.stage, Gate()
    hub, health = await stage.hub(), Health(SERVING)
    await upstreams.joined(await upstreams.serving(health=health, UnaryCall=gate.handle), hub.address)
    call = stage.native_stub(hub.address).UnaryCall(UnaryRequest(body=b"long"))
    await gate.when_begun()
    health.set(NOT_SERVING)
    await stage.fleet(hub.address).when_state(DRAINING)
    health.set(SERVING)
    await stage.fleet(hub.address).when_state(READY, DRAINING)
    gate.opened.set()
    assert await call == UnaryReply(body=b"long")
    await stage.fleet(hub.address).when_state(READY)


async def test_health_service_that_knows_nothing_of_the_server_does_not_count(upstreams: UpstreamStage) -> None:
    hub, health = await upstreams.stage.hub(), Health(SERVICE_UNKNOWN)
    await upstreams.joined(await upstreams.serving(health=health, UnaryCall=Named(b"one").handle), hub.address)
    assert await call_named(upstreams.stage, hub) == b"one"


# --- going and coming back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_health", [True, False], ids=["health", "connection"])
async def test_leaves_when_its_server_goes_and_comes_back_with_it(upstreams: UpstreamStage, has_health: bool) -> None:
    stage = upstreams.stage
    hub, upstream = await stage.hub(), upstreams.upstream()
    await upstream.start(health=Health(SERVING) if has_health else None, UnaryCall=Named(b"one").handle)
    await upstreams.joined(upstream, hub.address)
    assert await call_named(stage, hub) == b"one"
    await upstream.stop()
    await stage.fleet(hub.address).when_state()
    await upstream.start(health=Health(SERVING) if has_health else None, UnaryCall=Named(b"two").handle)
    assert await call_named(stage, hub) == b"two"


async def test_learns_what_a_server_serves_that_has_changed(upstreams: UpstreamStage) -> None:
    stage = upstreams.stage
    hub, upstream = await stage.hub(), upstreams.upstream()
    await upstream.start(UnaryCall=echo)
    await upstreams.joined(upstream, hub.address)
    await upstream.stop()
    await upstream.start(UnaryCall=echo, services=(SERVICE, "interop.Unregistered"))
    await stage.fleet(hub.address).when(
        lambda workers: [list(worker.services) for worker in workers] == [[SERVICE, "interop.Unregistered"]]
    )


async def test_server_that_stops_with_grace_ends_its_calls_in_peace(upstreams: UpstreamStage) -> None:
    stage, gate = upstreams.stage, Gate()
    hub, upstream = await stage.hub(), upstreams.upstream()
    await upstream.start(UnaryCall=gate.handle)
    await upstreams.joined(upstream, hub.address)
    call = stage.native_stub(hub.address).UnaryCall(UnaryRequest(body=b"last"))
    await gate.when_begun()
    stopping = asyncio.ensure_future(upstream.stop(LONG_S))
    await stage.fleet(hub.address).when_state(DRAINING)
    gate.opened.set()
    assert await call == UnaryReply(body=b"last")
    await stopping
    await stage.fleet(hub.address).when_state()


async def test_calls_of_a_server_that_dies_end_with_its_name(upstreams: UpstreamStage) -> None:
    stage, gate = upstreams.stage, Gate()
    hub = await stage.hub()
    upstream = upstreams.upstream("127.0.0.1:0")
    await upstream.start(UnaryCall=gate.handle)
    wire = await stage.proxy(upstream.address)
    upstream.address = wire.address
    await upstreams.joined(upstream, hub.address)
    call = stage.native_stub(hub.address).UnaryCall(UnaryRequest(body=b"lost"))
    await gate.when_begun()
    wire.cut()
    code, details = await status_of(call)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert details.startswith(f"The upstream {wire.address} is not available: ")
    await gate.when_cancelled()


async def test_unavailable_by_the_servers_own_word_stays_as_it_is(upstreams: UpstreamStage) -> None:
    async def refuse(request: UnaryRequest, context: Context) -> UnaryReply:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "closed on Mondays")

    hub = await upstreams.stage.hub()
    await upstreams.joined(await upstreams.serving(UnaryCall=refuse), hub.address)
    status = await status_of(upstreams.stage.native_stub(hub.address).UnaryCall(UnaryRequest()))
    assert status == (grpc.StatusCode.UNAVAILABLE, "closed on Mondays")


@pytest.mark.parametrize("has_health", [True, False], ids=["health", "connection"])
async def test_leaves_when_its_server_falls_silent_and_comes_back_with_its_answers(
    upstreams: UpstreamStage, has_health: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stage = upstreams.stage
    hub, upstream = await stage.hub(), upstreams.upstream("127.0.0.1:0")
    await upstream.start(health=Health(SERVING) if has_health else None, UnaryCall=Named(b"one").handle)
    wire = await stage.proxy(upstream.address)
    upstream.address = wire.address
    await upstreams.joined(upstream, hub.address, liveness=Liveness(ping_interval_s=0.05))
    wire.hold()
    await stage.fleet(hub.address).when_state()
    await until(lambda: "answers nothing, though its connection holds; withdrawn until it does" in caplog.text)
    wire.release()
    assert await call_named(stage, hub) == b"one"


async def test_calls_of_a_silent_server_go_on_and_may_still_be_answered(upstreams: UpstreamStage) -> None:
    stage, gate = upstreams.stage, Gate()
    hub, upstream = await stage.hub(), upstreams.upstream("127.0.0.1:0")
    await upstream.start(UnaryCall=gate.handle)
    wire = await stage.proxy(upstream.address)
    upstream.address = wire.address
    await upstreams.joined(upstream, hub.address, liveness=Liveness(ping_interval_s=0.05))
    call = stage.native_stub(hub.address).UnaryCall(UnaryRequest(body=b"late"))
    await gate.when_begun()
    wire.hold()
    await stage.fleet(hub.address).when_state(DRAINING)
    gate.opened.set()
    wire.release()
    assert await call == UnaryReply(body=b"late")


async def test_calls_of_a_silent_server_end_when_it_answers_no_ping_either(
    upstreams: UpstreamStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_access, "KEEPALIVE_S", 0.1)
    monkeypatch.setattr(upstream_access, "KEEPALIVE_ANSWER_S", 0.1)
    stage, gate = upstreams.stage, Gate()
    hub, upstream = await stage.hub(), upstreams.upstream("127.0.0.1:0")
    await upstream.start(UnaryCall=gate.handle)
    wire = await stage.proxy(upstream.address)
    upstream.address = wire.address
    await upstreams.joined(upstream, hub.address)
    call = stage.native_stub(hub.address).UnaryCall(UnaryRequest(body=b"lost"))
    await gate.when_begun()
    wire.hold()
    code, details = await status_of(call)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert details.startswith(f"The upstream {wire.address} is not available: ")


async def test_server_that_is_asked_and_answers_stays(
    upstreams: UpstreamStage, caplog: pytest.LogCaptureFixture
) -> None:
    asked = asyncio.Event()

    class Asked(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
            if details.method == PROBE:
                asked.set()
            return await continuation(details)

    hub, upstream = await upstreams.stage.hub(), upstreams.upstream()
    await upstream.start(interceptors=(Asked(),), UnaryCall=Named(b"one").handle)
    await upstreams.joined(upstream, hub.address, liveness=Liveness(ping_interval_s=0.01, pings_missed_max=10_000))
    for _ in range(3):
        await asked.wait()
        asked.clear()
    await upstreams.stage.fleet(hub.address).when_state(READY)
    assert "withdrawn" not in caplog.text


async def test_server_whose_answer_was_not_read_in_time_stays(
    upstreams: UpstreamStage, caplog: pytest.LogCaptureFixture
) -> None:
    silence = Liveness(ping_interval_s=0.002, pings_missed_max=200)
    asked = asyncio.Semaphore(0)

    class StandingStill(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
            if details.method == PROBE:
                time.sleep(0.5)  # noqa: ASYNC251  # the sidecar is in this process, and has to stand still too
                asked.release()
            return await continuation(details)

    hub, upstream = await upstreams.stage.hub(), upstreams.upstream()
    await upstream.start(interceptors=(StandingStill(),), UnaryCall=Named(b"one").handle)
    await upstreams.joined(upstream, hub.address, liveness=silence)
    for _ in range(2):
        await asked.acquire()
    await upstreams.stage.fleet(hub.address).when_state(READY)
    assert "withdrawn" not in caplog.text


# --- stopping --------------------------------------------------------------------------------------------------------


async def test_stop_lets_calls_end_within_its_grace(upstreams: UpstreamStage) -> None:
    stage, gate = upstreams.stage, Gate()
    hub = await stage.hub()
    sidecar = await upstreams.joined(await upstreams.serving(UnaryCall=gate.handle), hub.address)
    call = stage.native_stub(hub.address).UnaryCall(UnaryRequest(body=b"last"))
    await gate.when_begun()
    stopping = asyncio.ensure_future(sidecar.stop(LONG_S))
    await stage.fleet(hub.address).when_state(DRAINING)
    gate.opened.set()
    assert await call == UnaryReply(body=b"last")
    await stopping


async def test_stop_cancels_what_does_not_end(upstreams: UpstreamStage) -> None:
    stage, gate = upstreams.stage, Gate()
    hub = await stage.hub()
    sidecar = await upstreams.joined(await upstreams.serving(UnaryCall=gate.handle), hub.address)
    call = stage.native_stub(hub.address).UnaryCall(UnaryRequest())
    await gate.when_begun()
    await sidecar.stop(0)
    assert (await status_of(call))[0] is grpc.StatusCode.CANCELLED
    await gate.when_cancelled()


# --- descriptor sets -------------------------------------------------------------------------------------------------


async def test_server_without_reflection_is_described_by_a_file(upstreams: UpstreamStage, tmp_path: Path) -> None:
    path = tmp_path / "interop.binpb"
    file = FileDescriptorProto.FromString(DESCRIPTOR.serialized_pb)
    path.write_bytes(FileDescriptorSet(file=[file]).SerializeToString())
    hub = await upstreams.stage.hub()
    upstream = await upstreams.serving(services=(), UnaryCall=Named(b"one").handle)
    await upstreams.joined(upstream, hub.address, descriptor_set=path, services=(SERVICE,))
    assert await call_named(upstreams.stage, hub) == b"one"


async def test_file_that_is_spoilt_later_is_an_error_until_it_is_mended(
    upstreams: UpstreamStage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "interop.binpb"
    sound = FileDescriptorSet(file=[FileDescriptorProto.FromString(DESCRIPTOR.serialized_pb)]).SerializeToString()
    path.write_bytes(sound)
    hub, upstream = await upstreams.stage.hub(), await upstreams.serving(services=(), UnaryCall=Named(b"one").handle)
    await upstreams.joined(upstream, hub.address, descriptor_set=path)
    path.write_bytes(b"\xff")
    await upstream.stop()
    await upstream.start(services=(), UnaryCall=Named(b"two").handle)
    await until(lambda: "stays withdrawn until this is mended: descriptor set" in caplog.text)
    path.write_bytes(sound)
    assert await call_named(upstreams.stage, hub) == b"two"


# --- mistakes --------------------------------------------------------------------------------------------------------


def test_addresses_are_checked_at_once() -> None:
    for config in (
        SidecarConfig(upstream="nonsense", access=resolve_access("127.0.0.1:1")),
        SidecarConfig(upstream="a:1", access=resolve_access("127.0.0.1:1"), slots=0),
    ):
        with pytest.raises(ConfigurationError):
            Sidecar(config)


async def test_server_without_reflection(upstreams: UpstreamStage) -> None:
    hub, upstream = await upstreams.stage.hub(), await upstreams.serving(services=(), UnaryCall=echo)
    with pytest.raises(ConfigurationError) as caught:
        await upstreams.joined(upstream, hub.address)
    assert str(caught.value) == (
        f"the upstream {upstream.address} does not tell its methods by server reflection (UNIMPLEMENTED: Method not"
        " found!). Turn reflection on in it, or describe it with --descriptor-set FILE"
    )


async def test_service_that_is_not_there(upstreams: UpstreamStage) -> None:
    hub, upstream = await upstreams.stage.hub(), await upstreams.serving(UnaryCall=echo)
    with pytest.raises(ConfigurationError, match=r"there is no service 'Interop'\. Did you mean interop\.Interop\?"):
        await upstreams.joined(upstream, hub.address, services=("Interop",))


async def test_what_answers_is_no_grpc_server(upstreams: UpstreamStage, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    upstream = upstreams.upstream()
    web = await asyncio.start_unix_server(answer, upstream.address.removeprefix("unix:"))
    sidecar = upstreams.sidecar(upstream, "127.0.0.1:1")
    starting = asyncio.ensure_future(sidecar.start())
    await until(lambda: "cannot be reached, dialling on" in caplog.text)
    assert "http1.x server" in caplog.text
    await sidecar.stop()
    web.close()
    with pytest.raises(asyncio.CancelledError):
        await starting


# --- attempts at jobs -------------------------------------------------------------------------------------------------


async def test_a_server_that_knows_no_jobs_runs_attempts(upstreams: UpstreamStage) -> None:
    metadata: dict[str, object] = {}

    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        metadata.update(context.invocation_metadata())
        return UnaryReply(body=request.body)

    hub = await upstreams.stage.hub()
    jobs = JobsByHand(hub)
    await upstreams.joined(await upstreams.serving(UnaryCall=handle), hub.address)
    attempt = jobs.open(body=b"x", number=2)
    await jobs.when_over(attempt)
    assert attempt.body == b"x"
    assert (metadata["portcall-job-id"], metadata["portcall-job-attempt"]) == (id_text(attempt.job), "2")
    jobs.record(attempt)
