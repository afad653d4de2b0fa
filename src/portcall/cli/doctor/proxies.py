"""Which HTTP proxy gRPC takes, by the variables that it reads: something that many a person does not know of."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
EXEMPTION_VARIABLES = ("no_grpc_proxy", "no_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProxy:
    """A proxy that gRPC goes by way of."""

    host: str
    port: int
    variable: str


def proxy_of(host: str, environ: Mapping[str, str]) -> HttpProxy | None:
    """Return the proxy that gRPC takes to a host, or None; as its core decides (http_proxy_mapper.cc)."""
    variable = next((name for name in PROXY_VARIABLES if environ.get(name)), None)
    if variable is None:
        return None
    value = environ[variable]
    parts = urlsplit(value if "://" in value else f"http://{value}")
    exempted = next((environ[name] for name in EXEMPTION_VARIABLES if environ.get(name)), "")
    if not parts.hostname or any(_is_exempted(host, entry.strip()) for entry in exempted.split(",")):
        return None
    return HttpProxy(host=parts.hostname, port=parts.port or 80, variable=variable)


def _is_exempted(host: str, entry: str) -> bool:
    entry = entry.removeprefix("*").lower()
    return bool(entry) and host.lower().endswith(entry)
