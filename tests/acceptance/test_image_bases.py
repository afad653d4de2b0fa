"""Bases as they are in the wild: a Debian with a Python beside its own, or without any."""

import json
import subprocess
import sys
from pathlib import Path

from base_image import MINOR, make_bare_base

from .engine import Engine, docker, free_address
from .ledger_calls import when_workers


async def test_a_base_like_the_official_python_image_serves(engine: Engine, project: Path, slim_base: Path) -> None:
    base = ("--base", f"oci:{slim_base}")
    hub, worker = engine.build(project, "hub", "--hub", *base), engine.build(project, "greeter", *base)
    inspected = json.loads(engine.portcall("image", "inspect", engine.layout("greeter"), "--json"))[0]
    assert inspected["python"] == ".".join(map(str, sys.version_info[:3]))
    assert len(inspected["layers"]) == 5
    address = free_address()
    engine.run("hub", hub, PORTCALL_HUB_LISTEN=address)
    name = engine.run("w", worker, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", PORTCALL_HUB=address)
    (status,) = await when_workers(address, bool)
    assert list(status.services) == ["greet.Greeter"]
    assert status.os.startswith("Debian GNU/Linux 12")
    said = engine.portcall("call", "--hub", address, "greet.Greeter/SayHello", '{"name": "Ada"}')
    assert said == '{"message":"Hello Ada"}\n'
    code = "import os, sys; print(os.path.realpath(sys.executable), os.path.exists('/usr/bin/python3'))"
    assert docker("exec", name, "python", "-c", code) == f"/usr/local/bin/python{MINOR} False"


def test_a_base_without_python_is_refused(project: Path, debian: Path, tmp_path: Path) -> None:
    base = make_bare_base(tmp_path / "bare", debian)
    done = subprocess.run(
        [sys.executable, "-m", "portcall", "image", "build", str(project), "--platform", "linux/amd64",
         "--base", f"oci:{base}", "--cache", str(tmp_path / "cache")],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "has no Python (found: none). Take a base with CPython 3.11 or newer" in done.stderr
