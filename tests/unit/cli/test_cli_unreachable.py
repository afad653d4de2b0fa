"""One rule for all commands: what has to be changed first is a mistake, what may pass by itself is a failure."""

import pytest

from portcall.cli.connection import no_hub
from portcall.cli.exits import EXIT_FAILED, EXIT_MISTAKE, report_error
from portcall.wire.access import Access, Tls

TLS = Access(target="hub.example:7070", tls=Tls())
PLAIN = Access(target="hub.example:7070")


@pytest.mark.parametrize(
    ("access", "details"),
    [
        (TLS, "Ssl handshake failed: certificate has expired"),
        (TLS, "Ssl handshake failed: certificate is not yet valid"),
        (TLS, "Hostname Verification Check failed."),
        (TLS, "OPENSSL_internal:CERTIFICATE_VERIFY_FAILED"),
        (TLS, "OPENSSL_internal:WRONG_VERSION_NUMBER"),
        (TLS, "missing selected ALPN property"),
        (PLAIN, "Failed parsing HTTP/2"),
        (PLAIN, "Socket closed"),
    ],
)
def test_what_has_to_be_changed_is_a_mistake(access: Access, details: str) -> None:
    assert report_error(no_hub(access, details)) == EXIT_MISTAKE


@pytest.mark.parametrize("access", [TLS, PLAIN])
def test_hub_that_is_away_is_a_failure(access: Access) -> None:
    details = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused (111)"
    assert report_error(no_hub(access, details)) == EXIT_FAILED
