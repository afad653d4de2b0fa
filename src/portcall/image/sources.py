"""Where an image is read from: a repository of a registry, or an OCI layout on the disk. Both answer the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from portcall.errors import ConfigurationError
from portcall.image.errors import ImageError
from portcall.image.layout import find_image, import_blob, is_layout, read_blob
from portcall.image.oci import INDEXES, MANIFESTS, Descriptor, Platform, parse_descriptor
from portcall.image.progress import Progress
from portcall.image.reference import parse_reference
from portcall.image.registry.connection import PULL, Connection
from portcall.image.registry.transfer import Transfer
from portcall.image.store import Store, read_checked

MANIFEST_BYTES_MAX = 4 << 20
LAYOUT_PREFIX = "oci:"


class Source(Protocol):
    """One image, somewhere."""

    name: str

    def image(self) -> tuple[Descriptor, bytes]:
        """Return its index or manifest."""

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest that its index names."""

    def blob(self, descriptor: Descriptor) -> Path:
        """Return a blob, brought into the store if it was not there."""

    def close(self) -> None:
        """End what was opened."""


@dataclass(slots=True)
class LayoutSource:
    """An image of a layout."""

    folder: Path
    which: str
    store: Store
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{LAYOUT_PREFIX}{self.folder}"

    def image(self) -> tuple[Descriptor, bytes]:
        """Return its index or manifest."""
        found = find_image(self.folder, self.which)
        return found, read_blob(self.folder, found.digest)

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest that its index names."""
        return read_blob(self.folder, descriptor.digest)

    def blob(self, descriptor: Descriptor) -> Path:
        """Return a blob."""
        return import_blob(self.folder, descriptor, self.store)

    def close(self) -> None:
        """Nothing was opened."""


class RegistrySource:
    """An image of a registry."""

    def __init__(self, text: str, store: Store, progress: Progress, insecure: frozenset[str]) -> None:
        self.reference = parse_reference(text)
        self.name = str(self.reference)
        self._store = store
        self._connection = Connection(self.reference, PULL, insecure=insecure)
        self._transfer = Transfer(self._connection, store, progress)

    def image(self) -> tuple[Descriptor, bytes]:
        """Return its index or manifest; one that is fixed by its digest is asked for once and kept."""
        digest = self.reference.digest
        if digest and self._store.has(digest):
            content = read_checked(self._store.blob(digest), digest)
            media_type = str(json.loads(content).get("mediaType", ""))
            return Descriptor(media_type=media_type, digest=digest, size=len(content)), content
        found, content = self._transfer.manifest(self.reference.which)
        if json.loads(content).get("mediaType") == found.media_type:
            self._store.keep(content)
        return found, content

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest that its index names."""
        if self._store.has(descriptor.digest):
            return read_checked(self._store.blob(descriptor.digest), descriptor.digest)
        content = self._transfer.manifest(descriptor.digest)[1]
        self._store.keep(content)
        return content

    def blob(self, descriptor: Descriptor) -> Path:
        """Return a blob."""
        return self._transfer.fetch(descriptor)

    def close(self) -> None:
        """End the connections."""
        self._connection.close()


def open_source(
    text: str, store: Store, progress: Progress, insecure: frozenset[str] = frozenset()
) -> LayoutSource | RegistrySource:
    """Return the image that a name, oci:FOLDER[:NAME] or the path of a layout means.

    Raises:
        ConfigurationError: it means none.
    """
    if text.startswith(LAYOUT_PREFIX):
        path, _, which = text.removeprefix(LAYOUT_PREFIX).partition(":")
        return LayoutSource(Path(path), which, store)
    if is_layout(Path(text)):
        return LayoutSource(Path(text), "", store)
    return RegistrySource(text, store, progress, insecure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What an image has for one platform."""

    descriptor: Descriptor
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def platform(self) -> Platform:
        """Return what it runs on."""
        variant = str(self.config.get("variant") or "")
        architecture = str(self.config.get("architecture", "unknown"))
        is_plain_arm = (architecture, variant) == ("arm64", "v8")
        return Platform(
            os=str(self.config.get("os", "linux")),
            architecture=architecture,
            variant="" if is_plain_arm else variant,
        )

    @property
    def layers(self) -> list[Descriptor]:
        """Return its layers, the lowest first."""
        return [parse_descriptor(layer) for layer in self.manifest["layers"]]

    @property
    def config_descriptor(self) -> Descriptor:
        """Return the descriptor of its configuration."""
        return parse_descriptor(self.manifest["config"])

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return what containers begin with: environment, user, command, labels."""
        return self.config.get("config") or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An image with all its platforms."""

    name: str
    descriptor: Descriptor
    parts: tuple[Part, ...]


def read_whole(source: Source, wanted: tuple[Platform, ...] | None = None) -> Whole:
    """Read what an image says of itself; not its layers.

    Raises:
        ConfigurationError: it lacks a platform that is wanted; the message says which it has.
        ImageError: it is broken.
    """
    descriptor, content = source.image()
    try:
        value = json.loads(content)
        if descriptor.media_type in MANIFESTS:
            manifests = [descriptor]
        elif descriptor.media_type in INDEXES:
            manifests = [parse_descriptor(entry) for entry in value["manifests"]]
        else:
            raise ImageError(f"{source.name} is no image: {descriptor.media_type or 'it has no media type'}")
        runnable = [one for one in manifests if one.platform is None or one.platform.os != "unknown"]  # attestations
        chosen = [one for one in runnable if wanted is None or one.platform is None or one.platform in wanted]
        parts = [_part(source, one) for one in chosen]
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{source.name} is broken: {error}") from None
    if wanted is not None:
        parts = _in_order(source, wanted, parts, runnable)
    return Whole(name=source.name, descriptor=descriptor, parts=tuple(parts))


def _part(source: Source, descriptor: Descriptor) -> Part:
    manifest = json.loads(source.manifest(descriptor))
    config = parse_descriptor(manifest["config"])
    if config.size > MANIFEST_BYTES_MAX:
        raise ImageError(f"{source.name} has a configuration of {config.size} bytes, which no image needs")
    return Part(
        descriptor=descriptor,
        manifest=manifest,
        config=json.loads(read_checked(source.blob(config), config.digest)),
    )


def _in_order(source: Source, wanted: tuple[Platform, ...], parts: list[Part], had: list[Descriptor]) -> list[Part]:
    by_platform = {part.platform: part for part in reversed(parts)}
    for platform in wanted:
        if platform not in by_platform:
            names = {str(one.platform) for one in had if one.platform} | {str(part.platform) for part in parts}
            raise ConfigurationError(
                f"{source.name} has no {platform}; it has {', '.join(sorted(names))}."
                " Take another base, or say with --platform which are wanted"
            )
    return [by_platform[platform] for platform in wanted]
