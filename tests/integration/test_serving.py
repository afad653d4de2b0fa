"""What servicers and callers rely on beyond the cases of `interop`: threads, interceptors, peers, credentials."""

import asyncio
import threading
from typing import Any

import grpc
import pytest
from interop.service import SERVICE, Context, interop_stub
from interop_pb2 import StreamRequest, UnaryReply, UnaryRequest

from .servicers import Source, echo, echo_each, number
from .stage import Stage, status_of, until


async def test_blocking_servicers_do_not_starve_asynchronous_ones(stage: Stage) -> None:
    go_on = threading.Event()
    begun = 0

    def block(requests: Any, context: grpc.ServicerContext) -> UnaryReply:
        nonlocal begun
        begun += 1
        go_on.wait(30)
        return UnaryReply(body=b"at last")

    hub = await stage.hub()
    await stage.worker(hub.address, slots=50, UnaryCall=block, EmptyCall=echo, StreamingOutputCall=Source().handle)
    stub = stage.stub(hub.address)
    blocked = [stub.UnaryCall(UnaryRequest()) for _ in range(40)]
    try:
        await until(lambda: begun == 40)
        for _ in range(20):
            replies = stub.StreamingOutputCall(StreamRequest(body=b"5"))
            assert [number(reply) async for reply in replies] == list(range(5))
    finally:
        go_on.set()
    assert [(await call).body for call in blocked] == [b"at last"] * 40


async def test_blocking_servicers_take_no_more_than_the_slots(stage: Stage) -> None:
    running = most = 0
    lock = threading.Lock()
    full = threading.Barrier(4, timeout=30)

    def block(request: UnaryRequest, context: grpc.ServicerContext) -> UnaryReply:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait()
        with lock:
            running -= 1
        return UnaryReply()

    hub = await stage.hub()
    await stage.worker(hub.address, slots=4, UnaryCall=block)
    stub = stage.stub(hub.address)
    await asyncio.gather(*(stub.UnaryCall(UnaryRequest()) for _ in range(20)))
    assert most == 4


async def test_no_more_calls_than_slots_run_at_once(stage: Stage) -> None:
    running = most = 0

    async def count(request: UnaryRequest, context: Context) -> UnaryReply:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1
        return UnaryReply()

    hub = await stage.hub()
    await stage.worker(hub.address, slots=3, UnaryCall=count)
    stub = stage.stub(hub.address)
    await asyncio.gather(*(stub.UnaryCall(UnaryRequest()) for _ in range(50)))
    assert most == 3


class Note(grpc.aio.ServerInterceptor):
    """Notes what it sees, and turns away calls that are not welcome."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self._name = name
        self._seen = seen

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        self._seen.append(f"{self._name} {details.method}")
        if dict(details.invocation_metadata).get("password") == "wrong":
            return grpc.unary_unary_rpc_method_handler(_turn_away)
        return await continuation(details)


async def _turn_away(request: bytes, context: Context) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")


async def test_interceptors_of_a_worker(stage: Stage) -> None:
    seen: list[str] = []
    hub = await stage.hub()
    await stage.worker(hub.address, interceptors=[Note("outer", seen), Note("inner", seen)], UnaryCall=echo)
    stub = stage.stub(hub.address)
    assert await stub.UnaryCall(UnaryRequest(body=b"1")) == UnaryReply(body=b"1")
    assert seen == ["outer /interop.Interop/UnaryCall", "inner /interop.Interop/UnaryCall"]
    code, details = await status_of(stub.UnaryCall(UnaryRequest(), metadata=(("password", "wrong"),)))
    assert (code, details) == (grpc.StatusCode.UNAUTHENTICATED, "who are you?")


@pytest.mark.parametrize("way", ["native", "channel"])
async def test_peer_is_the_client_itself(stage: Stage, way: str) -> None:
    async def tell(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=context.peer().encode())

    hub = await stage.hub()
    proxy = await stage.proxy(hub.address)
    await stage.worker(hub.address, UnaryCall=tell)
    stubs = [stage.native_stub(proxy.address) if way == "native" else stage.stub(proxy.address) for _ in range(2)]
    peers = {(await stub.UnaryCall(UnaryRequest())).body.decode() for stub in stubs}
    assert peers == {f"ipv4:127.0.0.1:{port}" for port in proxy.ports_towards_target()}


class Plugin(grpc.AuthMetadataPlugin):
    """Gives a token, from a thread of its own as real ones do, or fails."""

    def __init__(self, key: str, token: str | None) -> None:
        self._key = key
        self._token = token
        self.asked: list[tuple[str, str]] = []

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        self.asked.append((context.service_url, context.method_name))
        if self._token is None:
            callback((), ValueError("no token today"))
        else:
            threading.Thread(target=callback, args=(((self._key, self._token),), None)).start()


async def tell_metadata(request: UnaryRequest, context: Context) -> UnaryReply:
    entries = [f"{key}={value}" for key, value in context.invocation_metadata() if key.startswith("x-")]
    return UnaryReply(body=" ".join(sorted(entries)).encode())


async def test_call_credentials_add_their_metadata(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=tell_metadata)
    stub = stage.stub(hub.address)
    plugin = Plugin("x-token", "secret")
    credentials = grpc.metadata_call_credentials(plugin)
    reply = await stub.UnaryCall(UnaryRequest(), credentials=credentials, metadata=(("x-own", "1"),))
    assert reply.body == b"x-own=1 x-token=secret"
    assert plugin.asked == [(f"https://{hub.address}/interop.Interop", "UnaryCall")]


async def test_composite_call_credentials_add_theirs_together(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=tell_metadata)
    parts = [grpc.metadata_call_credentials(Plugin(f"x-{name}", name)) for name in ("a", "b", "c")]
    credentials = grpc.composite_call_credentials(*parts)
    reply = await stage.stub(hub.address).UnaryCall(UnaryRequest(), credentials=credentials)
    assert reply.body == b"x-a=a x-b=b x-c=c"


async def test_access_token_credentials(stage: Stage) -> None:
    async def tell(request: UnaryRequest, context: Context) -> UnaryReply:
        return UnaryReply(body=dict(context.invocation_metadata())["authorization"].encode())

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=tell)
    credentials = grpc.access_token_call_credentials("secret")
    assert (await stage.stub(hub.address).UnaryCall(UnaryRequest(), credentials=credentials)).body == b"Bearer secret"


async def test_credentials_that_fail_end_the_call(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=tell_metadata)
    credentials = grpc.metadata_call_credentials(Plugin("x-token", None))
    code, details = await status_of(stage.stub(hub.address).UnaryCall(UnaryRequest(), credentials=credentials))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "no token today" in details


async def test_credentials_that_take_their_time_hold_up_no_other_call(stage: Stage) -> None:
    may_answer, was_asked = threading.Event(), threading.Event()

    class Slow(grpc.AuthMetadataPlugin):
        def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
            was_asked.set()
            may_answer.wait()
            callback((("x-token", "late"),), None)

    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=tell_metadata, FullDuplexCall=echo_each)
    stub = stage.stub(hub.address)
    credentials = grpc.metadata_call_credentials(Slow())
    slow = stub.UnaryCall(UnaryRequest(), credentials=credentials)
    slow_stream = stub.FullDuplexCall(iter([StreamRequest(body=b"1")]), credentials=credentials)
    await asyncio.to_thread(was_asked.wait)
    assert (await stub.UnaryCall(UnaryRequest(), metadata=(("x-own", "1"),))).body == b"x-own=1"
    may_answer.set()
    assert (await slow).body == b"x-token=late"
    assert [reply.body async for reply in slow_stream] == [b"1"]


async def test_map_asks_the_credentials_for_each_call(stage: Stage) -> None:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=tell_metadata)
    plugin = Plugin("x-token", "secret")
    replies = interop_stub(stage.channel(hub.address)).UnaryCall.map(
        [UnaryRequest()] * 5, credentials=grpc.metadata_call_credentials(plugin)
    )
    assert [reply.body async for reply in replies] == [b"x-token=secret"] * 5
    assert len(plugin.asked) == 5


async def test_unary_call_that_fails_has_no_message_before_its_status(stage: Stage) -> None:
    async def refuse(request: UnaryRequest, context: Context) -> UnaryReply:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such ship", (("berth", "7"),))

    hub = await stage.hub(message_bytes_max=1_000)
    await stage.worker(hub.address, UnaryCall=refuse)
    # As other languages' clients see it: a stream of frames, in which a message and a status can both come.
    method: Any = stage.native_channel(hub.address).unary_stream(f"/{SERVICE}/UnaryCall")
    for request, status in (
        (b"", (grpc.StatusCode.NOT_FOUND, "no such ship")),
        (bytes(1_001), (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (1001 vs. 1000)")),
    ):
        call = method(request)
        with pytest.raises(grpc.aio.AioRpcError):
            pytest.fail(f"a message: {await anext(aiter(call))!r}")
        assert await status_of(call) == status
        assert dict(await call.trailing_metadata()).get("berth") == ("7" if not request else None)
