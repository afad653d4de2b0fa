"""What each look below gRPC means. Pure: looks in, findings out."""

import errno
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from portcall.cli.doctor.findings import Finding, Step, failed, noted, passed
from portcall.cli.doctor.looks import Answer, PortLook, ProxyRefusedError, is_http2
from portcall.cli.doctor.proxies import HttpProxy
from portcall.wire.access import Access, is_loopback

USE_TLS: Final = "Use TLS: --tls-ca FILE with the hub's authority, or --tls if the system trusts it"
BREAKS_HTTP2: Final = (
    "gRPC needs HTTP/2 all the way. Set the proxy or load balancer to pass TCP through, or to speak HTTP/2 (gRPC) to"
    " the hub; or dial the hub itself"
)


def judge_settings(access: Access, *, is_hub_named: bool, exposed: Sequence[str]) -> Finding:
    """Say what the way to the hub is made of; `exposed` are files with secrets that every user can read."""
    hub = access.target if is_hub_named else f"{access.target} (nobody has named a hub)"
    facts = {"hub": access.target, "tls": access.is_encrypted, "token": _token_source(access)}
    words = f"hub {hub}, {_tls_in_words(access)}, {facts['token'] or 'no token'}"
    if exposed:
        remedy = f"Every user of this machine can read {', '.join(exposed)}: chmod o-r {' '.join(exposed)}"
        return noted(Step.SETTINGS, words, remedy, **facts)
    if not is_hub_named:
        return noted(Step.SETTINGS, words, "Name the hub with --hub or PORTCALL_HUB, if it is elsewhere", **facts)
    return passed(Step.SETTINGS, words, **facts)


def _tls_in_words(access: Access) -> str:
    if access.tls is None:
        return "no TLS"
    if not access.is_encrypted:
        return "no TLS, which a unix socket does not need"
    trusted = "the system's authorities" if access.tls.ca is None else str(access.tls.ca)
    shown = "" if access.tls.cert is None else f" and shows {access.tls.cert}"
    return f"TLS that trusts {trusted}{shown}"


def _token_source(access: Access) -> str:
    if access.token is None:
        return ""
    return f"token of {access.token}" if isinstance(access.token, Path) else "token of PORTCALL_TOKEN"


def judge_name(host: str, found: Sequence[str] | OSError) -> Finding:
    """Judge what a name resolves to."""
    if not isinstance(found, OSError):
        words = host if list(found) == [host] else f"{host} is {', '.join(found)}"
        return passed(Step.NAME, words, addresses=list(found))
    if isinstance(found, TimeoutError):
        return failed(
            Step.NAME, f"nobody says in time what {host} is", "Look at this machine's DNS settings", is_mistake=False
        )
    is_passing = isinstance(found, socket.gaierror) and found.errno == socket.EAI_AGAIN
    return failed(
        Step.NAME,
        f"there is no machine named {host} ({found.strerror})",
        "Correct the name, or add it to DNS; containers know each other's names only on a network that both share",
        is_mistake=not is_passing,
    )


def judge_socket(path: str, error: OSError | None) -> Finding:
    """Judge the attempt to open a unix socket."""
    if error is None:
        return passed(Step.SOCKET, f"{path} takes connections")
    if isinstance(error, FileNotFoundError):
        return failed(
            Step.SOCKET,
            f"there is no {path}",
            f"Start the hub with --listen unix:{path}; a container sees the socket only if its folder is mounted",
            is_mistake=False,
        )
    if isinstance(error, PermissionError):
        return failed(
            Step.SOCKET,
            f"this user may not open {path}",
            "Run this as the user that the hub runs as, or change the mode of the socket",
            is_mistake=True,
        )
    if isinstance(error, ConnectionRefusedError):
        return failed(Step.SOCKET, f"nobody listens at {path}", "Start the hub again", is_mistake=False)
    return failed(Step.SOCKET, f"{path}: {in_words(error)}", "Correct the path", is_mistake=False)


def judge_proxy(proxy: HttpProxy, host: str, error: Exception | None) -> Finding:
    """Judge the way by an HTTP proxy that the environment names."""
    words = f"gRPC goes by way of {proxy.host}:{proxy.port}, as {proxy.variable} says"
    remedy = f"If the hub is to be reached directly: no_proxy={host}"
    if error is None:
        return noted(Step.PROXY, words, remedy, proxy=f"{proxy.host}:{proxy.port}", variable=proxy.variable)
    why = f"answers '{error}'" if isinstance(error, ProxyRefusedError) else f"cannot be reached: {in_words(error)}"
    return failed(Step.PROXY, f"{words}, which {why}", remedy, is_mistake=isinstance(error, ProxyRefusedError))


def judge_port(look: PortLook, port: int) -> Finding:
    """Judge the attempts to connect to each address."""
    if look.taken:
        others = "; ".join(f"{address}: {in_words(error)}" for address, error in look.errors.items())
        words = f"{', '.join(look.taken)} takes connections at port {port}"
        return passed(Step.PORT, f"{words} ({others})" if others else words, taken=list(look.taken))
    words = "; ".join(f"{address} port {port}: {in_words(error)}" for address, error in look.errors.items())
    return failed(Step.PORT, words, _mend_port(look, port), is_mistake=False)


def _mend_port(look: PortLook, port: int) -> str:
    if any(isinstance(error, ConnectionRefusedError) for error in look.errors.values()):
        if all(is_loopback(address) for address in look.errors):
            return (
                "Start the hub on this machine ('portcall hub'), or name another with --hub; in a container,"
                " this address is the container itself, not its host"
            )
        return (
            "The machine is there, and nobody listens. Start the hub, or correct the port; a hub that listens on"
            f" 127.0.0.1 is not reached from other machines: --listen 0.0.0.0:{port}"
        )
    if any(isinstance(error, TimeoutError) for error in look.errors.values()):
        return "Something on the way drops what is sent there: a firewall or a security group. Open the port in it"
    return "Look at the network between here and there: routes, VPN, firewall"


def judge_http2(answer: Answer, access: Access, *, is_tls_there: bool) -> Finding:
    """Judge what answered the first bytes of HTTP/2."""
    if is_http2(answer.data):
        return passed(Step.HTTP2, "it answers in HTTP/2")
    if not access.is_encrypted and (is_tls_there or answer.data[:2] == b"\x15\x03"):
        return failed(Step.HTTP2, "what answers there speaks TLS, and was spoken to without", USE_TLS, is_mistake=True)
    first = answer.data.partition(b"\n")[0].strip().decode("latin-1")
    if answer.data.startswith(b"HTTP/"):
        server = _header(answer.data, "server")
        words = f"what answers there speaks HTTP/1 ('{first}'{f', server {server}' if server else ''})"
        return failed(Step.HTTP2, words, BREAKS_HTTP2, is_mistake=True)
    if answer.data:
        return failed(
            Step.HTTP2,
            f"what answers there is no hub; it says {first[:60]!r}",
            "Correct the port with --hub",
            is_mistake=True,
        )
    return _judge_silence(answer.error, access)


def _judge_silence(error: Exception | None, access: Access) -> Finding:
    if isinstance(error, TimeoutError):
        return failed(
            Step.HTTP2,
            "it takes the connection, and says nothing",
            "The hub may be stopped or overloaded, or something between here and there may hold the connection up",
            is_mistake=False,
        )
    has_own = access.tls is not None and access.tls.cert is not None
    if access.is_encrypted and (isinstance(error, ssl.SSLError) or error is None or isinstance(error, ConnectionError)):
        words = "the hub ends the connection after the handshake" + (f" ({in_words(error)})" if error else "")
        if has_own:
            return failed(
                Step.HTTP2,
                f"{words}: it may not trust this program's certificate",
                "Show one that an authority in the hub's --tls-ca has signed",
                is_mistake=True,
            )
        return failed(
            Step.HTTP2,
            f"{words}: it seems to ask for a certificate of this program's",
            "Show one with --tls-cert and --tls-key, that an authority in the hub's --tls-ca has signed",
            is_mistake=True,
        )
    words = "it closes the connection without a word" if error is None else in_words(error)
    return failed(Step.HTTP2, words, "Look at what is between here and the hub, and at the hub's log", is_mistake=False)


def _header(data: bytes, name: str) -> str:
    for line in data.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return ""


def in_words(error: Exception | None) -> str:
    """Return an error in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return "no route to it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
