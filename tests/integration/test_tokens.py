"""Who may do what at a hub that wants tokens, on every way in."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from interop.service import Context, interop_stub
from interop_pb2 import UnaryReply, UnaryRequest

from portcall.hub import Hub
from portcall.protos.portcall.v1.fleet_pb2 import ListWorkersReply, ListWorkersRequest
from portcall.wire.access import resolve_access
from portcall.wire.native import open_aio_channel, open_channel
from portcall.wire.pump import REASON_LOST

from .rawpeer import RawPeer, worker_hello
from .servicers import Gate, echo
from .stage import LONG_S, Stage, status_of, until, when_channel

WORKER, CLIENT, BOTH, UNKNOWN = (f"{name}-0123456789abcdef" for name in ("worker", "client", "both", "unknown"))

UNAUTHENTICATED, PERMISSION_DENIED = StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED
FAILURE = grpc.ChannelConnectivity.TRANSIENT_FAILURE

WRONG = [
    pytest.param(None, UNAUTHENTICATED, id="no token"),
    pytest.param(UNKNOWN, UNAUTHENTICATED, id="unknown token"),
    pytest.param(WORKER, PERMISSION_DENIED, id="a worker's token"),
]


class TokenFile:
    """A hub's token file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(f"worker {WORKER} crane", f"client {CLIENT} desk", f"worker,client {BOTH} admin")

    def write(self, *lines: str) -> None:
        self.path.write_text("\n".join(lines) + "\n")
        self.path.chmod(0o600)


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "tokens")


@pytest.fixture
def guarded(stage: Stage, tokens: TokenFile) -> Callable[[], Any]:
    async def start(**settings: Any) -> Hub:
        return await stage.hub(access={"token_file": tokens.path, "reread_s": 0.01}, **settings)

    return start


def bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("authorization", f"Bearer {token}"),)


def own(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("portcall-token", token),)


# --- the right token ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("present", [bearer, own])
async def test_right_token_opens_each_way(stage: Stage, guarded: Any, present: Any) -> None:
    hub = await guarded()
    await stage.worker(hub.address, UnaryCall=echo, token=WORKER)
    native = stage.native_stub(hub.address)
    assert await native.UnaryCall(UnaryRequest(body=b"1"), metadata=present(CLIENT)) == UnaryReply(body=b"1")
    linked = interop_stub(stage.channel(hub.address, token=CLIENT))
    assert await linked.UnaryCall(UnaryRequest(body=b"2")) == UnaryReply(body=b"2")
    assert [worker.name for worker in (await list_workers(stage, hub, present(BOTH))).workers] != []
    assert "interop.Interop" in await services(stage, hub, present(CLIENT))


async def test_one_token_of_the_environment_is_good_for_all(stage: Stage) -> None:
    hub = await stage.hub(access={"token": BOTH})
    await stage.worker(hub.address, UnaryCall=echo, token=BOTH)
    stub = interop_stub(stage.channel(hub.address, token=BOTH))
    assert await stub.UnaryCall(UnaryRequest(body=b"1")) == UnaryReply(body=b"1")
    code, _ = await status_of(stage.native_stub(hub.address).UnaryCall(UnaryRequest(), metadata=bearer(UNKNOWN)))
    assert code is UNAUTHENTICATED


async def test_health_needs_no_token(stage: Stage, guarded: Any) -> None:
    hub = await guarded()
    health = health_pb2_grpc.HealthStub(stage.native_channel(hub.address))
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING


async def test_native_channels_bring_the_token_on_each_kind_of_call(stage: Stage, guarded: Any) -> None:
    hub = await guarded()
    await stage.worker(hub.address, UnaryCall=echo, token=WORKER)
    access = resolve_access(hub.address, token=CLIENT, environ={})
    async with open_aio_channel(access) as channel:
        assert await interop_stub(channel).UnaryCall(UnaryRequest(body=b"1")) == UnaryReply(body=b"1")
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        async for answer in reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(host="x")])):
            assert answer.valid_host == "x"
    assert await asyncio.to_thread(_ask_blocking, access) == b"2"


def _ask_blocking(access: Any) -> bytes:
    with open_channel(access) as channel:
        stub = interop_stub(channel)
        reply: UnaryReply = stub.UnaryCall(UnaryRequest(body=b"2"), timeout=LONG_S)  # type: ignore[assignment]
        return reply.body


# --- the wrong token, on each way in --------------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "code"), WRONG)
@pytest.mark.parametrize("present", [bearer, own])
async def test_native_call_is_refused(stage: Stage, guarded: Any, present: Any, token: str | None, code: Any) -> None:
    hub = await guarded()
    gate = Gate()
    await stage.worker(hub.address, UnaryCall=gate.handle, token=WORKER)
    stub = stage.native_stub(hub.address)
    assert (await status_of(stub.UnaryCall(UnaryRequest(), metadata=present(token))))[0] is code
    assert (await status_of(stub.UnaryCall(UnaryRequest(body=b"x" * 300_000), metadata=present(token))))[0] is code
    assert gate.begun == []


@pytest.mark.parametrize(("token", "code"), WRONG)
async def test_reflection_and_fleet_are_refused(stage: Stage, guarded: Any, token: str | None, code: Any) -> None:
    hub = await guarded()
    for ask in (await_refusal_of_services, list_workers):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await ask(stage, hub, bearer(token))
        assert raised.value.code() is code


@pytest.mark.parametrize(("token", "code"), WRONG)
async def test_channel_s_calls_say_why_they_are_refused(
    stage: Stage, guarded: Any, token: str | None, code: Any
) -> None:
    hub = await guarded()
    channel = stage.channel(hub.address, token=token)
    found, details = await status_of(interop_stub(channel).UnaryCall(UnaryRequest()))
    assert found is code
    assert details.startswith(f"the hub at {hub.address} refuses us ({code.name}: ")
    await when_channel(channel, FAILURE)
    assert await interop_stub(channel).UnaryCall(UnaryRequest()).code() is code


async def test_reason_that_grpcio_loses_is_asked_for_again(
    stage: Stage, guarded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """grpcio has been seen to do this in one of a thousand refusals, when the hello and the refusal cross."""
    hub = await guarded()
    channel = stage.channel(hub.address, token=WORKER)
    dialer = channel._session._dialer
    shake_hands, tries = dialer._shake_hands, 0

    async def lose_the_first(stream: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise grpc.aio.AioRpcError(REASON_LOST[0], grpc.aio.Metadata(), grpc.aio.Metadata(), REASON_LOST[1])
        return await shake_hands(stream)

    monkeypatch.setattr(dialer, "_shake_hands", lose_the_first)
    assert await interop_stub(channel).UnaryCall(UnaryRequest()).code() is PERMISSION_DENIED


async def test_refusal_is_remembered_while_the_hub_is_dialled_again(
    stage: Stage, guarded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = await guarded()
    channel = stage.channel(hub.address, token=WORKER)
    dialer = channel._session._dialer
    is_held = asyncio.Event()
    assert await interop_stub(channel).UnaryCall(UnaryRequest()).code() is PERMISSION_DENIED

    async def hold(_: Any) -> Any:
        is_held.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(dialer, "_shake_hands", hold)
    await is_held.wait()
    assert await interop_stub(channel).UnaryCall(UnaryRequest()).code() is PERMISSION_DENIED


async def test_map_s_calls_say_why_they_are_refused(stage: Stage, guarded: Any) -> None:
    hub = await guarded()
    stub = interop_stub(stage.channel(hub.address, token=WORKER))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in stub.UnaryCall.map([UnaryRequest()]):  # type: ignore[attr-defined]
            pass
    assert raised.value.code() is PERMISSION_DENIED


@pytest.mark.parametrize("token", [None, UNKNOWN, CLIENT])
async def test_worker_is_refused_and_goes_on_dialling(
    stage: Stage, guarded: Any, tokens: TokenFile, caplog: pytest.LogCaptureFixture, token: str | None
) -> None:
    hub = await guarded()
    worker = stage.make_worker(hub.address, UnaryCall=echo, token=token)
    starting = asyncio.ensure_future(worker.start())
    await until(lambda: "refuses us" in caplog.text)
    assert not starting.done()
    assert list((await list_workers(stage, hub, bearer(CLIENT))).workers) == []
    if token is not None:
        tokens.write(f"worker {token} crane", f"client {BOTH}")
        await starting
    else:
        starting.cancel()


async def test_worker_with_a_client_s_token_is_told_which_role_it_lacks(
    stage: Stage, guarded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await guarded()
    starting = asyncio.ensure_future(stage.make_worker(hub.address, UnaryCall=echo, token=CLIENT).start())
    await until(lambda: "refuses us" in caplog.text)
    starting.cancel()
    assert "the token 'desk' has not the role worker, only client" in caplog.text


async def test_refused_stream_is_ended_before_its_hello(stage: Stage, guarded: Any) -> None:
    hub = await guarded()
    stream: Any = stage.native_channel(hub.address).stream_stream("/portcall.v1.Hub/Attach")(metadata=own(CLIENT))
    assert await stream.code() is PERMISSION_DENIED


async def test_unknown_methods_need_a_token_too(stage: Stage, guarded: Any) -> None:
    hub = await guarded()
    call: Any = stage.native_channel(hub.address).unary_unary("/no.Such/Method")
    assert await call(b"").code() is UNAUTHENTICATED
    assert await call(b"", metadata=bearer(CLIENT)).code() is StatusCode.UNIMPLEMENTED


# --- what is counted, and what is never told ------------------------------------------------------------------------


async def test_refusals_are_counted_and_logged_without_the_secret(
    stage: Stage, guarded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub = await guarded()
    stub = stage.native_stub(hub.address)
    for token in (None, UNKNOWN, UNKNOWN, WORKER):
        await status_of(stub.UnaryCall(UnaryRequest(), metadata=bearer(token)))
    await status_of(interop_stub(stage.channel(hub.address, token=WORKER)).UnaryCall(UnaryRequest()))
    starting = asyncio.ensure_future(stage.make_worker(hub.address, UnaryCall=echo, token=UNKNOWN).start())
    await until(lambda: "refused a worker's link at ipv4:127.0.0.1:" in caplog.text)
    starting.cancel()
    refusals = (await list_workers(stage, hub, bearer(CLIENT))).refusals
    assert refusals.unauthenticated >= 4
    assert refusals.permission_denied >= 2
    assert "PERMISSION_DENIED: refused a call of /interop.Interop/UnaryCall at ipv4:127.0.0.1:" in caplog.text
    assert "the token 'crane' has not the role client" in caplog.text
    assert not [secret for secret in (WORKER, CLIENT, BOTH, UNKNOWN) if secret in caplog.text]


async def test_flood_of_refusals_is_told_in_a_line(
    stage: Stage, guarded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await guarded()
    stub = stage.native_stub(hub.address)
    calls = [stub.UnaryCall(UnaryRequest(), metadata=bearer(UNKNOWN)) for _ in range(25)]
    channel = stage.native_channel(hub.address)
    calls += [channel.unary_unary(f"/no.Such/Method{number}")(b"", metadata=bearer(UNKNOWN)) for number in range(25)]  # type: ignore[arg-type]
    await asyncio.gather(*(status_of(call) for call in calls))
    assert caplog.text.count("refused") == 1
    assert (await list_workers(stage, hub, bearer(CLIENT))).refusals.unauthenticated == 50


def recorded(seen: list[tuple[str, str | bytes]]) -> Any:
    async def handle(request: UnaryRequest, context: Context) -> UnaryReply:
        seen.extend((key, value) for key, value in context.invocation_metadata() or () if key != "user-agent")
        return UnaryReply()

    return handle


async def test_token_never_reaches_a_servicer(stage: Stage, guarded: Any) -> None:
    hub = await guarded()
    seen: list[tuple[str, str | bytes]] = []
    await stage.worker(hub.address, UnaryCall=recorded(seen), token=WORKER)
    native = stage.native_stub(hub.address)
    for metadata in (bearer(CLIENT), own(CLIENT), (*bearer(WORKER), *own(CLIENT))):
        await native.UnaryCall(UnaryRequest(), metadata=(*metadata, ("x", "y")))
    linked = interop_stub(stage.channel(hub.address, token=CLIENT))
    await linked.UnaryCall(UnaryRequest(), metadata=[("x", "y"), *own(CLIENT)])
    assert seen == [("x", "y")] * 4


async def test_authorization_of_a_program_s_own_reaches_the_servicer(stage: Stage, guarded: Any) -> None:
    hub = await guarded()
    seen: list[tuple[str, str | bytes]] = []
    await stage.worker(hub.address, UnaryCall=recorded(seen), token=WORKER)
    mine = (("authorization", "Bearer a-user-s-own"),)
    await stage.native_stub(hub.address).UnaryCall(UnaryRequest(), metadata=(*mine, *own(CLIENT)))
    await interop_stub(stage.channel(hub.address, token=CLIENT)).UnaryCall(UnaryRequest(), metadata=mine)
    assert seen == [*mine, *mine]


async def test_hub_without_tokens_passes_authorization_on_and_drops_the_own_entry(stage: Stage) -> None:
    hub = await stage.hub()
    seen: list[tuple[str, str | bytes]] = []
    await stage.worker(hub.address, UnaryCall=recorded(seen), token=WORKER)
    await stage.native_stub(hub.address).UnaryCall(UnaryRequest(), metadata=(*bearer("x"), *own(CLIENT)))
    assert seen == [*bearer("x")]


# --- tokens that change ---------------------------------------------------------------------------------------------


async def test_links_end_when_their_token_is_removed(
    stage: Stage, guarded: Any, tokens: TokenFile, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    hub = await guarded()
    await stage.worker(hub.address, UnaryCall=gate.handle, token=WORKER)
    channel, other = stage.channel(hub.address, token=CLIENT), stage.channel(hub.address, token=BOTH)
    mine, others = interop_stub(channel).UnaryCall(UnaryRequest()), interop_stub(other).UnaryCall(UnaryRequest())
    await gate.when_begun(2)
    tokens.write(f"worker {WORKER} crane", f"client {BOTH} admin")
    assert await mine.code() is StatusCode.UNAVAILABLE
    assert "no longer good" in (await mine.details() or "")
    await gate.when_cancelled()
    assert await when_refused(channel) is UNAUTHENTICATED
    gate.opened.set()
    assert await others == UnaryReply()
    assert CLIENT not in caplog.text
    assert "The token 'desk' is no longer good for" in caplog.text


async def test_worker_goes_when_its_token_is_removed_and_is_back_with_a_new_one(
    stage: Stage, guarded: Any, tokens: TokenFile, tmp_path: Path
) -> None:
    gate = Gate()
    hub = await guarded()
    mine = tmp_path / "mine"
    mine.write_text(WORKER)
    await stage.worker(hub.address, UnaryCall=gate.handle, token=mine)
    call = interop_stub(stage.channel(hub.address, token=CLIENT)).UnaryCall(UnaryRequest())
    await gate.when_begun()
    tokens.write(f"worker {UNKNOWN} crane", f"client {CLIENT} desk")
    assert await call.code() is StatusCode.UNAVAILABLE
    await gate.when_cancelled()
    mine.write_text(UNKNOWN)
    gate.opened.set()
    stub = interop_stub(stage.channel(hub.address, token=CLIENT))
    assert await stub.UnaryCall(UnaryRequest(), wait_for_ready=True) == UnaryReply()


async def test_link_ends_when_its_token_loses_the_role(stage: Stage, guarded: Any, tokens: TokenFile) -> None:
    hub = await guarded()
    channel = stage.channel(hub.address, token=BOTH)
    await channel.channel_ready()
    tokens.write(f"worker {BOTH} admin", f"client {CLIENT}")
    assert await when_refused(channel) is PERMISSION_DENIED


async def test_session_that_waits_for_its_peer_ends_with_its_token(
    stage: Stage, guarded: Any, tokens: TokenFile
) -> None:
    hub = await guarded()
    await stage.worker(hub.address, UnaryCall=echo, token=BOTH)
    peer = RawPeer(stage.native_channel(hub.address), "Attach", own(WORKER))
    welcome = await peer.shake_hands(worker=worker_hello())
    assert len((await list_workers(stage, hub, own(CLIENT))).workers) == 2
    peer.leave()
    tokens.write(f"worker,client {BOTH} admin", f"client {CLIENT} desk")
    await when_workers(stage, hub, 1)
    again = RawPeer(stage.native_channel(hub.address), "Attach", own(BOTH))
    assert not (await again.shake_hands(worker=worker_hello(), session=welcome.session)).resumed


async def test_peer_that_does_not_go_with_its_token_is_put_out(stage: Stage, guarded: Any, tokens: TokenFile) -> None:
    hub = await guarded()
    peer = RawPeer(stage.native_channel(hub.address), "Attach", own(WORKER))
    await peer.shake_hands(worker=worker_hello())
    tokens.write(f"client {CLIENT} desk")
    assert "no longer good" in (await peer.goodbye()).details
    await peer.when_ended()


@pytest.mark.parametrize("content", ["", "# all gone\n", "worker\n", f"boss {WORKER}\n", "worker short\n"])
async def test_broken_file_is_logged_and_the_old_tokens_stay(
    stage: Stage, guarded: Any, tokens: TokenFile, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    hub = await guarded()
    channel = stage.channel(hub.address, token=CLIENT)
    await channel.channel_ready()
    tokens.path.write_text(content)
    await until(lambda: "The tokens stay as they were" in caplog.text)
    assert channel.get_state() is grpc.ChannelConnectivity.READY
    await list_workers(stage, hub, own(CLIENT))
    assert WORKER not in caplog.text
    tokens.write(f"client {UNKNOWN} desk")
    await when_channel(channel, FAILURE)


async def test_file_that_is_gone_leaves_the_old_tokens(
    stage: Stage, guarded: Any, tokens: TokenFile, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await guarded()
    tokens.path.unlink()
    await until(lambda: "The tokens stay as they were: cannot read the token file" in caplog.text)
    await list_workers(stage, hub, own(CLIENT))
    assert caplog.text.count("stay as they were") == 1


async def test_file_that_others_can_read_is_a_warning(
    stage: Stage, guarded: Any, tokens: TokenFile, caplog: pytest.LogCaptureFixture
) -> None:
    tokens.path.chmod(0o644)
    await guarded()
    assert f"Every user of this machine can read the tokens: chmod o-r {tokens.path}" in caplog.text


async def when_refused(channel: grpc.aio.Channel) -> StatusCode:
    """Wait until the link is down and has been dialled again; return what its calls end with then."""
    await when_channel(channel, FAILURE)
    async with asyncio.timeout(LONG_S):
        while (code := await interop_stub(channel).UnaryCall(UnaryRequest()).code()) is StatusCode.UNAVAILABLE:
            pass
    return code


# --- asking ---------------------------------------------------------------------------------------------------------


async def list_workers(stage: Stage, hub: Hub, metadata: tuple[tuple[str, str], ...]) -> ListWorkersReply:
    ask: Any = stage.native_channel(hub.address).unary_unary(
        "/portcall.v1.Fleet/ListWorkers", ListWorkersRequest.SerializeToString, ListWorkersReply.FromString
    )
    reply: ListWorkersReply = await ask(ListWorkersRequest(), metadata=metadata)
    return reply


async def when_workers(stage: Stage, hub: Hub, count: int) -> None:
    async with asyncio.timeout(LONG_S):
        while len((await list_workers(stage, hub, own(CLIENT))).workers) != count:
            pass


async def await_refusal_of_services(stage: Stage, hub: Hub, metadata: tuple[tuple[str, str], ...]) -> None:
    """Ask for nothing yet: where a request and its refusal cross, grpcio tells INTERNAL in place of the status."""
    stub = reflection_pb2_grpc.ServerReflectionStub(stage.native_channel(hub.address))
    await stub.ServerReflectionInfo(metadata=metadata).read()


async def services(stage: Stage, hub: Hub, metadata: tuple[tuple[str, str], ...]) -> list[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(stage.native_channel(hub.address))

    async def requests() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    names: list[str] = []
    async for answer in stub.ServerReflectionInfo(requests(), metadata=metadata):
        names.extend(service.name for service in answer.list_services_response.service)
    return names
