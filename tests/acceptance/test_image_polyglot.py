"""The example `polyglot` as containers: a Node server, its sidecar, and a hub."""

import os
import shutil
import subprocess
from pathlib import Path

from base_image import make_node_base
from image_stand import push_layout, running_registry
from interop.peers.tools import POLYGLOT, lacking, node_command

from .engine import Engine, free_address
from .ledger_calls import when_workers


def test_packages_and_contract_are_in_the_context() -> None:
    text = (POLYGLOT / "Dockerfile").read_text()
    sources = [word for line in text.splitlines() if line.startswith("COPY") for word in line.split()[1:-1]]
    assert sources
    for source in sources:
        assert (POLYGLOT.parent / source).is_file()


async def test_a_node_server_joins_by_its_sidecar(engine: Engine, project: Path, tmp_path: Path) -> None:
    node_command(POLYGLOT / "server.js")  # skips where there is no Node
    layout = _node_base(tmp_path)
    name = f"localhost/{engine.prefix}-node:1"
    engine.note_image(name)
    with running_registry(tmp_path / "registry") as registry:
        push_layout(layout, f"{registry}/node:22")
        _build(name, f"{registry}/node:22")
    hub, sidecar = engine.build(project, "hub", "--hub"), engine.build(project, "sidecar", "--sidecar")
    address, upstream = free_address(), free_address()
    engine.run("hub", hub, PORTCALL_HUB_LISTEN=address)
    engine.run("sidecar", sidecar, PORTCALL_HUB=address, PORTCALL_ATTACH_UPSTREAM=upstream)
    engine.run("node", name, command=(upstream,))
    (status,) = await when_workers(address, bool)
    assert list(status.services) == ["greet.Greeter"]
    said = engine.portcall("call", "--hub", address, "greet.Greeter/SayHello", '{"name": "Ada"}')
    assert said == '{"message":"Hello Ada, from Node"}\n'


def _node_base(folder: Path) -> Path:
    """A base with this machine's Node and npm, which brings the locked packages from the cache that it has here."""
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node is not None
    if npm is None:
        lacking("npm", "install it beside Node")
    package = Path(npm).resolve().parents[1]
    cache = Path(_npm("config", "get", "cache").strip())
    project = folder / "cached"
    project.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(POLYGLOT / name, project)
    try:
        _npm("ci", "--offline", "--ignore-scripts", "--prefix", str(project))
    except subprocess.CalledProcessError:
        lacking("npm's cache", "run npm ci in examples/polyglot")
    return make_node_base(folder / "node", Path(node).resolve(), package, cache)


def _npm(*arguments: str) -> str:
    return subprocess.run(["npm", *arguments], capture_output=True, text=True, check=True).stdout


def _build(name: str, base: str) -> None:
    place = ["-f", str(POLYGLOT / "Dockerfile"), str(POLYGLOT.parent)]
    done = subprocess.run(
        ["docker", "build", "-q", "--network", "none", "--build-arg", f"BASE={base}", "-t", name, *place],
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
