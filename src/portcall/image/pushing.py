"""Pushes an image: blobs first, manifests behind them, the tag last, so that no tag ever names half an image."""

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

from portcall.image.oci import Descriptor
from portcall.image.progress import Progress
from portcall.image.reference import DOCKER_HUB, Reference, parse_reference
from portcall.image.registry.connection import PULL_AND_PUSH, Connection
from portcall.image.registry.transfer import Transfer
from portcall.image.sources import Part, Source, Whole
from portcall.image.store import Store

BLOBS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push did."""

    name: str
    digest: str
    sent: tuple[Descriptor, ...]
    there: tuple[Descriptor, ...]
    """Blobs that the registry had."""


def push(
    image: Whole,
    source: Source,
    to: Reference,
    store: Store,
    progress: Progress,
    insecure: frozenset[str] = frozenset(),
) -> Pushed:
    """Push an image with all its platforms.

    Raises:
        ConfigurationError: we may not write there.
        ImageError: the registry cannot be reached; the next push goes on where this one was.
    """
    with Connection(to, PULL_AND_PUSH, insecure=insecure) as connection:
        transfer = Transfer(connection, store, progress)
        mount_from = _sibling(image, to)
        if mount_from:
            connection.also_read(mount_from)
        sent, there = _push_blobs(image.parts, connection, lambda one: transfer.push(one, source.blob, mount_from))
        for part in image.parts:
            if part.descriptor.digest != image.descriptor.digest:
                content = source.manifest(part.descriptor)
                transfer.push_manifest(part.descriptor.digest, content, part.descriptor.media_type)
        transfer.push_manifest(to.which, source.image()[1], image.descriptor.media_type)
    name = f"{to.name}@{image.descriptor.digest}"
    return Pushed(name=name, digest=image.descriptor.digest, sent=tuple(sent), there=tuple(there))


def _push_blobs(
    parts: tuple[Part, ...], connection: Connection, push_one: Callable[[Descriptor], bool]
) -> tuple[list[Descriptor], list[Descriptor]]:
    """Push what the registry lacks, several blobs at once; the first that fails ends all of it."""
    wanted = {one.digest: one for part in parts for one in (*part.layers, part.config_descriptor)}
    with ThreadPoolExecutor(BLOBS_AT_ONCE) as threads:
        begun = {threads.submit(push_one, one): one for one in wanted.values()}
        try:
            for push_ in wait(begun, return_when=FIRST_EXCEPTION).done:
                push_.result()
        except BaseException:  # Ctrl-C among them
            connection.give_up()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    sent = [one for push, one in begun.items() if push.result()]
    return sent, [one for one in wanted.values() if one not in sent]


def _sibling(image: Whole, to: Reference) -> str:
    """Return the repository of the same registry that the base is from: its layers can be mounted from there."""
    names = [part.manifest.get("annotations", {}).get("org.opencontainers.image.base.name", "") for part in image.parts]
    base = next((parse_reference(name) for name in names if name), None)
    if base is None or base.registry != to.registry or base.registry == DOCKER_HUB:
        return ""  # Docker Hub mounts of its library are refused to most; its layers are pushed like others
    return "" if base.repository == to.repository else base.repository
