"""How a program reaches its hub: the address, TLS and the token, from arguments or else the environment.

Names of files are kept, and the files read at every dial: a certificate or token that was rotated is taken up by the
next connection.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from portcall.errors import ConfigurationError
from portcall.wire.certificates import read_authorities, read_identity
from portcall.wire.target import hub_target
from portcall.wire.tokens import check_token, read_token_file

TOKEN_VARIABLE: Final = "PORTCALL_TOKEN"  # noqa: S105  # the variable's name
TOKEN_FILE_VARIABLE: Final = "PORTCALL_TOKEN_FILE"  # noqa: S105  # the variable's name
TLS_VARIABLE: Final = "PORTCALL_TLS"
TLS_CA_VARIABLE: Final = "PORTCALL_TLS_CA"
TLS_CERT_VARIABLE: Final = "PORTCALL_TLS_CERT"
TLS_KEY_VARIABLE: Final = "PORTCALL_TLS_KEY"
INSECURE_VARIABLE: Final = "PORTCALL_INSECURE"

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off", ""})

_NATIVE_SCHEMES = ("dns:", "ipv4:", "ipv6:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS towards a hub, or a sidecar's upstream. All files are PEM, and are read again for every connection.

    Raises:
        ConfigurationError: one of `cert` and `key` without the other.
    """

    ca: str | os.PathLike[str] | None = None
    """Certificates of the authorities that may vouch for the hub; if None, those that the system trusts."""

    cert: str | os.PathLike[str] | None = None
    """This program's own certificate, with its chain, for a hub that asks for one."""

    key: str | os.PathLike[str] | None = None
    """The key of `cert`."""

    def __post_init__(self) -> None:
        if (self.cert is None) is not (self.key is None):
            have, lack = ("cert", "key") if self.key is None else ("key", "cert")
            raise ConfigurationError(f"TLS has a {have} without its {lack}; give both (--tls-cert and --tls-key)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a program reaches its hub; made by `resolve_access`."""

    target: str
    tls: Tls | None = None
    token: str | Path | None = field(default=None, repr=False)
    """The token itself, or the file that has it."""

    @property
    def is_encrypted(self) -> bool:
        """Whether connections use TLS. Over a unix socket they never do: the kernel keeps others out."""
        return self.tls is not None and not self.target.startswith("unix:")

    def read_token(self) -> str | None:
        """Return the token, as its file has it now.

        Raises:
            ConfigurationError: the file cannot be read, or holds no token.
        """
        if isinstance(self.token, Path):
            return read_token_file(self.token)
        return self.token

    def check(self) -> None:
        """Read every file once, so that a mistake is told before anything is dialled.

        Raises:
            ConfigurationError: a file cannot be read, or is not what it should be.
        """
        self.read_token()
        if self.tls is not None and self.is_encrypted:
            check_files(self.tls)


def check_files(tls: Tls) -> None:
    """Read the files that TLS settings name.

    Raises:
        ConfigurationError: one cannot be read, or is not what it should be.
    """
    if tls.ca is not None:
        read_authorities(tls.ca)
    if tls.cert is not None and tls.key is not None:
        read_identity(tls.cert, tls.key)


def resolve_access(
    hub: str | None = None,
    *,
    token: str | os.PathLike[str] | None = None,
    tls: Tls | bool | None = None,
    is_insecure: bool | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Access:
    """Return how to reach a hub. What is None is taken from the environment.

    Args:
        hub: HOST:PORT or unix:PATH; else PORTCALL_HUB, and then 127.0.0.1:7070.
        token: the token, or the path of a file that has it; else PORTCALL_TOKEN_FILE, and then PORTCALL_TOKEN.
        tls: True for TLS with the authorities that the system trusts, False for none; else PORTCALL_TLS,
            PORTCALL_TLS_CA, PORTCALL_TLS_CERT and PORTCALL_TLS_KEY.
        is_insecure: send the token even where it can be read on the way; else PORTCALL_INSECURE.
        environ: the environment.

    Raises:
        ConfigurationError: something of it cannot be, a file cannot be read, or the token would travel in clear beyond
            this machine.
    """
    target = hub_target(hub, environ)
    if tls is None:
        tls = _tls_of(environ)
    found = _token_of(token, environ)
    access = Access(target=target, tls=Tls() if tls is True else tls or None, token=found)
    may_be_clear = flag_of(INSECURE_VARIABLE, environ) if is_insecure is None else is_insecure
    if found is not None and not may_be_clear and not access.is_encrypted and not is_this_machine(target):
        raise ConfigurationError(
            f"will not send the token to {target} in clear. Add --tls-ca FILE, or --tls if the system trusts the hub's"
            " certificate (in a program: tls=), or --insecure (insecure=True) if something else guards the network"
        )
    access.check()
    return access


def flag_of(variable: str, environ: Mapping[str, str]) -> bool:
    """Return whether a variable that is yes or no says yes.

    Raises:
        ConfigurationError: it says something else.
    """
    value = environ.get(variable, "").strip().lower()
    if value not in _TRUE | _FALSE:
        raise ConfigurationError(f"{variable} is {value!r}; it should be 1 or 0")
    return value in _TRUE


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_this_machine(target: str) -> bool:
    """Whether what is sent to a target stays on this machine."""
    return target.startswith("unix:") or is_loopback(host_and_port(target)[0])


def host_and_port(target: str) -> tuple[str, int]:
    """Return the host, without brackets, and the port of a target that is no unix socket; gRPC's default is 443."""
    for scheme in _NATIVE_SCHEMES:
        # dns://AUTHORITY/HOST:PORT; the other schemes have nothing before the host.
        target = target.removeprefix(scheme) if not target.startswith(f"{scheme}//") else target.rpartition("/")[2]
    host, colon, port = target.rpartition(":")
    if not colon or not port.isdecimal():
        return target.strip("[]"), 443
    return host.strip("[]"), int(port)


def unix_path(target: str) -> Path:
    """Return the path of a unix socket's target: unix:PATH or unix:///PATH."""
    path = target.removeprefix("unix:")
    return Path(path.removeprefix("//") if path.startswith("//") else path)


def _token_of(token: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> str | Path | None:
    if isinstance(token, str):
        return check_token(token, "the token that the program gave")
    if token is not None:
        return Path(token)
    if path := environ.get(TOKEN_FILE_VARIABLE):
        return Path(path)
    if secret := environ.get(TOKEN_VARIABLE):
        return check_token(secret, TOKEN_VARIABLE)
    return None


def _tls_of(environ: Mapping[str, str]) -> Tls | None:
    ca, cert, key = (
        environ.get(variable) or None for variable in (TLS_CA_VARIABLE, TLS_CERT_VARIABLE, TLS_KEY_VARIABLE)
    )
    if ca or cert or key or flag_of(TLS_VARIABLE, environ):
        return Tls(ca=ca, cert=cert, key=key)
    return None
