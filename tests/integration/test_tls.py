"""A hub that encrypts: who trusts whom, and certificates that change while calls are made."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from interop.service import interop_stub
from interop_pb2 import UnaryReply, UnaryRequest
from pki import Authority, Issued, replace

import portcall
from portcall.errors import ConfigurationError
from portcall.hub import Hub, ServerTls
from portcall.wire.access import resolve_access
from portcall.wire.native import open_aio_channel, open_channel

from .servicers import echo
from .stage import LONG_S, Stage, status_of, until, when_channel

TOKEN = "both-0123456789abcdef"
READY, FAILURE = grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


async def encrypted(stage: Stage, tls: ServerTls, token: str | None = TOKEN) -> Hub:
    return await stage.hub(access={"tls": tls, "token": token})


def by_name(hub: Hub) -> str:
    return f"localhost:{hub.address.rpartition(':')[2]}"


async def unary(channel: grpc.aio.Channel, body: bytes = b"1") -> UnaryReply:
    return await interop_stub(channel).UnaryCall(UnaryRequest(body=body))


async def test_workers_channels_and_native_clients_speak_tls(stage: Stage, authority: Authority) -> None:
    hub = await encrypted(stage, authority.server())
    tls = authority.client()
    await stage.worker(by_name(hub), UnaryCall=echo, token=TOKEN, tls=tls)
    for address in (by_name(hub), hub.address):
        channel = stage.channel(address, token=TOKEN, tls=tls)
        assert await unary(channel, address.encode()) == UnaryReply(body=address.encode())
    access = resolve_access(by_name(hub), token=TOKEN, tls=tls, environ={})
    async with open_aio_channel(access) as native:
        assert await unary(native) == UnaryReply(body=b"1")

    def ask_blocking() -> bytes:
        with open_channel(access) as blocking:
            reply: Any = interop_stub(blocking).UnaryCall(UnaryRequest(body=b"2"), timeout=LONG_S)  # type: ignore[arg-type]
            return bytes(reply.body)

    assert await asyncio.to_thread(ask_blocking) == b"2"


async def test_authorities_of_the_system_are_trusted_if_no_others_are_named(
    stage: Stage, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    hub = await encrypted(stage, authority.server())
    channel = stage.channel(by_name(hub), token=TOKEN, tls=True)
    await channel.channel_ready()


async def test_environment_can_say_it(stage: Stage, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = await encrypted(stage, authority.server())
    for name, value in (("HUB", by_name(hub)), ("TLS_CA", str(authority.ca)), ("TOKEN", TOKEN)):
        monkeypatch.setenv(f"PORTCALL_{name}", value)
    await stage.worker(None, UnaryCall=echo)
    assert await unary(stage.channel(None)) == UnaryReply(body=b"1")


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "other")


@pytest.mark.parametrize(
    ("names", "days_left", "trusts_other", "words"),
    [
        ((), 90, True, "signed by an authority that is not trusted here"),
        (("other.example",), 90, False, "made out to another name"),
        ((), -1, False, "has expired. Renew it"),
    ],
)
async def test_certificate_that_is_not_right_is_refused_in_words(
    stage: Stage, authority: Authority, other: Authority, names: Any, days_left: int, trusts_other: bool, words: str
) -> None:
    hub = await encrypted(stage, authority.server(*names, days_left=days_left))
    channel = stage.channel(by_name(hub), token=TOKEN, tls=(other if trusts_other else authority).client())
    code, details = await status_of(interop_stub(channel).UnaryCall(UnaryRequest()))
    assert code is StatusCode.UNAVAILABLE
    assert details.startswith(f"No hub answers at {by_name(hub)}: ")
    assert words in details


async def test_tls_on_one_side_only_is_said_in_words(stage: Stage, authority: Authority) -> None:
    hub, plain = await encrypted(stage, authority.server()), await stage.hub()
    for channel, words in (
        (stage.channel(by_name(hub), token=TOKEN), "use it here too: --tls-ca FILE"),
        (stage.channel(by_name(plain), tls=authority.client()), "does not speak TLS. Start the hub with --tls-cert"),
    ):
        code, details = await status_of(interop_stub(channel).UnaryCall(UnaryRequest()))
        assert code is StatusCode.UNAVAILABLE
        assert words in details


async def test_hub_that_asks_for_certificates_takes_only_those_of_its_authority(
    stage: Stage, authority: Authority, other: Authority
) -> None:
    hub = await encrypted(stage, authority.server(ca=authority.ca))
    await stage.worker(by_name(hub), UnaryCall=echo, token=TOKEN, tls=authority.client(has_own=True))
    assert await unary(stage.channel(by_name(hub), token=TOKEN, tls=authority.client(has_own=True)))
    stranger = other.issue()
    for tls in (authority.client(), portcall.Tls(ca=authority.ca, cert=stranger.cert, key=stranger.key)):
        channel = stage.channel(by_name(hub), token=TOKEN, tls=tls)
        code, details = await status_of(interop_stub(channel).UnaryCall(UnaryRequest()))
        assert code is StatusCode.UNAVAILABLE
        assert "may ask for a certificate of this program's" in details


async def test_hub_does_not_start_with_files_that_cannot_be(stage: Stage, authority: Authority) -> None:
    with pytest.raises(ConfigurationError, match="the key is another certificate's"):
        await encrypted(stage, ServerTls(cert=authority.issue().cert, key=authority.issue().key))
    issued = authority.issue()
    with pytest.raises(ConfigurationError, match="has no certificate in PEM form"):
        await encrypted(stage, ServerTls(cert=issued.cert, key=issued.key, ca=issued.key))


# --- certificates that change ---------------------------------------------------------------------------------------


async def test_certificates_are_rotated_under_load_without_a_failed_call(stage: Stage, authority: Authority) -> None:
    """Renewed thrice, by another authority at the end, while calls go on and new connections are made."""
    bundle = authority.ca
    successor = Authority(authority.ca.parent / "successor")
    tls = authority.server()
    hub = await encrypted(stage, tls)
    await stage.worker(by_name(hub), UnaryCall=echo, token=TOKEN, tls=authority.client())
    channel = stage.channel(by_name(hub), token=TOKEN, tls=authority.client())
    is_over = False
    counts = [0, 0, 0]

    async def call_on_one_link() -> None:
        while not is_over:
            await unary(channel)
            counts[0] += 1

    async def call_on_new_links() -> None:
        while not is_over:
            async with portcall.Channel(by_name(hub), token=TOKEN, tls=authority.client()) as fresh:
                await unary(fresh)
            counts[1] += 1

    async def call_natively() -> None:
        access = resolve_access(by_name(hub), token=TOKEN, tls=authority.client(), environ={})
        while not is_over:
            async with open_aio_channel(access, (("grpc.use_local_subchannel_pool", 1),)) as fresh:
                await unary(fresh)
            counts[2] += 1

    async def more_calls() -> None:
        """Wait for some calls of each kind."""
        before = list(counts)
        await until(lambda: all(now >= then + 3 for now, then in zip(counts, before, strict=True)))

    async with asyncio.TaskGroup() as tasks:
        for kind in (call_on_one_link, call_on_new_links, call_natively):
            tasks.create_task(kind())
        await more_calls()
        serials = [await serial(hub)]
        for renewed in (authority.issue(), authority.issue()):
            replace(tls, renewed)
            await more_calls()
            serials.append(await serial(hub))
        bundle.write_bytes(bundle.read_bytes() + successor.ca.read_bytes())
        await more_calls()
        replace(tls, successor.issue())
        await more_calls()
        serials.append(await serial(hub))
        is_over = True
    assert len(set(serials)) == 4


async def serial(hub: Hub) -> bytes:
    """The certificate that the hub shows now."""
    import ssl  # noqa: PLC0415  # this alone needs it

    host, _, port = hub.address.rpartition(":")
    pem = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
    return pem.encode()


async def test_broken_certificate_is_logged_and_the_old_one_is_shown(
    stage: Stage, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    tls = authority.server()
    hub = await encrypted(stage, tls)
    before = await serial(hub)
    tls.cert.write_text("nonsense")
    assert await serial(hub) == before
    assert await serial(hub) == before
    assert caplog.text.count("The hub shows the certificate that it had") == 1
    replace(tls, authority.issue())
    assert await serial(hub) != before


async def test_half_of_a_renewal_is_not_taken(stage: Stage, authority: Authority) -> None:
    tls = authority.server()
    hub = await encrypted(stage, tls)
    before, renewed = await serial(hub), authority.issue()
    renewed.key.replace(tls.key)
    assert await serial(hub) == before
    renewed.cert.replace(tls.cert)
    assert await serial(hub) != before


async def test_worker_dials_with_the_certificate_that_its_files_have_now(
    stage: Stage, authority: Authority, other: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await encrypted(stage, authority.server(ca=authority.ca))
    stranger: Issued = other.issue()
    tls = portcall.Tls(ca=authority.ca, cert=stranger.cert, key=stranger.key)
    starting = asyncio.ensure_future(stage.make_worker(by_name(hub), UnaryCall=echo, token=TOKEN, tls=tls).start())
    await until(lambda: "cannot be reached, dialling on" in caplog.text)
    replace(stranger, authority.issue())
    await starting


async def test_files_that_vanish_are_said_and_dialling_goes_on(
    stage: Stage, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await encrypted(stage, authority.server())
    proxy = await stage.proxy(hub.address)
    address = f"localhost:{proxy.address.rpartition(':')[2]}"
    channel = stage.channel(address, token=TOKEN, tls=authority.client())
    await channel.channel_ready()
    pem = authority.ca.read_bytes()
    authority.ca.unlink()
    proxy.cut()
    await when_channel(channel, FAILURE)
    proxy.restore()
    await until(lambda: channel._session._why.startswith("cannot read the file of authorities"))
    authority.ca.write_bytes(pem)
    await when_channel(channel, READY)
