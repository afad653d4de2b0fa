"""PEM files, read and judged before gRPC gets them: gRPC says little of what is wrong with one, and that late."""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from portcall.errors import ConfigurationError

SYSTEM_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # BSDs, macOS
)

READS_MAX: Final = 5
"""A pair of files that changes while it is read is read again, this often at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate with its chain, and its key, both PEM."""

    chain: bytes
    key: bytes = field(repr=False)


def read_identity(cert: str | os.PathLike[str], key: str | os.PathLike[str]) -> Identity:
    """Return a certificate and its key, which belong together.

    Raises:
        ConfigurationError: a file cannot be read, is not what it should be, or they do not belong together.
    """
    for _ in range(READS_MAX):
        identity = _read_pair(cert, key)
        reason = _judge_pair(cert, key)
        # OpenSSL reads the files by itself: what it has judged is what was read only if they are still the same.
        if _read_pair(cert, key) == identity:
            break
    else:
        reason = "they change while they are read"
    if reason:
        raise ConfigurationError(f"the certificate {os.fspath(cert)} with the key {os.fspath(key)}: {reason}")
    return identity


def read_authorities(ca: str | os.PathLike[str]) -> bytes:
    """Return the certificates of the authorities in a file.

    Raises:
        ConfigurationError: the file cannot be read, or has none.
    """
    pem = _read(ca, "the file of authorities")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ConfigurationError(
            f"{os.fspath(ca)} has no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
        ) from None
    return pem


def system_authorities() -> bytes | None:
    """Return the authorities that the system trusts, or None if there is no bundle of them: gRPC then has its own.

    gRPC looks at its own first, and so does not know an authority that was added to the system.
    """
    for path in (ssl.get_default_verify_paths().cafile, *SYSTEM_BUNDLES):
        if path is not None and Path(path).is_file():
            return Path(path).read_bytes()
    return None


def _read_pair(cert: str | os.PathLike[str], key: str | os.PathLike[str]) -> Identity:
    return Identity(chain=_read(cert, "the certificate"), key=_read(key, "the key"))


def _judge_pair(cert: str | os.PathLike[str], key: str | os.PathLike[str]) -> str | None:
    """Return what is wrong with a pair, or None."""
    try:
        # The password keeps OpenSSL from asking the terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is another certificate's"
        return _judge_forms(cert, key)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _judge_forms(cert: str | os.PathLike[str], key: str | os.PathLike[str]) -> str:
    """Return which of a pair that OpenSSL cannot read is not what it should be."""
    pair = _read_pair(cert, key)
    if b"-----BEGIN CERTIFICATE-----" not in pair.chain:
        return f"{os.fspath(cert)} has no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
    if b"PRIVATE KEY-----" not in pair.key:
        return f"{os.fspath(key)} has no key in PEM form (-----BEGIN PRIVATE KEY-----)"
    if b"ENCRYPTED" in pair.key:
        return f"the key is encrypted, which it must not be. 'openssl pkey -in {os.fspath(key)}' decrypts it"
    return "one of them is broken"


def _read(path: str | os.PathLike[str], what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {what} {os.fspath(path)}: {error.strerror}") from None
