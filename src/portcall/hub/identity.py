"""The hub's certificate, which is taken from its files anew whenever they change.

gRPC asks before every handshake, on a thread of its own, whether there is a newer certificate.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from portcall.errors import ConfigurationError
from portcall.wire.certificates import Identity, read_authorities, read_identity
from portcall.wire.tokens import is_readable_by_others

logger = logging.getLogger("portcall.hub")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """TLS of a hub. All files are PEM."""

    cert: Path
    """The hub's certificate, followed by those between it and its authority."""

    key: Path
    """The key of `cert`, not encrypted."""

    ca: Path | None = None
    """Authorities of the certificates that clients and workers have to show; if None, they need none."""


class ServerIdentity:
    """What a hub shows in a handshake, and what it asks for."""

    def __init__(self, tls: ServerTls) -> None:
        """Read the files.

        Raises:
            ConfigurationError: a file cannot be read, or is not what it should be.
        """
        self._tls = tls
        self._seen = self._contents()
        self._shown = self._read()
        if is_readable_by_others(tls.key):
            logger.warning("Every user of this machine can read the hub's key: chmod o-r %s", tls.key)

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a gRPC server, that follow the files."""
        # grpcio documents that the fetcher may return None; its stubs do not.
        newer: Any = self._newer
        return grpc.dynamic_ssl_server_credentials(
            _configuration(*self._shown), newer, require_client_authentication=self._tls.ca is not None
        )

    def _read(self) -> tuple[Identity, bytes | None]:
        tls = self._tls
        return read_identity(tls.cert, tls.key), None if tls.ca is None else read_authorities(tls.ca)

    def _contents(self) -> tuple[bytes | None, ...]:
        """Return what is in the files, without judging it; None for one that cannot be read."""
        return tuple(_content(path) for path in (self._tls.cert, self._tls.key, self._tls.ca) if path is not None)

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files have now, or None if that is what is shown, or cannot be."""
        seen = self._contents()
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            found = self._read()
        except ConfigurationError as error:
            logger.error("The hub shows the certificate that it had: %s", error)  # noqa: TRY400  # nobody needs the trace
            return None
        if found == self._shown:
            return None
        self._shown = found
        logger.info("Took up a new certificate from %s", self._tls.cert)
        return _configuration(*found)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _configuration(identity: Identity, authorities: bytes | None) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(identity.key, identity.chain)], authorities)
