"""What a container of an image begins with: command, user, environment, health check, labels."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from portcall.image.application import APP
from portcall.image.environment import VENV
from portcall.image.layers import Layer
from portcall.image.oci import digest_of, serialised
from portcall.image.revision import Revision
from portcall.image.sources import Part
from portcall.image.targets import Target
from portcall.image.wheels import Wheel

USER = 65_532
"""Whom containers run as: nobody that any base has rights for."""

DATA = "data"
HUB_LISTEN = "0.0.0.0:7070"
HUB_STORE = f"/{DATA}/jobs.db"
HEALTH_SOCKET = "/tmp/portcall-health"  # noqa: S108  # of the container, which is ours alone
BYTECODE = "/tmp/pycache"  # noqa: S108  # of the container
"""Where a container keeps the bytecode of what it has imported: all but its first process start sooner by that."""

_SECOND_NS = 1_000_000_000
HEALTH_EVERY_S, HEALTH_WITHIN_S, HEALTH_FROM_S, HEALTH_TRIES = 10, 5, 30, 3

LABEL_BUILD = "portcall.build"
LABEL_CONTRACT = "portcall.contract"
LABEL_DIRTY = "portcall.dirty"
LABEL_KIND = "portcall.kind"
LABEL_LOCK = "portcall.lock"
LABEL_PACKAGES = "portcall.packages"
LABEL_PYTHON = "portcall.python"
REVISION = "org.opencontainers.image.revision"
BASE_DIGEST = "org.opencontainers.image.base.digest"
BASE_NAME = "org.opencontainers.image.base.name"
TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"
CREATED = "org.opencontainers.image.created"


class Kind(Enum):
    """What a container of the image is."""

    WORKER = "worker"
    HUB = "hub"
    SIDECAR = "sidecar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is known of an image besides its files."""

    kind: Kind
    app: str
    title: str
    version: str
    revision: Revision | None
    contract: str
    lock_digest: str
    base_name: str
    base_digest: str
    epoch: int

    @property
    def created(self) -> str:
        """Return the time that the image has: that of the commit, never that of the build."""
        return dt.datetime.fromtimestamp(self.epoch, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def annotations(self) -> dict[str, str]:
        """Return what the manifest and the index say, without what is not known."""
        said = {
            BASE_DIGEST: self.base_digest,
            BASE_NAME: self.base_name,
            CREATED: self.created,
            TITLE: self.title,
            VERSION: self.version,
            REVISION: self.revision.commit if self.revision else "",
        }
        return {key: text for key, text in said.items() if text}

    def labels(self, wheels: Sequence[Wheel], target: Target) -> dict[str, str]:
        """Return what the configuration says, without what is not known."""
        packages = {wheel.name: [wheel.version, wheel.sha256, wheel.licence] for wheel in wheels}
        said = {
            LABEL_CONTRACT: self.contract,
            LABEL_DIRTY: str(self.revision.is_dirty).lower() if self.revision else "",
            LABEL_KIND: self.kind.value,
            LABEL_LOCK: self.lock_digest,
            LABEL_PACKAGES: json.dumps(packages, sort_keys=True, separators=(",", ":")),
            LABEL_PYTHON: target.python,
        }
        return self.annotations() | {key: text for key, text in said.items() if text}


def command_of(kind: Kind, app: str) -> list[str]:
    """Return what `portcall` is called with in a container."""
    match kind:
        case Kind.WORKER:
            return ["worker", app]
        case Kind.HUB:
            return ["hub"]
        case Kind.SIDECAR:
            return ["attach"]


def health_test(target: Target) -> list[str]:
    """Return the command that tells whether the container is healthy. It imports nothing, so that it costs little."""
    asking = f"/{VENV}/lib/python{target.minor}/site-packages/portcall/wire/health.py"
    return [f"/{VENV}/bin/python", "-I", "-S", asking]


def environment_of(base: Part, identity: Identity, python_path: str) -> dict[str, str]:
    """Return the environment of a container, but for what names the image."""
    had = dict(entry.partition("=")[::2] for entry in base.settings.get("Env") or ())
    path = had.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ours = {
        "PATH": f"/{VENV}/bin:{path}",
        "VIRTUAL_ENV": f"/{VENV}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPYCACHEPREFIX": BYTECODE,
        "HOME": "/tmp",  # noqa: S108  # of the container
        "PORTCALL_HEALTH": HEALTH_SOCKET,
        "PORTCALL_REVISION": identity.revision.words if identity.revision else "",
    }
    if identity.kind is Kind.WORKER:
        ours["PYTHONPATH"] = python_path
    if identity.kind is Kind.HUB:
        ours |= {"PORTCALL_HUB_LISTEN": HUB_LISTEN, "PORTCALL_HUB_STORE": HUB_STORE}
    return had | {name: value for name, value in ours.items() if value}


def configuration_json(
    base: Part,
    identity: Identity,
    layers: Sequence[tuple[str, Layer]],
    *,
    target: Target,
    wheels: Sequence[Wheel],
    python_path: str,
) -> dict[str, Any]:
    """Return the configuration of an image: the base's, and what we say. Layers come with how they were made."""
    environment = environment_of(base, identity, python_path)
    settings = _settings(identity, environment, target) | {"Labels": identity.labels(wheels, target)}
    diff_ids = [*base.config["rootfs"]["diff_ids"], *(layer.diff_id for _, layer in layers)]
    build = build_id(settings, diff_ids, str(base.platform))
    settings["Env"] = sorted([*settings["Env"], f"PORTCALL_IMAGE={build}"])
    settings["Labels"][LABEL_BUILD] = build
    ours = [{"created": identity.created, "created_by": how, "comment": "portcall image build"} for how, _ in layers]
    made: dict[str, Any] = {
        "created": identity.created,
        "architecture": base.platform.architecture,
        "os": base.platform.os,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [*(base.config.get("history") or []), *ours],
    }
    if base.platform.variant:
        made["variant"] = base.platform.variant
    return made


def build_id(settings: Mapping[str, Any], diff_ids: Sequence[str], platform: str) -> str:
    """Return what a container knows its image by.

    An image cannot hold its own digest. This is a hash of everything else that is in it, so it is equal exactly where
    the digest is; `portcall image inspect` tells both.
    """
    made = digest_of(serialised({"config": settings, "layers": list(diff_ids), "platform": platform}))
    return f"build:{made.partition(':')[2]}"


def _settings(identity: Identity, environment: Mapping[str, str], target: Target) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "User": f"{USER}:{USER}",
        "Env": sorted(f"{name}={value}" for name, value in environment.items()),
        "Entrypoint": [f"/{VENV}/bin/portcall"],
        "Cmd": command_of(identity.kind, identity.app),
        "WorkingDir": f"/{DATA if identity.kind is Kind.HUB else APP}",
        "StopSignal": "SIGTERM",
        # Not in the OCI specification: Docker reads it in images of either format, podman in Docker's alone.
        "Healthcheck": {
            "Test": ["CMD", *health_test(target)],
            "Interval": HEALTH_EVERY_S * _SECOND_NS,
            "Timeout": HEALTH_WITHIN_S * _SECOND_NS,
            "StartPeriod": HEALTH_FROM_S * _SECOND_NS,
            "Retries": HEALTH_TRIES,
        },
    }
    if identity.kind is Kind.HUB:
        settings["ExposedPorts"] = {"7070/tcp": {}}
        settings["Volumes"] = {f"/{DATA}": {}}
    return settings
