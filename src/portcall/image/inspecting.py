"""What is inside of an image, by what it says of itself; and what differs between two."""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portcall.image import configuration as names
from portcall.image.errors import ImageError
from portcall.image.oci import Descriptor
from portcall.image.sources import Part, Source, Whole

FACTS = {
    "python": names.LABEL_PYTHON,
    "revision": names.REVISION,
    "dirty": names.LABEL_DIRTY,
    "contract": names.LABEL_CONTRACT,
    "lock": names.LABEL_LOCK,
    "build": names.LABEL_BUILD,
    "kind": names.LABEL_KIND,
    "title": names.TITLE,
    "version": names.VERSION,
    "base": names.BASE_NAME,
    "base digest": names.BASE_DIGEST,
}
"""What is told of an image besides its packages, and the label that says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageInside:
    """A package, as the wheel that it came from."""

    name: str
    version: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What an image has for one platform."""

    image: str
    platform: str
    digest: str
    created: str
    facts: Mapping[str, str]
    """By the names of FACTS; what the image does not say is missing."""
    command: tuple[str, ...]
    user: str
    environment: tuple[str, ...]
    packages: tuple[PackageInside, ...]
    layers: tuple[Descriptor, ...]

    @property
    def is_ours(self) -> bool:
        """Whether `portcall image build` has made it; of others little is known."""
        return "kind" in self.facts

    @property
    def size(self) -> int:
        """Return how many bytes its layers are."""
        return sum(layer.size for layer in self.layers)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "image": self.image,
            "platform": self.platform,
            "digest": self.digest,
            "created": self.created,
            **{name.replace(" ", "_"): self.facts.get(name) for name in FACTS},
            "command": self.command,
            "user": self.user,
            "environment": self.environment,
            "bytes": self.size,
            "layers": [layer.as_json() for layer in self.layers],
            "packages": [
                {"name": one.name, "version": one.version, "sha256": one.sha256, "license": one.licence or None}
                for one in self.packages
            ],
        }


def inside(whole: Whole) -> list[Inside]:
    """Return what an image says of itself, for each platform."""
    return [_inside(whole, part) for part in whole.parts]


def _inside(whole: Whole, part: Part) -> Inside:
    settings = part.settings
    labels = settings.get("Labels") or {}
    return Inside(
        image=whole.name,
        platform=str(part.platform),
        digest=part.descriptor.digest,
        created=str(part.config.get("created") or ""),
        facts={name: labels[label] for name, label in FACTS.items() if label in labels},
        command=(*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ())),
        user=str(settings.get("User") or "root"),
        environment=tuple(sorted(settings.get("Env") or ())),
        packages=tuple(_packages(whole.name, labels.get(names.LABEL_PACKAGES, "{}"))),
        layers=tuple(part.layers),
    )


def _packages(image: str, text: str) -> Iterator[PackageInside]:
    try:
        for name, (version, sha256, licence) in sorted(json.loads(text).items()):
            yield PackageInside(name=name, version=version, sha256=sha256, licence=licence)
    except (ValueError, TypeError, AttributeError):
        raise ImageError(f"{image} has a label {names.LABEL_PACKAGES} that nobody can read") from None


# --- differences ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not the same; empty where it is missing."""

    kind: str
    name: str
    old: str
    new: str


def differences(old: Inside, new: Inside) -> list[Change]:
    """Return what changed, but for the files of the application."""
    changes = _changes("fact", dict(old.facts), dict(new.facts))
    changes += _changes("setting", _settings(old), _settings(new))
    changes += _changes("package", _versions(old), _versions(new))
    return [change for change in changes if change.name not in ("build", "PORTCALL_IMAGE", "PORTCALL_REVISION")]


def file_differences(old: Part, new: Part, old_source: Source, new_source: Source) -> list[Change]:
    """Return which files of the application changed; both layers are fetched unless they are one."""
    if old.layers[-1].digest == new.layers[-1].digest:
        return []
    return _changes("file", _files(old_source.blob(old.layers[-1])), _files(new_source.blob(new.layers[-1])))


def _settings(one: Inside) -> dict[str, str]:
    environment = dict(entry.partition("=")[::2] for entry in one.environment)
    return {"command": " ".join(one.command), "user": one.user, **environment}


def _versions(one: Inside) -> dict[str, str]:
    return {package.name: f"{package.version} {package.sha256[:12]}" for package in one.packages}


def _changes(kind: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    return [
        Change(kind=kind, name=name, old=old.get(name, ""), new=new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _files(layer: Path) -> dict[str, str]:
    found = {}
    try:
        with tarfile.open(layer, mode="r|*") as archive:
            for member in archive:
                reader = archive.extractfile(member) if member.isreg() else None
                if reader is not None:
                    digest = hashlib.file_digest(reader, "sha256").hexdigest()  # type: ignore[arg-type]  # it has read()
                    found[member.name] = f"{digest[:12]} {member.mode:o}"
                elif member.issym():
                    found[member.name] = f"-> {member.linkname}"
    except (tarfile.TarError, OSError) as error:
        raise ImageError(f"a layer cannot be read: {error}") from None
    return found
