"""What is not Docker itself: the fleet by docker-compose, and under podman."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_stand import need

from .engine import Engine, docker, free_address, health
from .ledger_calls import until, when_workers

TOKEN = "abcdefghijklmnopqrstuvwxyz0123456789"
SAY_HELLO = ("greet.Greeter/SayHello", '{"name": "Ada"}')


def compose(file: Path, project: str, *arguments: str, **variables: str) -> None:
    command = ["docker-compose", "-f", str(file), "-p", project, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


async def test_a_compose_file_starts_a_fleet(engine: Engine, project: Path, tmp_path: Path) -> None:
    need("starts a fleet by its compose file", "docker-compose")
    hub, worker = engine.build(project, "hub", "--hub"), engine.build(project, "greeter")
    address, file, name = free_address(), tmp_path / "compose.yaml", engine.prefix.replace("_", "-").lower()
    options = ("--hub-image", hub, "--workers", "2", "--listen", address, "--no-pin")
    file.write_text(engine.portcall("image", "compose", worker, *options))
    try:
        compose(file, name, "up", "-d", PORTCALL_TOKEN=TOKEN)
        engine.variables |= {"PORTCALL_HUB": address, "PORTCALL_TOKEN": TOKEN}
        containers = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={name}").split()
        await until(lambda: {health(container) for container in containers} == {"healthy"})
        names = [worker["name"] for worker in json.loads(engine.portcall("fleet", "ls", "--json"))["workers"]]
        assert len(set(names)) == 2, "each is called by its container"
        assert engine.portcall("call", *SAY_HELLO) == '{"message":"Hello Ada"}\n'
        submitted = engine.portcall("jobs", "submit", *SAY_HELLO, "--wait")
        assert "Hello Ada" in submitted, "the hub keeps jobs on its volume"
    finally:
        compose(file, name, "down", "--volumes", PORTCALL_TOKEN=TOKEN)


# --- podman -----------------------------------------------------------------------------------------------------------

PODMAN = ("podman", "--cgroup-manager=cgroupfs", "--runtime", "runc")
"""With what works on machines with both versions of cgroups, too."""

LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--no-healthcheck")
"""In place of podman's own, which not every machine allows, and of timers, which need systemd."""


@pytest.fixture
def podman_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Images and containers of podman that are the test's own."""
    need("runs containers under podman", "podman", "runc")
    if os.geteuid():
        pytest.skip("runs podman as root")
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\nrunroot = "{tmp_path / "run"}"\ngraphroot = "{tmp_path / "graph"}"\n'
    )
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    yield storage
    podman("rm", "--all", "--force", "--time", "0")
    podman("rmi", "--all", "--force")
    for place in (tmp_path / "graph" / "overlay", tmp_path / "graph"):
        subprocess.run(["umount", str(place)], capture_output=True, check=False)


def podman(*arguments: str) -> str:
    done = subprocess.run([*PODMAN, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


@pytest.mark.usefixtures("podman_storage")
async def test_podman_runs_a_fleet(engine: Engine, project: Path) -> None:
    by_podman = ("--engine", "podman")
    hub, worker = engine.build(project, "hub", "--hub", *by_podman), engine.build(project, "greeter", *by_podman)
    address = free_address()
    network = ("--network", "host", *LIMITS)
    podman("run", "-d", "--name", "hub", *network, "-e", f"PORTCALL_HUB_LISTEN={address}", hub)
    container = podman("run", "-d", "--name", "w", *network, "-e", f"PORTCALL_HUB={address}", worker)
    (status,) = await when_workers(address, bool)
    assert status.name == f"{socket.gethostname()}-{container[:12]}"
    assert engine.portcall("call", "--hub", address, *SAY_HELLO) == '{"message":"Hello Ada"}\n'
    assert podman("exec", "w", "python", "-m", "portcall.wire.health") == "healthy"
    podman("stop", "--time", "35", "w")
    assert podman("inspect", "w", "--format", "{{.State.ExitCode}}") == "0", "a stop drains"
