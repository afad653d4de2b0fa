"""Looks at the way to a hub below gRPC: names, connections, TLS, the first bytes. Judges nothing."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from portcall.wire.access import Tls
from portcall.wire.certificates import read_authorities, system_authorities

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client says first (RFC 9113, 3.4), with empty settings."""

ANSWER_BYTES_MAX = 4_096

NO_CHECK_TIME = 0x20_0000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to connect to, and by way of which HTTP proxy."""

    host: str = ""
    port: int = 0
    unix: Path | None = None
    proxy: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortLook:
    """Which addresses take connections, and what the others say."""

    taken: Sequence[str] = ()
    errors: Mapping[str, OSError] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsLook:
    """What came of a TLS handshake, first without and then with a check of the certificate."""

    error: Exception | None = None
    """Why there was no handshake at all."""

    certificate: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """As `ssl.SSLSocket.getpeercert` has it."""

    check: ssl.SSLCertVerificationError | None = None
    """What is wrong with the certificate."""

    alpn: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What answered the first bytes of HTTP/2."""

    data: bytes = b""
    error: Exception | None = None


class ProxyRefusedError(Exception):
    """An HTTP proxy does not pass a connection on. `str()` is the first line of its answer."""


async def resolve(host: str, port: int, timeout_s: float) -> list[str]:
    """Return the addresses of a name, in the order in which they are tried.

    Raises:
        OSError: it has none.
        TimeoutError: nobody answered in time.
    """
    async with asyncio.timeout(timeout_s):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def look_at_port(addresses: Sequence[str], port: int, timeout_s: float) -> PortLook:
    """Connect to each address."""
    taken: list[str] = []
    errors: dict[str, OSError] = {}
    for address in addresses:
        try:
            async with connection(Place(host=address, port=port), timeout_s):
                taken.append(address)
        except OSError as error:
            errors[address] = error
    return PortLook(taken=taken, errors=errors)


@asynccontextmanager
async def connection(
    place: Place, timeout_s: float, context: ssl.SSLContext | None = None, name: str = ""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, with TLS towards a name if there is a context; all of it within the time.

    Raises:
        OSError: as the system or TLS says, TimeoutError among it.
        ProxyRefusedError: the proxy does not pass it on.
    """
    server_name = name if context is not None else None
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            if place.unix is not None:
                reader, writer = await asyncio.open_unix_connection(os.fspath(place.unix))
            elif place.proxy is None:
                reader, writer = await asyncio.open_connection(
                    place.host, place.port, ssl=context, server_hostname=server_name
                )
            else:
                reader, writer = await asyncio.open_connection(*place.proxy)
                await _pass_proxy(reader, writer, place)
                if context is not None:
                    await writer.start_tls(context, server_hostname=server_name)
        yield reader, writer
    finally:
        if writer is not None:
            writer.transport.abort()


async def _pass_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place) -> None:
    name = f"[{place.host}]" if ":" in place.host else place.host
    writer.write(f"CONNECT {name}:{place.port} HTTP/1.1\r\nHost: {name}:{place.port}\r\n\r\n".encode())
    await writer.drain()
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = b"no answer in HTTP"
    first = head.partition(b"\r\n")[0].decode("latin-1")
    if first.split(" ")[1:2] != ["200"]:
        raise ProxyRefusedError(first)


async def look_at_tls(place: Place, name: str, tls: Tls, timeout_s: float) -> TlsLook:
    """Shake hands, thrice: to see the certificate, to read it, and to check it as gRPC will."""
    try:
        async with connection(place, timeout_s, _context(tls), name) as (_, writer):
            seen: ssl.SSLObject = writer.get_extra_info("ssl_object")
            der, alpn, version = seen.getpeercert(binary_form=True), seen.selected_alpn_protocol(), seen.version()
        certificate = {} if der is None else await _read_certificate(place, name, tls, der, timeout_s)
    except (OSError, ProxyRefusedError) as error:
        return TlsLook(error=error)
    check = None
    try:
        async with connection(place, timeout_s, checking_context(tls), name):
            pass
    except ssl.SSLCertVerificationError as error:
        check = error
    except OSError as error:
        return TlsLook(error=error, certificate=certificate, alpn=alpn, version=version)
    return TlsLook(certificate=certificate, check=check, alpn=alpn, version=version)


async def _read_certificate(place: Place, name: str, tls: Tls, der: bytes, timeout_s: float) -> Mapping[str, Any]:
    """Return what is in a certificate. Python tells it of trusted ones only: so this one is trusted here, by itself."""
    context = _context(tls)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=der)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    with suppress(ssl.SSLError):
        async with connection(place, timeout_s, context, name) as (_, writer):
            found: Mapping[str, Any] = writer.get_extra_info("peercert") or {}
            return found
    return {}


def checking_context(tls: Tls) -> ssl.SSLContext:
    """Return a context that checks the hub's certificate as gRPC does."""
    context = _context(tls)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    authorities = system_authorities() if tls.ca is None else read_authorities(tls.ca)
    if authorities is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
    return context


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    if tls.cert is not None and tls.key is not None:
        context.load_cert_chain(tls.cert, tls.key, password="")
    return context


async def look_at_http2(
    place: Place, timeout_s: float, context: ssl.SSLContext | None = None, name: str = ""
) -> Answer:
    """Say the first bytes of HTTP/2; return what answers."""
    data = b""
    try:
        async with connection(place, timeout_s, context, name) as (reader, writer), asyncio.timeout(timeout_s):
            writer.write(H2_PREFACE)
            await writer.drain()
            while len(data) < ANSWER_BYTES_MAX and (chunk := await reader.read(ANSWER_BYTES_MAX)):
                data += chunk
                if is_http2(data):
                    break
    except (OSError, ProxyRefusedError) as error:
        return Answer(data=data, error=error)
    return Answer(data=data)


def is_http2(data: bytes) -> bool:
    """Whether an answer begins with the settings of HTTP/2."""
    return len(data) >= 9 and data[3] == 4 and data[5:9] == bytes(4)  # noqa: PLR2004  # RFC 9113, 4.1 and 6.5
