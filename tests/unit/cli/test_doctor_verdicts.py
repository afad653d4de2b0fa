"""What each look of the doctor's means, where no real network shows it."""

import errno
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from grpc import StatusCode

from portcall.cli.doctor.asking import LinkAnswer
from portcall.cli.doctor.findings import Finding, Outcome, Step, exit_code, failed, noted, passed
from portcall.cli.doctor.link_verdicts import judge_idle, judge_link, judge_role, judge_trips
from portcall.cli.doctor.looks import PortLook, TlsLook, is_http2
from portcall.cli.doctor.proxies import proxy_of
from portcall.cli.doctor.tls_verdicts import judge_tls, server_name
from portcall.cli.doctor.verdicts import judge_name, judge_port, judge_settings, judge_socket
from portcall.hub.tokens import Role
from portcall.protos.portcall.v1.link_pb2 import Welcome
from portcall.wire.access import Access, Tls

TOKEN = "abcdefghijklmnop-0123"
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
UNROUTED = OSError(errno.EHOSTUNREACH, "No route to host")


def said(finding: Finding) -> str:
    return f"{finding.words}. {finding.remedy}"


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "words"),
    [
        (Access(target="hub:7"), "hub hub:7, no TLS, no token"),
        (Access(target="hub:7", tls=Tls()), "TLS that trusts the system's authorities"),
        (
            Access(target="hub:7", tls=Tls(ca="ca.pem", cert="c.pem", key="c.key"), token=Path("token")),
            "TLS that trusts ca.pem and shows c.pem, token of token",
        ),
        (
            Access(target="unix:/s", tls=Tls(), token=TOKEN),
            "which a unix socket does not need, token of PORTCALL_TOKEN",
        ),
    ],
)
def test_settings_are_said_without_the_secret(access: Access, words: str) -> None:
    finding = judge_settings(access, is_hub_named=True, exposed=[])
    assert finding.outcome is Outcome.OK
    assert words in finding.words
    assert TOKEN not in repr(finding)


def test_settings_that_may_surprise_are_noted() -> None:
    access = Access(target="127.0.0.1:7070")
    unnamed = judge_settings(access, is_hub_named=False, exposed=[])
    assert (unnamed.outcome, "nobody has named a hub" in unnamed.words) == (Outcome.NOTE, True)
    exposed = judge_settings(access, is_hub_named=True, exposed=["token"])
    assert (exposed.outcome, "chmod o-r" in exposed.remedy) == (Outcome.NOTE, True)


# --- names, sockets and ports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "words", "is_mistake"),
    [
        (["10.0.0.1", "fd00::1"], "hub is 10.0.0.1, fd00::1", False),
        (["hub"], "hub", False),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no machine named hub", True),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "(Temporary failure", False),
        (TimeoutError(), "nobody says in time what hub is", False),
    ],
)
def test_name(found: Sequence[str] | OSError, words: str, is_mistake: bool) -> None:
    finding = judge_name("hub", found)
    assert words in finding.words
    assert finding.is_mistake is is_mistake
    assert (finding.outcome is Outcome.FAILED) is isinstance(found, OSError)


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (None, "takes connections", 0),
        (FileNotFoundError(), "there is no /s", 1),
        (PermissionError(), "may not open /s", 2),
        (REFUSED, "nobody listens at /s", 1),
        (OSError(errno.EIO, "Input/output error"), "/s: input/output error", 1),
    ],
)
def test_socket(error: OSError | None, words: str, code: int) -> None:
    finding = judge_socket("/s", error)
    assert words in finding.words
    assert exit_code([finding]) == code


@pytest.mark.parametrize(
    ("errors", "remedy"),
    [
        ({"127.0.0.1": REFUSED}, "Start the hub on this machine"),
        ({"10.0.0.1": REFUSED}, "is not reached from other machines: --listen 0.0.0.0:70"),
        ({"10.0.0.1": TimeoutError()}, "a firewall"),
        ({"10.0.0.1": UNROUTED}, "routes, VPN, firewall"),
        ({"10.0.0.1": UNROUTED, "10.0.0.2": REFUSED}, "--listen 0.0.0.0:70"),
    ],
)
def test_port_that_takes_no_connection(errors: dict[str, OSError], remedy: str) -> None:
    finding = judge_port(PortLook(errors=errors), 70)
    assert all(address in finding.words for address in errors)
    assert remedy in finding.remedy
    assert exit_code([finding]) == 1


# --- TLS ------------------------------------------------------------------------------------------------------------

CERTIFICATE = {
    "subject": ((("organizationName", "Fleet"),), (("commonName", "hub"),)),
    "issuer": ((("organizationName", "Fleet"),),),
    "notBefore": "Jan  1 00:00:00 2030 GMT",
    "notAfter": "Jan  1 00:00:00 2031 GMT",
    "subjectAltName": (("DNS", "hub.example"), ("IP Address", "FD00:0:0:0:0:0:0:1")),
}
IN_2030 = float(ssl.cert_time_to_seconds("Jun  1 00:00:00 2030 GMT"))


def verify_error(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, message)
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "valid only from Jan  1 00:00:00 2030 GMT on. Compare the clocks"),
        (10, "its own end is Jan  1 00:00:00 2031 GMT"),
        (62, "is for hub.example, fd00::1, and not for hub"),
        (64, "is for hub.example, fd00::1, and not for hub"),
        (18, "signed by Fleet, and none of the authorities in ca.pem vouches for it"),
        (20, "Name the file of the hub's authority with --tls-ca"),
    ],
)
def test_certificate_that_is_not_right(code: int, words: str) -> None:
    look = TlsLook(certificate=CERTIFICATE, check=verify_error(code, "why"), alpn="h2", version="TLSv1.3")
    finding = judge_tls(look, "hub", Tls(ca="ca.pem"), IN_2030, is_plain_http2=False)
    assert words in said(finding)
    assert exit_code([finding]) == 2
    assert finding.facts["subject"] == "hub"


def test_certificate_that_is_right_is_described() -> None:
    look = TlsLook(certificate=CERTIFICATE, alpn="h2", version="TLSv1.3")
    finding = judge_tls(look, "hub.example", Tls(), IN_2030, is_plain_http2=False)
    assert finding.words == (
        "TLSv1.3, certificate of hub for hub.example, fd00::1, valid until Jan  1 00:00:00 2031 GMT"
    )
    assert finding.outcome is Outcome.OK


def test_certificate_that_nothing_is_known_of_is_no_failure_of_ours() -> None:
    finding = judge_tls(TlsLook(alpn="h2", version="TLSv1.3"), "hub", Tls(), IN_2030, is_plain_http2=False)
    assert finding.outcome is Outcome.OK
    assert "for no name, valid until unknown" in finding.words


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (TimeoutError(), "says nothing to a TLS handshake", 1),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "connection reset by peer", 1),
    ],
)
def test_handshake_that_fails(error: OSError, words: str, code: int) -> None:
    finding = judge_tls(TlsLook(error=error), "hub", Tls(), IN_2030, is_plain_http2=False)
    assert words in finding.words
    assert exit_code([finding]) == code


def test_name_in_a_certificate_is_compared_in_its_shortest_form() -> None:
    assert server_name("FD00:0:0:0:0:0:0:1") == "fd00::1"
    assert server_name("fe80::1%eth0") == "fe80::1"
    assert server_name("hub.example") == "hub.example"


@pytest.mark.parametrize(
    ("data", "is_so"),
    [
        (bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)), True),
        (bytes((0, 0, 6, 4, 0, 0, 0, 0, 0, 1)), True),
        (bytes((0, 0, 0, 4, 0, 0, 0, 0)), False),
        (bytes((0, 0, 0, 7, 0, 0, 0, 0, 0)), False),
        (b"HTTP/1.1 200 OK\r\n", False),
        (b"", False),
    ],
)
def test_settings_come_first_in_http2(data: bytes, is_so: bool) -> None:
    assert is_http2(data) is is_so


# --- links ----------------------------------------------------------------------------------------------------------


def test_role_that_is_not_needed_is_a_note() -> None:
    answer = LinkAnswer(code=StatusCode.PERMISSION_DENIED, details="no")
    access = Access(target="hub:7", token=TOKEN)
    assert judge_role(Role.WORKER, answer, access, is_needed=False).outcome is Outcome.NOTE
    assert judge_role(Role.WORKER, answer, access, is_needed=True).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("answer", "words", "code"),
    [
        (
            LinkAnswer(code=StatusCode.UNAVAILABLE, details="Received http2 header with status: 502"),
            "a proxy answers",
            1,
        ),
        (LinkAnswer(code=StatusCode.INTERNAL, details="RST_STREAM"), "INTERNAL: RST_STREAM", 1),
        (LinkAnswer(code=StatusCode.UNIMPLEMENTED, details="no"), "no Portcall hub", 2),
        (LinkAnswer(details="no answer to the hello within 5 s"), "no answer", 1),
    ],
)
def test_answer_of_something_else(answer: LinkAnswer, words: str, code: int) -> None:
    finding = judge_role(Role.CLIENT, answer, Access(target="hub:7"), is_needed=True)
    assert words in finding.words
    assert exit_code([finding]) == code


@pytest.mark.parametrize(
    ("protocol", "agent", "outcome"),
    [
        (1, "portcall-hub/1.0", Outcome.OK),
        (1, "portcall-hub/1.1", Outcome.NOTE),
        (1, "", Outcome.NOTE),
        (2, "portcall-hub/1.0", Outcome.FAILED),
    ],
)
def test_versions(protocol: int, agent: str, outcome: Outcome) -> None:
    finding = judge_link(LinkAnswer(welcome=Welcome(protocol=protocol, agent=agent)), "1.0")
    assert finding.outcome is outcome


def test_round_trips() -> None:
    fine = judge_trips([0.003, 0.001, 0.002], None)
    assert (fine.outcome, fine.words) == (Outcome.OK, "2.0 ms, of 3 between 1.0 and 3.0")
    assert judge_trips([0.3], None).outcome is Outcome.NOTE
    assert "not answered" in judge_trips([], TimeoutError()).words
    assert "broke: gone" in judge_trips([], ConnectionError("gone")).words


@pytest.mark.parametrize(
    ("held_s", "error", "ping_interval_s", "outcome", "words"),
    [
        (300.0, None, 10.0, Outcome.OK, "silent for 300 s still holds"),
        (60.0, ConnectionError("reset"), 10.0, Outcome.NOTE, "was cut (reset) after 60 s of silence"),
        (300.0, TimeoutError(), 10.0, Outcome.NOTE, "is dead, and nobody has said so"),
        (15.0, ConnectionError("reset"), 10.0, Outcome.FAILED, "--ping-interval 5"),
        (2.0, ConnectionError("reset"), 10.0, Outcome.FAILED, "--ping-interval 1"),
        (60.0, ConnectionError("reset"), 0.0, Outcome.FAILED, "--ping-interval 20"),
    ],
)
def test_idle_link(
    held_s: float, error: Exception | None, ping_interval_s: float, outcome: Outcome, words: str
) -> None:
    finding = judge_idle(300.0, held_s, error, ping_interval_s)
    assert finding.outcome is outcome
    assert words in said(finding)


# --- the whole ------------------------------------------------------------------------------------------------------


def test_exit_code_is_that_of_the_worst_finding() -> None:
    fine, note = passed(Step.NAME, "x"), noted(Step.PORT, "x", "y")
    passing, mistake = (failed(Step.TLS, "x", "y", is_mistake=is_mistake) for is_mistake in (False, True))
    assert exit_code([fine, note]) == 0
    assert exit_code([fine, passing]) == 1
    assert exit_code([passing, mistake]) == 2


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "http://proxy:3128"}, ("proxy", 3128, "https_proxy")),
        ({"http_proxy": "proxy"}, ("proxy", 80, "http_proxy")),
        ({"http_proxy": "a:1", "https_proxy": "b:2", "grpc_proxy": "c:3"}, ("c", 3, "grpc_proxy")),
        ({"http_proxy": "proxy:1", "no_proxy": "other,example.com"}, None),
        ({"http_proxy": "proxy:1", "no_proxy": "*.example.com"}, None),
        ({"http_proxy": "proxy:1", "no_proxy": ", ,ample.org"}, ("proxy", 1, "http_proxy")),
        ({"http_proxy": "proxy:1", "no_proxy": "example.com", "no_grpc_proxy": "x"}, ("proxy", 1, "http_proxy")),
    ],
)
def test_proxy_that_grpc_takes(environ: dict[str, str], proxy: tuple[str, int, str] | None) -> None:
    found = proxy_of("hub.example.com", environ)
    assert (found and (found.host, found.port, found.variable)) == proxy
