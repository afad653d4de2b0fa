"""A sidecar whose upstream encrypts: who trusts whom, certificates that change, and what is said where it fails."""

import asyncio
from pathlib import Path

import grpc
import pytest
from interop_pb2 import UnaryReply, UnaryRequest
from pki import Authority, Issued, replace

from portcall.errors import ConfigurationError
from portcall.hub import ServerTls
from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus
from portcall.wire.access import Tls, resolve_access
from portcall.worker.sidecar import Sidecar, SidecarConfig

from .servicers import echo
from .stage import Stage, until
from .upstreams import Upstream, UpstreamStage

DAYS_AGO = -3
EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture
def upstreams(stage: Stage, tmp_path: Path) -> UpstreamStage:
    return UpstreamStage(stage, tmp_path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def credentials(tls: ServerTls | Issued, ca: Path | None = None) -> grpc.ServerCredentials:
    """What a server that knows nothing of Portcall encrypts with; with `ca` it asks for certificates."""
    pair = (tls.key.read_bytes(), tls.cert.read_bytes())
    return grpc.ssl_server_credentials([pair], ca and ca.read_bytes(), require_client_auth=ca is not None)


async def encrypted(upstreams: UpstreamStage, tls: Issued, ca: Path | None = None) -> Upstream:
    upstream = upstreams.upstream("127.0.0.1:0")
    await upstream.start(credentials=credentials(tls, ca), UnaryCall=echo)
    return upstream


async def assert_calls_pass(upstreams: UpstreamStage, hub: str) -> None:
    stub = upstreams.stage.native_stub(hub)
    assert await stub.UnaryCall(UnaryRequest(body=b"x"), wait_for_ready=True) == UnaryReply(body=b"x")


async def test_upstream_that_encrypts_joins(upstreams: UpstreamStage, authority: Authority) -> None:
    hub = await upstreams.stage.hub()
    upstream = await encrypted(upstreams, authority.issue())
    await upstreams.joined(upstream, hub.address, upstream_tls=authority.client())
    await assert_calls_pass(upstreams, hub.address)


async def test_upstream_may_ask_for_a_certificate(upstreams: UpstreamStage, authority: Authority) -> None:
    hub = await upstreams.stage.hub()
    upstream = await encrypted(upstreams, authority.issue(), authority.ca)
    await upstreams.joined(upstream, hub.address, upstream_tls=authority.client(has_own=True))
    await assert_calls_pass(upstreams, hub.address)


async def test_authority_is_the_name_that_is_checked(upstreams: UpstreamStage, authority: Authority) -> None:
    hub = await upstreams.stage.hub()
    upstream = await encrypted(upstreams, authority.issue("shop.internal"))
    await upstreams.joined(
        upstream, hub.address, upstream_tls=authority.client(), upstream_authority="shop.internal:443"
    )
    await assert_calls_pass(upstreams, hub.address)


async def test_unix_socket_with_tls(upstreams: UpstreamStage, authority: Authority) -> None:
    hub = await upstreams.stage.hub()
    upstream = await upstreams.serving(credentials=credentials(authority.issue("localhost")), UnaryCall=echo)
    await upstreams.joined(upstream, hub.address, upstream_tls=authority.client())
    await assert_calls_pass(upstreams, hub.address)


async def test_authority_is_what_calls_carry(upstreams: UpstreamStage) -> None:
    carried = asyncio.Event()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(EMPTY_SETTINGS)
        seen = b""
        while b"shop.internal" not in seen:
            seen += await reader.read(65_536)
        writer.close()
        await writer.wait_closed()
        carried.set()

    upstream = upstreams.upstream()
    server = await asyncio.start_unix_server(read, upstream.address.removeprefix("unix:"))
    sidecar = upstreams.sidecar(upstream, "127.0.0.1:1", upstream_authority="shop.internal")
    starting = asyncio.ensure_future(sidecar.start())
    await carried.wait()
    await sidecar.stop()
    server.close()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_files_are_read_again_when_the_upstream_is_dialled_again(
    upstreams: UpstreamStage, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await upstreams.stage.hub()
    upstream = await encrypted(upstreams, authority.issue(), authority.ca)
    tls = authority.client(has_own=True)
    await upstreams.joined(upstream, hub.address, upstream_tls=tls)
    # All new: the server's authority, its certificate, and the sidecar's.
    other = Authority(tmp_path / "other")
    await upstream.stop()
    await upstream.start(credentials=credentials(other.issue(), other.ca), UnaryCall=echo)
    await until(lambda: "an authority that is not trusted here" in caplog.text)
    assert isinstance(tls.cert, Path)
    assert isinstance(tls.key, Path)
    other.ca.replace(authority.ca)
    replace(Issued(cert=tls.cert, key=tls.key), other.issue("client.example"))
    await assert_calls_pass(upstreams, hub.address)


async def test_file_that_is_spoilt_later_is_told_until_it_is_mended(
    upstreams: UpstreamStage, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await upstreams.stage.hub()
    issued = authority.issue()
    upstream = await encrypted(upstreams, issued)
    await upstreams.joined(upstream, hub.address, upstream_tls=authority.client())
    sound = authority.ca.read_bytes()
    authority.ca.write_bytes(b"")
    await upstream.stop()
    await upstream.start(credentials=credentials(issued), UnaryCall=echo)
    await until(lambda: "ca.pem has no certificate in PEM form" in caplog.text)
    authority.ca.write_bytes(sound)
    await upstreams.stage.fleet(hub.address).when_state(WorkerStatus.STATE_READY)
    await assert_calls_pass(upstreams, hub.address)


# --- what is said where it fails -------------------------------------------------------------------------------------


async def said(upstreams: UpstreamStage, upstream: Upstream, caplog: pytest.LogCaptureFixture, tls: Tls | None) -> str:
    """What is logged of an upstream that cannot be reached."""
    sidecar = upstreams.sidecar(upstream, "127.0.0.1:1", upstream_tls=tls)
    starting = asyncio.ensure_future(sidecar.start())
    await until(lambda: "cannot be reached, dialling on: " in caplog.text)
    await sidecar.stop()
    with pytest.raises(asyncio.CancelledError):
        await starting
    return caplog.text


async def test_tls_is_asked_of_a_server_without(
    upstreams: UpstreamStage, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = upstreams.upstream("127.0.0.1:0")
    await upstream.start(UnaryCall=echo)
    words = await said(upstreams, upstream, caplog, authority.client())
    assert "it does not speak TLS. Leave the --upstream-tls options away" in words


async def test_tls_is_not_asked_of_a_server_with(
    upstreams: UpstreamStage, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    words = await said(upstreams, await encrypted(upstreams, authority.issue()), caplog, None)
    assert "If it uses TLS, add --upstream-tls-ca FILE or --upstream-tls" in words


async def test_certificate_for_another_name(
    upstreams: UpstreamStage, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = await encrypted(upstreams, authority.issue("shop.internal"))
    words = await said(upstreams, upstream, caplog, authority.client())
    assert "its certificate is made out to another name. Dial a name that is in it, or say one with" in words


async def test_certificate_of_an_unknown_authority(
    upstreams: UpstreamStage, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = await encrypted(upstreams, authority.issue())
    words = await said(upstreams, upstream, caplog, Authority(tmp_path / "other").client())
    assert (
        "signed by an authority that is not trusted here. Name the file of that authority with --upstream-tls-ca"
        in (words)
    )


async def test_certificate_that_has_expired(
    upstreams: UpstreamStage, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = await encrypted(upstreams, authority.issue(days_left=DAYS_AGO))
    words = await said(upstreams, upstream, caplog, authority.client())
    assert "its certificate has expired. Renew it" in words


async def test_certificate_of_its_own_is_asked_for(
    upstreams: UpstreamStage, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = await encrypted(upstreams, authority.issue(), authority.ca)
    words = await said(upstreams, upstream, caplog, authority.client())
    assert "It may ask for a certificate (--upstream-tls-cert and --upstream-tls-key)" in words


def test_files_are_looked_at_before_anything_is_dialled(tmp_path: Path) -> None:
    config = SidecarConfig(
        upstream="a:1", access=resolve_access("127.0.0.1:1"), upstream_tls=Tls(ca=tmp_path / "none.pem")
    )
    with pytest.raises(ConfigurationError, match=r"cannot read the file of authorities .*none\.pem"):
        Sidecar(config)
