"""Puts an image into a local Docker or podman, by what both read: the archive of `docker save`."""

import io
import json
import tarfile
from dataclasses import dataclass
from typing import IO

from portcall.errors import ConfigurationError
from portcall.image.errors import ImageError
from portcall.image.oci import Platform
from portcall.image.running import Command, feed, is_installed, run
from portcall.image.sources import Part, Source, Whole
from portcall.image.targets import MACHINES

ENGINES = ("docker", "podman")
LOAD_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What an engine has now."""

    engine: str
    name: str
    platform: Platform


def find_engine(named: str = "") -> str:
    """Return the engine to use: the one that is named, or the first one that is installed.

    Raises:
        ConfigurationError: there is none.
    """
    found = [engine for engine in ((named,) if named else ENGINES) if is_installed(engine)]
    if not found:
        wanted = named or " nor ".join(ENGINES)
        raise ConfigurationError(f"{wanted} is not installed here" if named else f"neither {wanted} is installed here")
    return found[0]


def load(image: Whole, source: Source, name: str, engine: str) -> Loaded:
    """Give the part for the engine's own platform to the engine, under a name.

    Raises:
        ConfigurationError: the image has nothing for it.
        ImageError: the engine does not run, or refuses.
    """
    part = _part_for(image, engine)
    ended = feed(
        Command(arguments=[engine, "load"], timeout_s=LOAD_S), lambda out: write_archive(out, part, source, name)
    )
    if ended.code:
        raise ImageError(f"{engine} cannot load the image: {ended.words}")
    return Loaded(engine=engine, name=name, platform=part.platform)


def _part_for(image: Whole, engine: str) -> Part:
    template = "{{.Architecture}}" if engine == "docker" else "{{.Host.Arch}}"
    ended = run(Command(arguments=[engine, "info", "--format", template]))
    if ended.code:
        raise ImageError(f"{engine} does not answer: {ended.words}")
    said = ended.stdout.strip()
    architecture = next((ours for ours, theirs in MACHINES.items() if said in (ours, theirs)), said)
    for part in image.parts:
        if part.platform.architecture == architecture:
            return part
    has = ", ".join(str(part.platform) for part in image.parts)
    raise ConfigurationError(f"{engine} here runs linux/{architecture}, and {image.name} has {has}. Build for it, too")


def write_archive(out: IO[bytes], part: Part, source: Source, name: str) -> None:
    """Write what `docker load` and `podman load` read. Docker's own format: Engines before 25 read no other."""
    config, layers = part.config_descriptor, part.layers
    paths = {blob.digest: f"blobs/sha256/{blob.digest.partition(':')[2]}" for blob in (config, *layers)}
    manifest = {
        "Config": paths[config.digest],
        "RepoTags": [name],
        "Layers": [paths[layer.digest] for layer in layers],
    }
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for blob in (config, *{layer.digest: layer for layer in layers}.values()):
            archive.add(source.blob(blob), arcname=paths[blob.digest], filter=_plain)
        _add(archive, "manifest.json", json.dumps([manifest]).encode())


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
