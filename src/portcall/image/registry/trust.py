"""Whom we trust at a registry, and how we prove who we are: by certificates, where Docker and podman have them."""

import os
import ssl
from pathlib import Path

from portcall.errors import ConfigurationError

SYSTEM = Path("/etc")
_PLAIN = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})


def certificate_folders(registry: str) -> list[Path]:
    """Return the folders that may have certificates for a registry: the user's own, then the system's."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return [place / engine / "certs.d" / registry for place in (own, SYSTEM) for engine in ("docker", "containers")]


def tls_of(registry: str, *, is_checked: bool) -> ssl.SSLContext:
    """Return how TLS is spoken with a registry: with the authorities of the system (or of SSL_CERT_FILE), and its own.

    As in Docker, `NAME.crt` is an authority, and `NAME.cert` with `NAME.key` is what we show.

    Raises:
        ConfigurationError: a file of its is broken.
    """
    context = ssl.create_default_context()
    if not is_checked:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for folder in certificate_folders(registry):
        for path in sorted(folder.glob("*.c*rt")):
            try:
                if path.suffix == ".crt":
                    context.load_verify_locations(path)
                elif path.suffix == ".cert":
                    context.load_cert_chain(path, path.with_suffix(".key"))
            except OSError as error:  # SSLError is one
                raise ConfigurationError(f"cannot use the certificate {path}: {error.strerror or error}") from None
    return context


def is_plain(error: BaseException) -> bool:
    """Whether the other side answered, but not by TLS."""
    return isinstance(error, ssl.SSLError) and error.reason in _PLAIN


def refusal_words(registry: str, error: ssl.SSLError) -> str:
    """Say why TLS with a registry came to nothing, and what to do; "" if that may go away by itself."""
    if isinstance(error, ssl.SSLCertVerificationError):
        place = SYSTEM / "docker" / "certs.d" / registry / "ca.crt"
        return (
            f"the certificate of the registry {registry} is not trusted: {error.verify_message}."
            f" If an authority of your own has signed it, put that one's into {place}, or name it in SSL_CERT_FILE"
        )
    if is_plain(error):
        return (
            f"the registry {registry} does not speak HTTPS. If that is as it should be:  --insecure-registry {registry}"
        )
    return ""
