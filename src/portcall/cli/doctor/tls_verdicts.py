"""What a TLS handshake with a hub means. Pure: looks in, findings out."""

import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

from portcall.cli.doctor.findings import Finding, Step, failed, noted, passed
from portcall.cli.doctor.looks import TlsLook
from portcall.cli.doctor.verdicts import BREAKS_HTTP2, in_words
from portcall.wire.access import Tls

EXPIRY_NOTE_S: Final = 14 * 86_400.0

NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
OTHER_NAME: Final = frozenset({62, 64})
"""OpenSSL's numbers (X509_V_ERR_*) of what can be wrong with a certificate."""

NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNSUPPORTED_PROTOCOL"})
"""OpenSSL's reasons that mean that the other side speaks something else."""

NO_TLS: Final = "Start the hub with --tls-cert and --tls-key; or leave TLS away here, if the network is guarded"


def judge_tls(look: TlsLook, name: str, tls: Tls, now: float, *, is_plain_http2: bool) -> Finding:
    """Judge a TLS handshake and the hub's certificate."""
    if look.error is not None:
        return _judge_no_tls(look.error, is_plain_http2=is_plain_http2)
    facts = _certificate_facts(look)
    said = f"certificate of {facts['subject']} for {', '.join(facts['names']) or 'no name'}"
    if look.check is not None:
        words, remedy = _judge_check(look.check, name, facts, tls)
        return failed(Step.TLS, words, remedy, is_mistake=True, **facts)
    if look.alpn != "h2":
        return failed(
            Step.TLS,
            f"what answers speaks TLS but not HTTP/2 (ALPN: {look.alpn or 'none'}); {said}",
            BREAKS_HTTP2,
            is_mistake=True,
            **facts,
        )
    said = f"{look.version}, {said}, valid until {facts['not_after']}"
    left_s = _seconds(look.certificate.get("notAfter")) - now
    if left_s < EXPIRY_NOTE_S:
        remedy = f"It expires in {left_s / 86_400:.0f} days: renew it; the hub takes a new file up by itself"
        return noted(Step.TLS, said, remedy, **facts)
    return passed(Step.TLS, said, **facts)


def _judge_no_tls(error: Exception, *, is_plain_http2: bool) -> Finding:
    if is_plain_http2:
        return failed(Step.TLS, "the hub there speaks HTTP/2 without TLS", NO_TLS, is_mistake=True)
    if isinstance(error, TimeoutError):
        return failed(
            Step.TLS,
            "it takes the connection, and says nothing to a TLS handshake",
            "Look at what is between here and the hub; it may hold connections without passing them on",
            is_mistake=False,
        )
    if isinstance(error, ssl.SSLError) and error.reason in NOT_TLS:
        return failed(Step.TLS, "what answers there does not speak TLS", NO_TLS, is_mistake=True)
    return failed(
        Step.TLS,
        f"the handshake fails: {in_words(error)}",
        "Look at the hub's log, and at what is between here and there",
        is_mistake=False,
    )


def _judge_check(check: ssl.SSLCertVerificationError, name: str, facts: Mapping[str, Any], tls: Tls) -> tuple[str, str]:
    if check.verify_code == EXPIRED:
        return (
            f"the certificate, or one on the way to its authority, has expired; its own end is {facts['not_after']}",
            "Renew it; the hub takes a new file up by itself. If it should still be valid, compare the clocks",
        )
    if check.verify_code == NOT_YET_VALID:
        return f"the certificate is valid only from {facts['not_before']} on", "Compare the clocks of both machines"
    if check.verify_code in OTHER_NAME:
        names = ", ".join(facts["names"]) or "no name at all"
        return (
            f"the certificate is for {names}, and not for {name}",
            "Dial a name that is in it, or have the certificate made for this one too",
        )
    trusted = "the authorities that the system trusts" if tls.ca is None else f"the authorities in {tls.ca}"
    words = f"the certificate is signed by {facts['issuer']}, and none of {trusted} vouches for it"
    return (
        f"{words} ({check.verify_message})",
        "Name the file of the hub's authority with --tls-ca; the hub's --tls-cert should have those between, too",
    )


def _certificate_facts(look: TlsLook) -> dict[str, Any]:
    certificate = look.certificate
    return {
        "subject": _distinguished(certificate.get("subject", ())),
        "issuer": _distinguished(certificate.get("issuer", ())),
        # Python writes IPv6 addresses out in full.
        "names": [server_name(value) for _, value in certificate.get("subjectAltName", ())],
        "not_before": certificate.get("notBefore", "unknown"),
        "not_after": certificate.get("notAfter", "unknown"),
        "version": look.version,
        "alpn": look.alpn,
    }


def _distinguished(name: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Return a subject or issuer in short: its common name, or all of it."""
    entries = [entry for part in name for entry in part]
    common = [value for key, value in entries if key == "commonName"]
    return common[0] if common else ", ".join(value for _, value in entries) or "nobody"


def _seconds(moment: str | None) -> float:
    return float("inf") if moment is None else ssl.cert_time_to_seconds(moment)


def server_name(host: str) -> str:
    """Return the name that a certificate has to have, for a host or an address."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return host
