"""Builds an image: from what it is made of to an OCI layout.

Theory of operation. Everything that goes in is fixed by a hash before it is used: the base by its digest, the packages
by the lock, the application by its files. Everything that comes out is a function of that: no clock, no user, no
machine, no compressor (see `members`). So two builds of the same inputs have the same digest, and a layer whose inputs
have not changed is not made again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from portcall.errors import ConfigurationError
from portcall.image.application import APP, Application, read_application
from portcall.image.bases import find_python, look_into, target_of
from portcall.image.configuration import DATA, USER, Identity, Kind, configuration_json
from portcall.image.contracts import contract_fingerprint
from portcall.image.defaults import BASE_DEFAULT, BASES_LOCK, UV_LOCK
from portcall.image.environment import closure, environment_tree
from portcall.image.fetching import Fetching, fetch_wheels
from portcall.image.layers import FOLDER, Entry, Layer, tree_key, write_layer
from portcall.image.leaving import LeftOut
from portcall.image.locks import Lock, find_lock, read_lock
from portcall.image.oci import (
    CONFIG,
    DOCKER_FOREIGN_LAYER,
    DOCKER_LAYER,
    INDEX,
    LAYER,
    MANIFEST,
    SUPPORTED,
    Descriptor,
    Platform,
    describe,
    digest_of,
    index_json,
    manifest_json,
    serialised,
)
from portcall.image.progress import Progress
from portcall.image.project import Project, read_project, with_version
from portcall.image.revision import find_revision
from portcall.image.sources import LayoutSource, Part, RegistrySource, Source, Whole, open_source, read_whole
from portcall.image.store import Store, write_whole
from portcall.image.targets import Target
from portcall.image.uv import exported_by_uv
from portcall.image.wheels import Wheel

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What to build."""

    folder: Path
    kind: Kind = Kind.WORKER
    app: str = "app:worker"
    base: str = BASE_DEFAULT
    lock: Path | None = None
    platforms: tuple[Platform, ...] = SUPPORTED
    python: str = ""
    is_updating_base: bool = False
    insecure: frozenset[str] = frozenset()
    output: Path | None = None
    """Where the image will be; it is not part of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPart:
    """What was built for one platform."""

    platform: Platform
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]
    wheels: tuple[Wheel, ...]
    build: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image whose blobs are in the store."""

    index: Descriptor
    parts: tuple[BuiltPart, ...]
    identity: Identity
    left_out: tuple[LeftOut, ...]

    @property
    def blobs(self) -> list[Descriptor]:
        """Return all that it is made of, the index last, each behind what it names."""
        return [blob for part in self.parts for blob in (*part.layers, part.config, part.manifest)] + [self.index]


def build(request: BuildRequest, store: Store, progress: Progress) -> Built:
    """Build an image into the store.

    Raises:
        ConfigurationError: the project, its lock or the base will not do; the message says how to mend it.
        ImageError: something could not be fetched or written.
    """
    if request.output is not None and request.folder.resolve().is_relative_to(request.output.resolve()):
        raise ConfigurationError(f"--output {request.output} has the project in it; choose another folder")
    lock = load_lock(request)
    is_worker = request.kind is Kind.WORKER
    project = read_project(request.folder)
    project = with_version(project, request.folder) if is_worker else project
    application = (
        read_application(request.folder, project, without=request.output) if is_worker else _no_application(request)
    )
    source = open_base(request, store, progress)
    try:
        base = read_whole(source, request.platforms)
        identity = _identify(request, lock, application, project, base)
        maker = _Maker(request, lock, application, identity, store, progress)
        parts = [maker.make(part, source) for part in base.parts]
    finally:
        source.close()
    index = serialised(index_json([part.manifest for part in parts], identity.annotations()))
    store.keep(index)
    return Built(index=describe(index, INDEX), parts=tuple(parts), identity=identity, left_out=application.left_out)


def _no_application(request: BuildRequest) -> Application:
    """Return what a hub has in place of an application: a folder of its own. A sidecar works in an empty one."""
    if request.kind is Kind.HUB:
        return Application(tree={DATA: Entry(mode=0o700, owner=USER)}, left_out=(), python_path="")
    return Application(tree={APP: FOLDER}, left_out=(), python_path="")


# --- what goes in -----------------------------------------------------------------------------------------------------


def load_lock(request: BuildRequest) -> Lock:
    """Find and read the project's lock.

    Raises:
        ConfigurationError: there is none, or it is no good.
    """
    path = find_lock(request.folder, request.lock)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from None
    if path.name != UV_LOCK:
        return read_lock(path, text)
    exported = read_lock(request.folder / UV_LOCK, exported_by_uv(path, request.folder))
    return replace(exported, path=path, digest=digest_of(text.encode()))  # the export has paths of this machine in it


def open_base(request: BuildRequest, store: Store, progress: Progress) -> LayoutSource | RegistrySource:
    """Return the base, fixed by its digest: one that is named by a tag is looked up once, and then remembered.

    Raises:
        ConfigurationError: it is none, or what remembers it is broken.
        ImageError: the registry does not answer.
    """
    source = open_source(request.base, store, progress, request.insecure)
    if isinstance(source, LayoutSource) or source.reference.digest:
        return source
    path = request.folder / BASES_LOCK
    known = _read_bases(path)
    tag = str(source.reference)
    if tag not in known or request.is_updating_base:
        digest = source.image()[0].digest
        if known.get(tag) != digest:
            known[tag] = digest
            write_whole(path, (json.dumps({"bases": known}, indent=2, sort_keys=True) + "\n").encode())
            progress.step(f"The base {tag} is {digest}, now fixed in {path}; commit that file")
    source.close()
    return RegistrySource(str(source.reference.at(known[tag])), store, progress, request.insecure)


def _read_bases(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        return {str(name): str(digest) for name, digest in json.loads(path.read_bytes())["bases"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise ConfigurationError(f"{path} is broken. Remove it, and the base is looked up anew") from None


def _identify(request: BuildRequest, lock: Lock, application: Application, project: Project, base: Whole) -> Identity:
    revision = find_revision(request.folder)
    told = os.environ.get(EPOCH_VARIABLE, "")
    if told and not told.isdigit():
        raise ConfigurationError(f"{EPOCH_VARIABLE} is {told!r}, which is no number of seconds")
    is_worker = request.kind is Kind.WORKER
    return Identity(
        kind=request.kind,
        app=request.app,
        title=project.name if is_worker else f"portcall-{request.kind.value}",
        version=project.version if is_worker else "",
        revision=revision,
        contract=contract_fingerprint(application.tree),
        lock_digest=lock.digest,
        base_name="" if base.name.startswith("oci:") else base.name.partition("@")[0],
        base_digest=base.descriptor.digest,
        epoch=int(told) if told else revision.time if revision else 0,
    )


# --- what comes out ---------------------------------------------------------------------------------------------------


class _Maker:
    """Makes an image for one platform after the other."""

    def __init__(
        self,
        request: BuildRequest,
        lock: Lock,
        application: Application,
        identity: Identity,
        store: Store,
        progress: Progress,
    ) -> None:
        self._request, self._lock, self._application = request, lock, application
        self._identity, self._store, self._progress = identity, store, progress
        self._own: Layer | None = None

    def make(self, base: Part, source: Source) -> BuiltPart:
        """Make it for the platform of a base."""
        lower = [_in_oci_terms(layer) for layer in base.layers]
        for layer in base.layers:
            source.blob(layer)
        facts = look_into(base, source, self._store, self._progress)
        python = find_python(facts, base, source.name, self._request.python)
        target = target_of(base, facts, python, source.name)
        self._check_python(target)
        wheels = self._wheels(target)
        self._progress.step(f"{target.platform}: Python {target.python}, {len(wheels)} packages")
        key = tree_key(
            "environment", python.path, target.python, (f"{wheel.path.name} {wheel.sha256}" for wheel in wheels)
        )
        dependencies = self._kept(key) or self._write(environment_tree(wheels, target, python), key)
        self._own = self._own or self._write(self._application.tree)
        return self._finish(base, lower, (dependencies, self._own), target, wheels)

    def _check_python(self, target: Target) -> None:
        wanted = read_project(self._request.folder).requires_python
        try:
            fits = not wanted or SpecifierSet(wanted).contains(target.python)
        except InvalidSpecifier:
            raise ConfigurationError(f"requires-python in pyproject.toml is {wanted!r}, which is no version") from None
        if not fits and self._request.kind is Kind.WORKER:
            raise ConfigurationError(
                f"the base has Python {target.python}, and the project wants {wanted}. Take another base with --base"
            )

    def _wheels(self, target: Target) -> list[Wheel]:
        pins = self._lock.select(target)
        fetching = Fetching(lock=self._lock, target=target, store=self._store, progress=self._progress)
        if not any(pin.name == "portcall" for pin in pins):
            raise ConfigurationError(
                f"{self._lock.path} has no portcall, which is what a container runs. Add it to the project's"
                " dependencies and lock again"
            )
        wheels = fetch_wheels(pins, fetching)
        return wheels if self._request.kind is Kind.WORKER else closure(wheels, ["portcall"], target)

    def _kept(self, key: str) -> Layer | None:
        noted = self._store.noted(key)
        layer = Layer(**noted) if noted else None
        return layer if layer is not None and self._store.has(layer.digest) else None

    def _write(self, tree: Mapping[str, Entry], key: str = "") -> Layer:
        with self._store.new_file() as (file, path):
            layer = write_layer(tree, file)
            file.flush()
            self._store.adopt(path, layer.digest)
        if key:
            noted: dict[str, Any] = {name: getattr(layer, name) for name in Layer.__slots__}
            self._store.note(key, noted)
        return layer

    def _finish(
        self,
        base: Part,
        lower: Sequence[Descriptor],
        made: tuple[Layer, Layer],
        target: Target,
        wheels: Sequence[Wheel],
    ) -> BuiltPart:
        steps = list(zip((f"packages of {self._lock.path.name}", f"/{APP}"), made, strict=True))
        config = configuration_json(
            base,
            self._identity,
            steps,
            target=target,
            wheels=wheels,
            python_path=self._application.python_path,
        )
        upper = [Descriptor(media_type=LAYER, digest=layer.digest, size=layer.size) for layer in made]
        layers = [*lower, *upper]
        content = serialised(config)
        described = describe(content, CONFIG)
        manifest = serialised(manifest_json(described, layers, self._identity.annotations()))
        for blob in (content, manifest):
            self._store.keep(blob)
        return BuiltPart(
            platform=base.platform,
            manifest=describe(manifest, MANIFEST, base.platform),
            config=described,
            layers=tuple(layers),
            wheels=tuple(wheels),
            build=config["config"]["Labels"]["portcall.build"],
        )


def _in_oci_terms(layer: Descriptor) -> Descriptor:
    """Return a base's layer as our manifest names it: the bytes are the same, Docker has another word for them."""
    if layer.media_type == DOCKER_FOREIGN_LAYER:
        raise ConfigurationError("the base has a layer that may not be passed on. Take another base")
    media_type = LAYER if layer.media_type == DOCKER_LAYER else layer.media_type
    return Descriptor(media_type=media_type, digest=layer.digest, size=layer.size)
