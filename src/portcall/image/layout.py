"""OCI image layouts: images as folders, which skopeo, umoci, podman and buildah read as well."""

import contextlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from portcall.errors import ConfigurationError
from portcall.image.errors import ImageError, writing
from portcall.image.oci import INDEX, REF_NAME, Descriptor, parse_descriptor, serialised
from portcall.image.store import Store, blob_path, hash_file, read_checked, write_whole

_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


def is_layout(folder: Path) -> bool:
    """Whether a folder is a layout."""
    return (folder / "oci-layout").is_file()


def read_index(folder: Path) -> list[Descriptor]:
    """Return the images of a layout.

    Raises:
        ConfigurationError: the folder is none.
    """
    if not is_layout(folder):
        words = f"there is no image in {folder} (it is no OCI layout)"
        raise ConfigurationError(f"{words}. 'portcall image build' makes one")
    try:
        value: Any = json.loads((folder / "index.json").read_bytes())
        return [parse_descriptor(entry) for entry in value["manifests"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder} is no OCI layout: {error}") from None


def find_image(folder: Path, name: str = "") -> Descriptor:
    """Return the image of a layout, the one with this name or digest if there are several.

    Raises:
        ConfigurationError: there is none, or it is not clear which.
    """
    images = read_index(folder)
    named = [image for image in images if name in (image.digest, image.annotations.get(REF_NAME))]
    found = named if name else images
    if len({image.digest for image in found}) != 1:
        names = ", ".join(image.annotations.get(REF_NAME, image.digest) for image in images)
        which = f"no image {name!r}" if name else "several images" if images else "no image"
        raise ConfigurationError(f"{folder} has {which}; it has: {names or 'nothing'}")
    return found[0]


def read_blob(folder: Path, digest: str) -> bytes:
    """Return a blob of a layout.

    Raises:
        ImageError: it is not there, or damaged.
    """
    return read_checked(blob_path(folder, digest), digest)


def write_layout(
    folder: Path, image: Descriptor, blobs: list[Descriptor], store: Store, names: tuple[str, ...]
) -> None:
    """Make a folder the layout of one image, whose blobs are in the store. What it held of others goes.

    Raises:
        ConfigurationError: the folder is something else.
        ImageError: the disk is full.
    """
    if folder.exists() and any(folder.iterdir()) and not is_layout(folder):
        raise ConfigurationError(f"{folder} is there, and is no OCI layout. Choose another folder with --output")
    for blob in blobs:
        _place(store.blob(blob.digest), blob_path(folder, blob.digest))
    entries = [replace(image, annotations={REF_NAME: name}) for name in names] or [image]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry.as_json() for entry in entries]}
    write_whole(folder / "index.json", serialised(index))
    write_whole(folder / "oci-layout", _VERSION)
    _sweep(folder, {blob_path(folder, blob.digest) for blob in blobs})


def _place(source: Path, place: Path) -> None:
    """Have a blob in the layout: as another name of the store's file, or as a copy where that cannot be."""
    if place.exists():
        return
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            os.link(source, place)
            return
        beside = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            shutil.copyfile(source, beside)
            beside.chmod(0o444)
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)


def _sweep(folder: Path, wanted: set[Path]) -> None:
    for path in (folder / "blobs").rglob("*"):
        if path.is_file() and path not in wanted:
            with writing(path):
                path.unlink()


def import_blob(folder: Path, blob: Descriptor, store: Store) -> Path:
    """Bring a blob of a layout into the store, checked.

    Raises:
        ImageError: it is not there, or damaged.
    """
    if store.has(blob.digest):
        return store.blob(blob.digest)
    source = blob_path(folder, blob.digest)
    if not source.is_file():
        raise ImageError(f"{folder} lacks the blob {blob.digest}")
    with store.new_file() as (file, path), source.open("rb") as reading:
        shutil.copyfileobj(reading, file)
        file.flush()
        if f"sha256:{hash_file(path)}" != blob.digest:
            raise ImageError(f"{source} is not what its name says. Make {folder} anew")
        store.adopt(path, blob.digest)
    return store.blob(blob.digest)
