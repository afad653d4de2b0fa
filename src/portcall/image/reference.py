"""Names of images: HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST, by the rules that `docker pull` has."""

import re
from dataclasses import dataclass, replace

from portcall.errors import ConfigurationError

DOCKER_HUB = "docker.io"
TAG_DEFAULT = "latest"

_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where an image is, and which one."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def name(self) -> str:
        """Return registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def which(self) -> str:
        """Return what to ask the registry for: the digest, or else the tag."""
        return self.digest or self.tag or TAG_DEFAULT

    def at(self, digest: str) -> "Reference":
        """Return the same image, fixed."""
        return replace(self, digest=digest)


def parse_reference(text: str) -> Reference:
    """Read a name; without a host it is Docker Hub's.

    Raises:
        ConfigurationError: it is none; the message says in which part.
    """
    rest, _, digest = text.partition("@")
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise ConfigurationError(f"{text!r} is no image: its digest should be sha256: and 64 hexadecimal digits")
    host, slash, path = rest.partition("/")
    if not (slash and ("." in host or ":" in host or host == "localhost")):
        host, path = DOCKER_HUB, rest
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ConfigurationError(f"{text!r} is no image: {tag!r} cannot be a tag (letters, digits and _ . - alone)")
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    if not _HOST.fullmatch(host):
        raise ConfigurationError(f"{text!r} is no image: {host!r} cannot be a registry's host")
    if not _REPOSITORY.fullmatch(path):
        raise ConfigurationError(
            f"{text!r} is no image: it should be [HOST/]NAME[:TAG] or [HOST/]NAME@sha256:..., in small letters"
        )
    is_floating = not tag and not digest
    return Reference(
        registry=host, repository=path, tag=TAG_DEFAULT if is_floating else tag or None, digest=digest or None
    )
