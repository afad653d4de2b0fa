"""Where a registry sends us, and whom our credentials are for."""

from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from urllib3.util import parse_url

from portcall.image.errors import ImageError

_PORTS: Final = {"http": 80, "https": 443}


def is_same_origin(url: str, base: str) -> bool:
    """Whether two URLs are of the same server and equally encrypted: what the one may know, the other may."""
    try:
        found = _origin(url)
    except ValueError:
        return False
    return found == _origin(base)


def location_from(asked: str, said: str, *, base: str, may_be_plain: bool) -> str:
    """Return the URL that an answer points to.

    A registry that does not know of the TLS in front of it says http of itself; that means https.

    Args:
        asked: the URL that was answered.
        said: the answer's Location.
        base: how the registry's own URLs begin.
        may_be_plain: whether what the registry is sent may go unencrypted.

    Raises:
        ImageError: nothing is sent there.
    """
    registry = urlsplit(base)
    try:
        parts = urlsplit(urljoin(asked, said))
        scheme, host, _ = _origin(parts.geturl())
    except ValueError:
        scheme = host = ""
    if scheme not in _PORTS or not host:
        raise ImageError(f"{registry.netloc} sends us to {said[:200]!r}, which is no URL of HTTP")
    if (scheme, registry.scheme) == ("http", "https") and parts.netloc.lower() == registry.netloc.lower():
        return urlunsplit(parts._replace(scheme="https"))
    if scheme == "http" and not may_be_plain:
        raise ImageError(
            f"{registry.netloc} sends us to http://{parts.netloc}, unencrypted. Have it say https;"
            f" if that is as it should be:  --insecure-registry {registry.netloc}"
        )
    return parts.geturl()


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port; raises ValueError if it is no URL."""
    parts = parse_url(url)  # by whom the connection is made: two readers of "a\@b" may not mean the same host
    scheme = parts.scheme or ""
    return scheme, parts.host or "", parts.port or _PORTS.get(scheme, 0)
