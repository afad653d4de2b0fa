"""Connections to a registry and to what it sends us to: kept open, by TLS as the registry wants it, through proxies."""

import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from portcall._version import __version__
from portcall.errors import ConfigurationError
from portcall.image.errors import ImageError
from portcall.image.registry.trust import is_plain, refusal_words, tls_of

CONNECT_S: Final = 15.0
READ_S: Final = 120.0
REDIRECTS_MAX: Final = 5
_FOLLOWING: Final = urllib3.Retry(
    total=None,  # a number here counts redirects, too
    connect=0,
    read=0,
    status=0,
    other=0,
    redirect=REDIRECTS_MAX,
    raise_on_redirect=True,
)
"""Goes where we are sent, and tries nothing again; takes our credentials to no other host."""

OPEN_MAX: Final = 8
"""Connections that are kept open to a host."""


def is_loopback(host: str) -> bool:
    """Whether a registry is on this machine; `host` may have a port."""
    name = host.rsplit(":", 1)[0].strip("[]") if not host.endswith("]") else host.strip("[]")
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost"


def proxy_for(url: str) -> str:
    """Return the proxy that the environment names for a URL (HTTPS_PROXY, NO_PROXY), "" if there is none."""
    parts = urlsplit(url)
    if is_loopback(parts.netloc) or proxy_bypass(parts.hostname or ""):
        return ""
    found = getproxies()
    return found.get(parts.scheme) or found.get("all") or ""


class Pools:
    """What makes requests in the name of one registry.

    Args:
        registry: which one.
        is_checked: whether its certificate has to be good.
    """

    def __init__(self, registry: str, *, is_checked: bool) -> None:
        self._registry, self._is_checked = registry, is_checked
        if not is_checked:  # whoever has said so knows it
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._made: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the connections. Idempotent."""
        for pool in self._made.values():
            pool.clear()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        is_following: bool = False,
        is_streamed: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Make a request once.

        Raises:
            urllib3.exceptions.HTTPError, OSError: no answer came.
            ConfigurationError: TLS is not as it has to be.
            ImageError: we are sent on without an end.
        """
        try:
            return self._pool(proxy_for(url), needs_tls=not url.startswith("http:")).request(
                method,
                url,
                headers={"User-Agent": f"portcall/{__version__}", **(headers or {})},
                body=body,
                preload_content=not is_streamed,
                redirect=is_following,
                retries=_FOLLOWING if is_following else False,
            )
        except (urllib3.exceptions.MaxRetryError, urllib3.exceptions.SSLError) as error:
            cause = root_of(error)
            if isinstance(cause, urllib3.exceptions.ResponseError):
                place = url.partition("?")[0]
                raise ImageError(
                    f"{self._registry} sends us on more than {REDIRECTS_MAX} times, from {place}"
                ) from None
            words = refusal_words(self._registry, cause) if isinstance(cause, ssl.SSLError) else ""
            if words:
                raise TlsRefusedError(words, is_plain=is_plain(cause)) from None
            raise

    def _pool(self, proxy: str, *, needs_tls: bool) -> urllib3.PoolManager:
        with self._lock:
            if (proxy, needs_tls) not in self._made:
                options: dict[str, Any] = {
                    "timeout": urllib3.Timeout(connect=CONNECT_S, read=READ_S),
                    "maxsize": OPEN_MAX,
                }
                if needs_tls or proxy.startswith("https:"):
                    options["ssl_context"] = tls_of(self._registry, is_checked=self._is_checked)
                made = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
                self._made[proxy, needs_tls] = made
            return self._made[proxy, needs_tls]


class TlsRefusedError(ConfigurationError):
    """TLS with a registry is not as it has to be; trying again is no use."""

    def __init__(self, words: str, *, is_plain: bool) -> None:
        super().__init__(words)
        self.is_plain = is_plain
        """Whether the other side speaks no TLS at all."""


def answered_from(url: str, response: urllib3.BaseHTTPResponse) -> str:
    """Return which URL an answer is from, after all that we were sent on to from the first."""
    for hop in response.retries.history if response.retries is not None else ():
        url = urljoin(url, hop.redirect_location)
    return url


def root_of(error: BaseException) -> BaseException:
    """Return what broke beneath what a library made of it."""
    while True:
        if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
            error = error.reason
        elif isinstance(error, urllib3.exceptions.ProxyError):
            error = error.original_error
        elif isinstance(error, urllib3.exceptions.SSLError) and isinstance(error.args[0], BaseException):
            error = error.args[0]
        else:
            return error
