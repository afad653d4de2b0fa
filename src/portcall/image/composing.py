"""A compose file for one machine: a hub, workers of some images, their volume, health and limits."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portcall.image.configuration import DATA, HEALTH_EVERY_S, HEALTH_FROM_S, HEALTH_TRIES, HEALTH_WITHIN_S, USER

STOP_AFTER_S = 35
"""How long Docker waits before it kills: the drain of a worker, and some seconds."""

HEADER = """\
# A fleet on one machine:  PORTCALL_TOKEN=$(portcall token --out token >/dev/null; cat token) docker compose up -d
#
# All of it is on the machine's own network, and the hub listens on loopback alone: nobody outside can reach it, so
# nothing has to be encrypted. For workers on other machines the hub needs TLS (docs/security.md) and another address.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeService:
    """A worker's image, and how it shall run."""

    name: str
    image: str
    digest: str
    """Of the image, if it is known."""
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposePlan:
    """What shall run."""

    hub: ComposeService
    workers: Sequence[ComposeService]
    address: str
    memory: str
    cpus: str


def compose(plan: ComposePlan) -> str:
    """Return the file."""
    services = {"hub": _hub(plan)} | {worker.name: _worker(worker, plan) for worker in plan.workers}
    return HEADER + "\n".join(_yaml({"services": services, "volumes": {"hub-data": {}}}, 0)) + "\n"


def _hub(plan: ComposePlan) -> dict[str, Any]:
    return {
        **_common(plan.hub, plan),
        "environment": {"PORTCALL_HUB_LISTEN": plan.address, "PORTCALL_TOKEN": _TOKEN},
        "volumes": [f"hub-data:/{DATA}"],
    }


_TOKEN = "${PORTCALL_TOKEN:?make one with: portcall token}"  # noqa: S105  # where compose takes it from


def _worker(service: ComposeService, plan: ComposePlan) -> dict[str, Any]:
    known = {"PORTCALL_IMAGE": f"{service.image}@{service.digest}"} if service.digest else {}
    return {
        **_common(service, plan),
        "environment": {"PORTCALL_HUB": plan.address, "PORTCALL_TOKEN": _TOKEN, **known},
        "depends_on": ["hub"],
        "deploy": {"replicas": service.replicas},
    }


def _common(service: ComposeService, plan: ComposePlan) -> dict[str, Any]:
    return {
        "image": f"{service.image}@{service.digest}" if service.digest else service.image,
        "network_mode": "host",
        "restart": "unless-stopped",
        "user": f"{USER}:{USER}",
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108  # of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": plan.memory,
        "cpus": plan.cpus,
        "pids_limit": 1_024,
        "stop_grace_period": f"{STOP_AFTER_S}s",
        # As in the image; podman and others read it here alone.
        "healthcheck": {
            "test": ["CMD", "/opt/venv/bin/python", "-m", "portcall.wire.health"],
            "interval": f"{HEALTH_EVERY_S}s",
            "timeout": f"{HEALTH_WITHIN_S}s",
            "start_period": f"{HEALTH_FROM_S}s",
            "retries": HEALTH_TRIES,
        },
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    }


def _yaml(value: Mapping[str, Any], depth: int) -> list[str]:
    """Write YAML; of its many forms the plainest, whose strings are those of JSON."""
    lines: list[str] = []
    for key, one in value.items():
        begin = f"{'  ' * depth}{key}:"
        if isinstance(one, dict) and one:
            lines += [begin, *_yaml(one, depth + 1)]
        elif isinstance(one, list) and key != "test":
            lines += [begin, *(f"{'  ' * depth}  - {json.dumps(item)}" for item in one)]
        else:
            lines.append(f"{begin} {json.dumps(one)}")
    return lines
