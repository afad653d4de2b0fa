"""Containers of our images, under a real Docker. They use the host's network, and listen on loopback alone."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from image_stand import ROOT, make_project, need, push_layout, running_registry

from .engine import Engine, docker, free_address, health
from .ledger_calls import Ledger, Load, until, when_workers
from .processes import APPS

PAGE = ROOT / "docs" / "containers.md"


@pytest.fixture
def ledger_project(tmp_path: Path, wheel_folder: Path) -> Path:
    """A project of the app `ledger`."""
    folder = make_project(tmp_path / "ledger-app", wheel_folder)
    for path in folder.glob("*.p*"):
        path.unlink()
    shutil.copy(APPS / "ledger.py", folder / "app.py")
    return folder


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    folder = tmp_path / "written"
    folder.mkdir()
    made = Ledger(folder)
    for path in (folder, folder / "ledger"):
        path.chmod(0o777)
    return made


async def test_what_is_stopped_killed_and_restarted_under_load_loses_nothing(
    engine: Engine, ledger_project: Path, ledger: Ledger, tmp_path: Path
) -> None:
    worker, hub = engine.build(ledger_project, "ledger"), engine.build(ledger_project, "hub", "--hub")
    address = free_address()
    mount = ("-v", f"{tmp_path / 'written'}:{tmp_path / 'written'}")
    hub_name = engine.run("hub", hub, PORTCALL_HUB_LISTEN=address, PORTCALL_HUB_GRACE="0.2")
    names = [engine.run(f"w{n}", worker, *mount, PORTCALL_HUB=address) for n in range(2)]
    await when_workers(address, lambda workers: len(workers) == 2)
    load = Load(ledger)
    async with load.on(address):
        await load.when_served(100)
        docker("stop", names[0])
        assert {code.name for codes in load.outcomes.values() for code in codes} == {"OK"}, "a stop drains"
        docker("start", names[0])
        await when_workers(address, lambda workers: len(workers) == 2)
        docker("kill", names[1])
        await load.when_served(50)
        docker("start", names[1])
        await when_workers(address, lambda workers: len(workers) == 2)
        docker("restart", hub_name)
        await when_workers(address, lambda workers: len(workers) == 2)
        await load.when_served(50)
    load.check()


async def test_a_container_is_healthy_while_it_is_attached(engine: Engine, project: Path) -> None:
    hub, worker = engine.build(project, "hub", "--hub"), engine.build(project, "greeter")
    address = free_address()
    hub_name = engine.run("hub", hub, PORTCALL_HUB_LISTEN=address)
    quick = ("--health-interval", "1s", "--health-retries", "1", "--health-start-period", "0s")
    name = engine.run("w", worker, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", *quick, PORTCALL_HUB=address)
    (status,) = await when_workers(address, bool)
    await until(lambda: health(name) == "healthy")
    assert status.pid == 1
    assert status.name == f"{socket.gethostname()}-{docker('inspect', '--format', '{{.Id}}', name)[:12]}"
    assert status.image.startswith("build:")
    inspected = json.loads(engine.portcall("image", "inspect", engine.layout("greeter"), "--json"))[0]
    assert status.image == inspected["build"]
    assert docker("exec", name, "python", "-c", "import os; print(os.getuid())") == "65532"
    code = "import os, portcall; print(portcall.__cached__, os.path.exists(portcall.__cached__))"
    cached, is_there = docker("exec", name, "python", "-c", code).split()
    assert cached.startswith("/tmp/pycache/opt/venv/")
    assert is_there == "True"
    docker("stop", hub_name)
    await until(lambda: health(name) == "unhealthy")


async def test_the_digest_that_is_said_is_shown(engine: Engine, project: Path) -> None:
    hub, worker = engine.build(project, "hub", "--hub"), engine.build(project, "greeter")
    address = free_address()
    engine.run("hub", hub, PORTCALL_HUB_LISTEN=address)
    engine.run("w", worker, PORTCALL_HUB=address, PORTCALL_IMAGE="registry.example.com/app@sha256:" + "1234" * 16)
    (status,) = await when_workers(address, bool)
    assert status.image.endswith("1234")
    said = engine.portcall("fleet", "ls", "--hub", address)
    assert "sha256:123412341234" in said


def blocks() -> dict[str, list[str]]:
    """The page's marked blocks: their commands by their names."""
    found = re.findall(r"<!-- (\w+) -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return {name: text.replace("\\\n", " ").splitlines() for name, text in found}


def test_the_fleet_takes_ten_commands() -> None:
    assert sum(map(len, blocks().values())) == 10


def test_the_page_leads_to_a_fleet(engine: Engine, project: Path, tmp_path: Path) -> None:
    address = free_address()
    names = {name: f"{engine.prefix}-{name}" for name in ("hub", "greeter-1", "greeter-2")}
    for name in names.values():
        engine.note(name)
    data = engine.volume("data")
    with running_registry(tmp_path / "registry") as registry:
        lines = []
        for line in [line for block in blocks().values() for line in block]:
            said = line.replace("registry.example.com", registry).replace("127.0.0.1:7070", address)
            said = said.replace("hub-data", data)
            said = re.sub(r"(--name |7070 |\d{4,5} )(hub|greeter-1|greeter-2)\b", lambda m: m[1] + names[m[2]], said)
            lines.append(said)
            if "greeter-2" in said:  # the page's reader takes longer than this to type on
                lines.append(_when_workers(names["hub"], address, 2))
        script = f'portcall() {{ "{sys.executable}" -m portcall "$@"; }}\n' + "\n".join(lines)
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=project,
            env={**os.environ, **engine.variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        for name in ("hub", "greeter"):
            subprocess.run(["docker", "rmi", "-f", f"{registry}/{name}:1"], capture_output=True, check=False)
    assert done.stdout.count("greet.Greeter") == 2
    assert done.stdout.endswith('{"message":"Hello Ada"}\n')
    assert "build:" in done.stdout


def _when_workers(hub: str, address: str, count: int) -> str:
    ls = f"docker exec -e PORTCALL_HUB={address} {hub} portcall fleet ls --json"
    return f'until [ "$({ls} 2>/dev/null | grep -c \'"name"\')" = {count} ]; do :; done'


ASK_FOR_METADATA = """
from importlib.metadata import entry_points, version
print(version("greeter"), entry_points(group="greeter.kinds")["loud"].load().__name__)
"""


def add_metadata(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[project]\nname = "greeter"\nversion = "1.2"\n'
        '[project.scripts]\ngreet = "app:main"\n[project.entry-points."greeter.kinds"]\nloud = "app:Greeter"\n'
    )
    app = project / "app.py"
    app.write_text(app.read_text() + "\n\ndef main():\n    print('greetings from a script')\n")


def test_the_project_is_there_as_if_it_were_installed(engine: Engine, project: Path) -> None:
    add_metadata(project)
    name = engine.build(project, "greeter")
    options = ("--rm", "--network", "none", "--read-only", "--entrypoint")
    assert docker("run", *options, "python", name, "-c", ASK_FOR_METADATA) == "1.2 Greeter"
    assert docker("run", *options, "greet", name) == "greetings from a script"


def test_docker_builds_the_dockerfile(engine: Engine, project: Path, wheel_folder: Path, base_folder: Path) -> None:
    add_metadata(project)
    shutil.copytree(wheel_folder, project / "wheels")
    lock = project / "requirements.txt"
    lock.write_text(lock.read_text().replace(str(wheel_folder), "wheels"))
    with running_registry(project.parent / "registry") as registry:
        base = f"{registry}/python:3"
        push_layout(base_folder, base)
        text = engine.portcall("image", "dockerfile", str(project), "--base", base)
        (project / "Dockerfile").write_text(text)
        name = f"localhost/{engine.prefix}-made:1"
        engine.note_image(name)
        done = subprocess.run(
            ["docker", "build", "-q", "--network", "none", "-t", name, str(project)],
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
    assert docker("run", "--rm", "--network", "none", name, "--version").startswith("portcall ")
    options = ("--rm", "--network", "none", "--entrypoint")
    assert docker("run", *options, "python", name, "-c", ASK_FOR_METADATA) == "1.2 Greeter"
    assert docker("run", *options, "greet", name) == "greetings from a script"


def test_an_engine_without_a_daemon_runs_it(engine: Engine, project: Path, tmp_path: Path) -> None:
    need("runs a container without Docker", "skopeo", "umoci", "crun")
    engine.build(project, "greeter")
    layout = engine.layout("greeter")
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout}", f"oci:{tmp_path / 'one'}:one"], check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path / 'one'}:one", str(tmp_path / "bundle")], check=True)
    path = tmp_path / "bundle" / "config.json"
    spec = json.loads(path.read_text())
    spec["process"] |= {"terminal": False, "args": ["/opt/venv/bin/portcall", "--version"]}
    spec["linux"] = {"namespaces": [{"type": "mount"}, {"type": "pid"}]}
    del spec["hostname"]  # which is the host's here
    path.write_text(json.dumps(spec))
    crun = ["crun", "--cgroup-manager=disabled", "run", "--bundle", str(path.parent), f"{engine.prefix}-crun"]
    # crun refuses a host that has both versions of cgroups mounted; it need not see the second.
    hiding = "mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified; exec " + shlex.join(crun)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hiding], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.startswith("portcall "), done.stderr
