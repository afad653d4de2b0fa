"""What the doctor finds on ways to a hub that are broken, each in its own manner; and on one that is whole."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from interop.timeouts import timeouts
from pki import Authority

import portcall
from portcall.cli.doctor.examination import Examination, examine
from portcall.cli.doctor.findings import Finding, Outcome, Step, exit_code
from portcall.hub import Hub
from portcall.hub.tokens import Role
from portcall.protos.portcall.v1.link_pb2 import Frame, Frames, Goodbye, Welcome
from portcall.wire.access import resolve_access

from .stage import Stage

WORKER, CLIENT = "worker-0123456789abcdef", "client-0123456789abcdef"

ALL_STEPS = [Step.NAME, Step.PORT, Step.TLS, Step.HTTP2, Step.WORKER, Step.CLIENT, Step.LINK, Step.ROUND_TRIP]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def guarded(stage: Stage, authority: Authority, tmp_path: Path) -> Callable[..., Any]:
    tokens = tmp_path / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text(f"worker {WORKER} crane\nclient {CLIENT} desk\n")

    async def start(*names: str, ca: Path | None = None, days_left: int = 90) -> Hub:
        tls = authority.server(*names, ca=ca, days_left=days_left)
        return await stage.hub(access={"tls": tls, "token_file": tokens})

    return start


async def find(
    target: str,
    *,
    token: str | None = None,
    tls: portcall.Tls | None = None,
    roles: tuple[Role, ...] = (),
    idle_s: float = 0.0,
    timeout_s: float = 30.0,
    environ: Mapping[str, str] = {},  # nobody writes to it
) -> list[Finding]:
    access = resolve_access(target, token=token, tls=tls, environ={})
    wanted = Examination(access=access, roles=roles, idle_s=idle_s, timeout_s=timeout_s, environ=environ)
    return [finding async for finding in examine(wanted)]


def by_name(hub: Hub) -> str:
    return f"localhost:{hub.address.rpartition(':')[2]}"


def outcomes(findings: list[Finding]) -> dict[Step, Outcome]:
    return {finding.step: finding.outcome for finding in findings}


def check(findings: list[Finding], step: Step, *words: str, code: int) -> None:
    """The way breaks at this step and nowhere before, and the finding says these words."""
    last = findings[-1]
    assert last.step is step
    assert last.outcome is Outcome.FAILED
    assert all(finding.outcome is not Outcome.FAILED for finding in findings[:-1])
    said = f"{last.words}. {last.remedy}"
    assert all(part in said for part in words), said
    assert last.remedy
    assert exit_code(findings) == code


async def check_silence(address: str, step: Step, **options: Any) -> None:
    """Nobody answers at this step, and those before it need no more time than they are given."""
    findings: list[Finding] = []
    for timeout_s in timeouts(lambda: bool(findings) and findings[-1].step is step):
        findings[:] = await find(address, timeout_s=timeout_s, **options)
    check(findings, step, "says nothing", code=1)


# --- a way that is whole --------------------------------------------------------------------------------------------


async def test_way_that_is_whole(guarded: Any, authority: Authority) -> None:
    hub = await guarded()
    findings = await find(by_name(hub), token=CLIENT, tls=authority.client(), idle_s=0.01)
    assert outcomes(findings) == dict.fromkeys([*ALL_STEPS, Step.IDLE], Outcome.OK) | {Step.WORKER: Outcome.NOTE}
    assert exit_code(findings) == 0
    facts = {finding.step: finding.facts for finding in findings}
    assert facts[Step.TLS]["names"] == ["localhost", "127.0.0.1", "::1"]
    assert facts[Step.TLS]["alpn"] == "h2"
    assert facts[Step.LINK]["protocol"] == 1
    assert len(facts[Step.ROUND_TRIP]["trips_s"]) == 5  # type: ignore[arg-type]


async def test_way_that_is_whole_with_certificates_on_both_sides(guarded: Any, authority: Authority) -> None:
    hub = await guarded(ca=authority.ca)
    findings = await find(by_name(hub), token=WORKER, tls=authority.client(has_own=True), roles=(Role.WORKER,))
    assert outcomes(findings) == dict.fromkeys([step for step in ALL_STEPS if step is not Step.CLIENT], Outcome.OK)


async def test_way_that_is_whole_in_clear_and_over_a_socket(stage: Stage, tmp_path: Path) -> None:
    hub = await stage.hub()
    assert Outcome.FAILED not in outcomes(await find(hub.address)).values()
    hub = await stage.hub(listen=f"unix:{tmp_path}/hub.sock")
    findings = await find(hub.address)
    assert findings[0].step is Step.SOCKET
    assert Outcome.FAILED not in outcomes(findings).values()


async def test_nothing_is_attached_by_it(stage: Stage) -> None:
    hub = await stage.hub(links_max=1)
    await stage.channel(hub.address).channel_ready()
    findings = await find(hub.address)
    assert exit_code(findings) == 0
    assert await stage.fleet(hub.address).workers() == []


# --- below TLS ------------------------------------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    check(await find(f"127.0.0.1:{port}"), Step.PORT, "connection refused", "Start the hub", code=1)


async def test_name_that_is_nobody_s() -> None:
    findings = await find("nobody.invalid:7070")
    assert findings[-1].step is Step.NAME
    assert "nobody.invalid" in findings[-1].words
    assert exit_code(findings) > 0


async def test_socket_that_is_not_there_or_dead(tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    check(await find(f"unix:{path}"), Step.SOCKET, f"there is no {path}", f"--listen unix:{path}", code=1)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    check(await find(f"unix:{path}"), Step.SOCKET, "nobody listens", code=1)


async def test_one_address_of_several_is_enough(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = await stage.hub()
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo("127.0.0.1", 0, type=socket.SOCK_STREAM)
    two = [(*entry[:4], (address, 0)) for entry in found for address in ("127.0.0.9", "127.0.0.1")]

    async def getaddrinfo(host: str, *args: Any, **more: Any) -> Any:
        return two if host == "localhost" else [(*found[0][:4], (host, args[0]))]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    findings = await find(by_name(hub))
    assert findings[1].words.startswith("127.0.0.1 takes connections")
    assert "127.0.0.9: connection refused" in findings[1].words
    assert exit_code(findings) == 0


# --- TLS ------------------------------------------------------------------------------------------------------------


async def test_hub_without_tls_is_spoken_to_with_tls(stage: Stage, authority: Authority) -> None:
    hub = await stage.hub()
    check(
        await find(by_name(hub), tls=authority.client()),
        Step.TLS,
        "speaks HTTP/2 without TLS",
        "Start the hub with --tls-cert",
        code=2,
    )


async def test_hub_with_tls_is_spoken_to_without(guarded: Any) -> None:
    hub = await guarded()
    check(await find(by_name(hub)), Step.HTTP2, "speaks TLS, and was spoken to without", "--tls-ca FILE", code=2)


async def test_certificate_is_for_another_name(guarded: Any, authority: Authority) -> None:
    hub = await guarded("hub.example", "10.1.2.3")
    for target, name in ((by_name(hub), "localhost"), (hub.address, "127.0.0.1")):
        findings = await find(target, token=CLIENT, tls=authority.client())
        check(
            findings, Step.TLS, f"is for hub.example, 10.1.2.3, and not for {name}", "Dial a name that is in it", code=2
        )


async def test_certificate_of_an_authority_that_is_not_trusted(
    guarded: Any, authority: Authority, tmp_path: Path
) -> None:
    hub = await guarded()
    other = Authority(tmp_path / "other")
    findings = await find(by_name(hub), tls=other.client())
    check(findings, Step.TLS, "signed by trustme", f"the authorities in {other.ca}", "--tls-ca", code=2)
    findings = await find(by_name(hub), tls=portcall.Tls())
    check(findings, Step.TLS, "none of the authorities that the system trusts", code=2)


async def test_certificate_has_expired_or_will_soon(guarded: Any, authority: Authority) -> None:
    hub = await guarded(days_left=-1)
    check(await find(by_name(hub), tls=authority.client()), Step.TLS, "has expired", "Renew it", code=2)
    hub = await guarded(days_left=3)
    tls = next(finding for finding in await find(by_name(hub), tls=authority.client()) if finding.step is Step.TLS)
    assert tls.outcome is Outcome.NOTE
    assert "renew it" in tls.remedy


async def test_hub_asks_for_a_certificate(guarded: Any, authority: Authority, tmp_path: Path) -> None:
    hub = await guarded(ca=authority.ca)
    findings = await find(by_name(hub), token=CLIENT, tls=authority.client())
    check(findings, Step.HTTP2, "it seems to ask for a certificate", "--tls-cert and --tls-key", code=2)
    stranger = Authority(tmp_path / "other").issue()
    findings = await find(
        by_name(hub), token=CLIENT, tls=portcall.Tls(ca=authority.ca, cert=stranger.cert, key=stranger.key)
    )
    check(findings, Step.HTTP2, "it may not trust this program's certificate", "--tls-ca has signed", code=2)


# --- HTTP/2 ---------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any], context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A server that does this with each connection, and gives its address; nothing of it is left behind."""
    tasks: set[asyncio.Task[Any]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@contextlib.asynccontextmanager
async def speaking(words: bytes | None, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers whatever comes with these words, or with nothing, and gives its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if words is None:
            await reader.read()
        else:
            writer.write(words)
            writer.write_eof() if writer.can_write_eof() else None
            await writer.drain()
            await reader.read()

    async with serving(answer, context) as address:
        yield address


HTTP1 = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (HTTP1, ("speaks HTTP/1 ('HTTP/1.1 400 Bad Request', server nginx)", "HTTP/2 all the way")),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ("is no hub; it says 'SSH-2.0-OpenSSH_9.2'", "Correct the port")),
    ],
)
async def test_something_else_answers(words: bytes, said: tuple[str, ...]) -> None:
    async with speaking(words) as address:
        check(await find(address), Step.HTTP2, *said, code=2)


async def test_nothing_is_answered() -> None:
    async with speaking(None) as address:
        await check_silence(address, Step.HTTP2)
    async with speaking(b"") as address:
        check(await find(address), Step.HTTP2, "closes the connection without a word", code=1)


@pytest.mark.parametrize(("protocols", "shown"), [(["http/1.1"], "http/1.1"), ([], "none")])
async def test_proxy_that_speaks_http1_over_tls(authority: Authority, protocols: list[str], shown: str) -> None:
    issued = authority.issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.cert, issued.key)
    context.set_alpn_protocols(protocols)
    async with speaking(HTTP1, context) as address:
        findings = await find(address, tls=authority.client())
    check(findings, Step.TLS, f"TLS but not HTTP/2 (ALPN: {shown})", "HTTP/2 all the way", code=2)


async def test_tls_is_spoken_to_something_else(authority: Authority) -> None:
    async with speaking(HTTP1) as address:
        check(await find(address, tls=authority.client()), Step.TLS, "does not speak TLS", code=2)
    async with speaking(None) as address:
        await check_silence(address, Step.TLS, tls=authority.client())


# --- tokens and links -----------------------------------------------------------------------------------------------


async def test_token_that_is_lacking_or_unknown(guarded: Any, authority: Authority) -> None:
    hub = await guarded()
    for token, remedy in ((None, "Set PORTCALL_TOKEN"), ("unknown-0123456789abcdef", "Compare it")):
        findings = await find(by_name(hub), token=token, tls=authority.client())
        assert outcomes(findings)[Step.WORKER] is outcomes(findings)[Step.CLIENT] is Outcome.FAILED
        assert remedy in findings[-1].remedy
        assert exit_code(findings) == 2


@pytest.mark.parametrize(("token", "role"), [(CLIENT, Role.WORKER), (WORKER, Role.CLIENT)])
async def test_token_has_another_role(guarded: Any, authority: Authority, token: str, role: Role) -> None:
    hub = await guarded()
    findings = await find(by_name(hub), token=token, tls=authority.client(), roles=(role,))
    step = Step.WORKER if role is Role.WORKER else Step.CLIENT
    check(findings, step, f"has not the role {role.value}", f"has the role {role.value}", code=2)
    assert exit_code(await find(by_name(hub), token=token, tls=authority.client())) == 0


@contextlib.asynccontextmanager
async def answering(answer: Callable[[Any, Any], Any] | None) -> AsyncIterator[str]:
    """A gRPC server whose links are as told."""
    server = grpc.aio.server()
    if answer is not None:
        handler = grpc.stream_stream_rpc_method_handler(answer)
        methods = {"Attach": handler, "Session": handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("portcall.v1.Hub", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def test_grpc_server_that_is_no_hub() -> None:
    async with answering(None) as address:
        findings = await find(address, roles=(Role.CLIENT,))
        check(findings, Step.CLIENT, "is no Portcall hub (UNIMPLEMENTED", "pass /portcall.v1.Hub/ on", code=2)


def saying(*batches: Frames) -> Callable[[Any, Any], Any]:
    async def answer(_: object, context: Any) -> None:
        await context.read()
        for batch in batches:
            await context.write(batch.SerializeToString())

    return answer


@pytest.mark.parametrize(
    ("batches", "words", "code"),
    [
        ([], "ended the stream without a word", 1),
        ([Frames()], "not a Portcall hub's", 1),
        ([Frames(frames=[Frame(goodbye=Goodbye(details="speaks version 9"))])], "refuses: speaks version 9", 2),
    ],
)
async def test_hub_that_answers_otherwise(batches: list[Frames], words: str, code: int) -> None:
    async with answering(saying(*batches)) as address:
        check(await find(address, roles=(Role.CLIENT,)), Step.CLIENT, words, code=code)


async def test_hub_of_another_version() -> None:
    welcome = Frames(frames=[Frame(welcome=Welcome(protocol=9, agent="portcall-hub/9.0"))])
    async with answering(saying(welcome)) as address:
        findings = await find(address)
    link = next(finding for finding in findings if finding.step is Step.LINK)
    assert "portcall-hub/9.0 speaks version 9 of the link, this is version 1" in link.words
    assert exit_code(findings) == 2


async def test_link_that_breaks_at_the_first_ping() -> None:
    welcome = Frames(frames=[Frame(welcome=Welcome(protocol=1, agent="portcall-hub/0"))])
    async with answering(saying(welcome)) as address:
        check(await find(address), Step.ROUND_TRIP, "the link broke", code=1)


async def test_link_that_is_cut_while_it_is_idle(stage: Stage) -> None:
    hub = await stage.hub()
    proxy = await stage.proxy(hub.address)
    found: list[Finding] = []
    access = resolve_access(proxy.address, environ={})
    async for finding in examine(Examination(access=access, idle_s=30.0, timeout_s=30.0, environ={})):
        found.append(finding)
        if finding.step is Step.ROUND_TRIP:
            asyncio.get_running_loop().call_soon(proxy.cut)
    check(found, Step.IDLE, "was cut", "--ping-interval", code=2)


# --- HTTP proxies ---------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def http_proxy(answer: bytes) -> AsyncIterator[str]:
    """An HTTP proxy that answers CONNECT so, and then passes everything on if it has said 200."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if b" 200 " not in answer:
            return
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        up_reader, up = await asyncio.open_connection(host, int(port))
        passing = [asyncio.ensure_future(carry(reader, up)), asyncio.ensure_future(carry(up_reader, writer))]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in passing:
                part.cancel()
            await asyncio.wait(passing)
            up.transport.abort()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()

    async with serving(serve) as address:
        yield address


async def test_proxy_of_the_environment_is_gone_by(
    guarded: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = await guarded()
    async with http_proxy(b"HTTP/1.1 200 OK\r\n\r\n") as address:
        monkeypatch.setenv("https_proxy", f"http://{address}")
        environ = {"https_proxy": f"http://{address}"}
        findings = await find(by_name(hub), token=CLIENT, tls=authority.client(), environ=environ)
    assert findings[0].step is Step.PROXY
    assert findings[0].outcome is Outcome.NOTE
    assert "as https_proxy says" in findings[0].words
    assert exit_code(findings) == 0


async def test_proxy_of_the_environment_does_not_pass_it_on(stage: Stage) -> None:
    hub = await stage.hub()
    async with http_proxy(b"HTTP/1.1 403 Forbidden\r\n\r\n") as address:
        environ = {"http_proxy": address}
        findings = await find(by_name(hub), environ=environ)
        check(findings, Step.PROXY, "answers 'HTTP/1.1 403 Forbidden'", "no_proxy=localhost", code=2)
        exempted = await find(by_name(hub), environ=environ | {"no_proxy": "example.com,localhost"})
    assert exit_code(exempted) == 0
