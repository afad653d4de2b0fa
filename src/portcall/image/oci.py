"""The values that an OCI image is made of: descriptors, platforms, manifests and indexes, and their exact bytes.

Follows the OCI image specification 1.1.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from portcall.errors import ConfigurationError

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"

DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

INDEXES: Final = frozenset({INDEX, DOCKER_LIST})
MANIFESTS: Final = frozenset({MANIFEST, DOCKER_MANIFEST})

REF_NAME: Final = "org.opencontainers.image.ref.name"
"""Annotation of a layout's index: which name an image has."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Platform:
    """What an image runs on."""

    os: str = "linux"
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


AMD64: Final = Platform(architecture="amd64")
ARM64: Final = Platform(architecture="arm64")
SUPPORTED: Final = (AMD64, ARM64)


def parse_platform(text: str) -> Platform:
    """Read a platform that images can be built for.

    Raises:
        ConfigurationError: it is another.
    """
    named = {str(platform): platform for platform in SUPPORTED} | {"linux/arm64/v8": ARM64}
    if text not in named:
        raise ConfigurationError(f"cannot build for {text!r}; choose of {', '.join(map(str, SUPPORTED))}")
    return named[text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A blob: what it is, its digest and its size."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def as_json(self) -> dict[str, Any]:
        """Return it as manifests and indexes hold it."""
        made: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform is not None:
            made["platform"] = {"architecture": self.platform.architecture, "os": self.platform.os}
            if self.platform.variant:
                made["platform"]["variant"] = self.platform.variant
        if self.annotations:
            made["annotations"] = dict(self.annotations)
        return made


def parse_descriptor(value: Json) -> Descriptor:
    """Read a descriptor of a manifest, an index or a layout.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        platform = value.get("platform") or {}
        return Descriptor(
            media_type=str(value["mediaType"]),
            digest=checked_digest(value["digest"]),
            size=int(value["size"]),
            platform=_platform(platform) if platform else None,
            annotations={str(key): str(text) for key, text in (value.get("annotations") or {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigurationError(f"this is no descriptor of an image: {str(value)[:200]}") from None


def _platform(value: Json) -> Platform:
    architecture, variant = str(value["architecture"]), str(value.get("variant") or "")
    is_plain_arm = (architecture, variant) == ("arm64", "v8")  # the only one there is; many leave it out
    return Platform(os=str(value["os"]), architecture=architecture, variant="" if is_plain_arm else variant)


def checked_digest(value: object) -> str:
    """Return a digest that can be one, and be part of a path.

    Raises:
        ValueError: it is none, or not of SHA-256.
    """
    text = str(value)
    algorithm, _, digits = text.partition(":")
    if (
        algorithm != "sha256"
        or len(digits) != hashlib.sha256().digest_size * 2
        or set(digits) - set("0123456789abcdef")
    ):
        raise ValueError(f"{text[:100]!r} is no digest")
    return text


def digest_of(content: bytes) -> str:
    """Return the digest of a blob."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def serialised(value: Json) -> bytes:
    """Return the one form that a value has as bytes, on every machine."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def describe(content: bytes, media_type: str, platform: Platform | None = None) -> Descriptor:
    """Return the descriptor of a blob."""
    return Descriptor(media_type=media_type, digest=digest_of(content), size=len(content), platform=platform)


def manifest_json(config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return a manifest."""
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.as_json(),
        "layers": [layer.as_json() for layer in layers],
        "annotations": dict(annotations),
    }


def index_json(manifests: Sequence[Descriptor], annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return an index."""
    return {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [manifest.as_json() for manifest in manifests],
        "annotations": dict(annotations),
    }
