"""What gRPC says of a failed connection, in words that help. The details are those of grpcio 1.85."""

import grpc
import pytest

from portcall.wire.access import Access, Tls
from portcall.wire.diagnosis import explain, reason

ALL = "failed to connect to all addresses; last error: "
PEER = "UNKNOWN: ipv4:127.0.0.1:7: "
TLS = f"{ALL}{PEER}Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL routines:"
NAME = "Hostname Verification Check failed."
HTTP1 = (
    "Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame, got frame type 80) (Trying to connect an"
    " http1.x server (HTTP status 400))"
)
TOKEN = "abcdefghijklmnop-0123"

PLAIN = Access(target="hub:7")
ENCRYPTED = Access(target="hub:7", tls=Tls())


@pytest.mark.parametrize(
    ("access", "details", "words"),
    [
        (
            ENCRYPTED,
            f"{TLS}OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: certificate has expired: OK",
            "has expired. Renew it",
        ),
        (
            ENCRYPTED,
            f"{TLS}OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate: OK",
            "an authority that is not trusted here. Name the file of that authority with --tls-ca",
        ),
        (
            ENCRYPTED,
            f"{TLS}OPENSSL_internal:WRONG_VERSION_NUMBER: Invalid certificate verification context: OK",
            "does not speak TLS",
        ),
        (
            ENCRYPTED,
            f"{ALL}{PEER}Custom verification check failed with error: UNAUTHENTICATED: {NAME}",
            "made out to another name",
        ),
        (ENCRYPTED, f"{ALL}{PEER}Cannot check peer: missing selected ALPN property.", "but not HTTP/2"),
        (
            ENCRYPTED,
            f"{ALL}UNAVAILABLE: ipv4:127.0.0.1:7: Socket closed",
            "may ask for a certificate of this program's",
        ),
        (PLAIN, f"{ALL}UNAVAILABLE: ipv4:127.0.0.1:7: Socket closed", "use it here too: --tls-ca FILE or --tls"),
        (
            PLAIN,
            f"{ALL}INTERNAL: ipv4:127.0.0.1:7: {HTTP1}",
            "does not speak HTTP/2, so it is no hub",
        ),
    ],
)
def test_failure_is_said_with_its_remedy(access: Access, details: str, words: str) -> None:
    said = explain(access, grpc.StatusCode.UNAVAILABLE, details)
    assert words in said
    assert "'portcall doctor' finds out more" in said
    assert reason(details) in said


def test_what_is_not_known_is_passed_on() -> None:
    details = f"{ALL}{PEER}Failed to connect to remote host: Connection refused"
    assert explain(PLAIN, grpc.StatusCode.UNAVAILABLE, details) == f"UNAVAILABLE: {details}"
    assert reason(details) == "Connection refused"
    assert explain(PLAIN, grpc.StatusCode.INTERNAL, "Socket closed") == "INTERNAL: Socket closed"


@pytest.mark.parametrize(
    ("token", "code", "words"),
    [
        (None, grpc.StatusCode.UNAUTHENTICATED, "Set PORTCALL_TOKEN"),
        (TOKEN, grpc.StatusCode.UNAUTHENTICATED, "not, or no longer, in the hub's token file"),
        (TOKEN, grpc.StatusCode.PERMISSION_DENIED, "Use a token with that role"),
    ],
)
def test_refusal_says_who_what_and_how_to_mend_it(token: str | None, code: grpc.StatusCode, words: str) -> None:
    said = explain(Access(target="hub:7", token=token), code, "this and that")
    assert said.startswith(f"the hub at hub:7 refuses us ({code.name}: this and that). ")
    assert words in said
    assert TOKEN not in said
