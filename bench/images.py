"""Images: how long building, pushing and starting takes, beside `docker build` of the equivalent Dockerfile.

The base is the running Python with its libraries, and the registry is docker-registry on loopback, both as the tests
make them. Docker's own rows need an engine that answers; without one there are none.
"""

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

from bench.rows import Row

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))  # what makes bases and wheels without a network is there


def measure_images(rounds: int) -> Iterator[Row]:
    """Measure everything, round by round."""
    stand = importlib.import_module("image_stand")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = stand.make_base(folder / "base")
        wheels = stand.make_wheelhouse(folder / "wheels")
        project = stand.make_project(folder / "project", wheels)
        shutil.copytree(wheels, project / "wheels")
        lock = project / "requirements.txt"
        lock.write_text(lock.read_text().replace(str(wheels), "wheels"))
        with stand.running_registry(folder / "registry") as registry:
            stand.push_layout(base, f"{registry}/python:3")
            yield from _Stand(folder, project, registry).measure(rounds)


class _Stand:
    def __init__(self, folder: Path, project: Path, registry: str) -> None:
        self._folder, self._project, self._registry = folder, project, registry
        self._base = f"{registry}/python:3"
        self._values: dict[tuple[str, str, str], list[float]] = {}
        self._has_engine = shutil.which("docker") is not None and not _quietly("docker", "info")

    def measure(self, rounds: int) -> Iterator[Row]:
        for index in range(rounds):
            for case in ("cold", "one line changed"):
                self._change(index)
                if self._has_engine:
                    self._docker(case, index)
                self._portcall(case, index)
        if self._has_engine:
            for _ in range(rounds):
                self._first_call()
        bases: dict[tuple[str, str], Row] = {}
        for (case, contender, figure), values in self._values.items():
            unit = "MB" if figure == "size" else "s"
            row = Row(
                group="image",
                case=case,
                contender=contender,
                figure=figure,
                unit=unit,
                values=tuple(values),
                base=bases.get((case, figure)),
            )
            bases.setdefault((case, figure), row)
            yield row

    def _change(self, index: int) -> None:
        app = self._project / "app.py"
        app.write_text(f"{app.read_text()}# {index} {time.time_ns()}\n")

    def _note(self, case: str, contender: str, figure: str, value: float) -> None:
        self._values.setdefault((case, contender, figure), []).append(value)

    def _portcall(self, case: str, index: int) -> None:
        cache = ["--cache", str(self._folder / f"cache-{index}")]
        name = f"{self._registry}/portcall-{index}:{case.split(maxsplit=1)[0]}"
        output = ["--output", str(self._folder / "image")]
        build = ["image", "build", str(self._project), "--base", self._base, "--platform", "linux/amd64", "--tag", name]
        self._note(case, "portcall image", "build", self._timed(self._run_portcall, *build, *cache, *output))
        self._note(case, "portcall image", "push", self._timed(self._run_portcall, "image", "push", *output, *cache))

    def _docker(self, case: str, index: int) -> None:
        text = _said(*self._portcall_command("image", "dockerfile", str(self._project), "--base", self._base),
                     "--platform", "linux/amd64", "--cache", str(self._folder / "docker-cache"))  # fmt: skip
        (self._project / "Dockerfile").write_text(text)
        name = f"{self._registry}/docker-{index}:{case.split(maxsplit=1)[0]}"
        options = ["--no-cache"] if case == "cold" else []
        build = ["docker", "build", "-q", "--network", "none", *options, "-t", name, str(self._project)]
        self._note(case, "docker", "build", self._timed(_said, *build))
        self._note(case, "docker", "push", self._timed(_said, "docker", "push", "-q", name))
        self._note(case, "docker", "size", _size(name))
        (self._project / "Dockerfile").unlink()

    def _first_call(self) -> None:
        """Measure from `docker run` to the first reply, with the image pulled."""
        for contender, name in (("docker", "docker-0:one"), ("portcall image", "portcall-0:one")):
            image = f"{self._registry}/{name}"
            _said("docker", "pull", "-q", image)
            if contender == "portcall image":
                self._note("cold", contender, "size", _size(image))
            address = _free_address()
            hub = subprocess.Popen(
                [*self._portcall_command("hub", "--listen", address)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                begun = time.perf_counter()
                container = _said("docker", "run", "-d", "--network", "host", "-e", f"PORTCALL_HUB={address}", image)
                call = self._portcall_command("call", "--hub", address, "greet.Greeter/SayHello", '{"name": "Ada"}')
                while subprocess.run(call, capture_output=True, check=False).returncode:
                    pass
                self._note("docker run to the first reply", contender, "time", time.perf_counter() - begun)
                _quietly("docker", "rm", "-f", container.strip())
            finally:
                hub.terminate()
                hub.wait()

    def _portcall_command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "portcall", *arguments]

    def _run_portcall(self, *arguments: str) -> str:
        return _said(*self._portcall_command(*arguments))

    @staticmethod
    def _timed(work: Callable[..., object], *arguments: str) -> float:
        begun = time.perf_counter()
        work(*arguments)
        return time.perf_counter() - begun


def _said(*command: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, "DOCKER_BUILDKIT": "0"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2_000:]}{done.stdout[-2_000:]}")
    return done.stdout


def _quietly(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


def _size(image: str) -> float:
    """Return how large an image is on the registry's side: what a server pulls, base included."""
    registry, _, rest = image.partition("/")
    name, _, tag = rest.partition(":")
    kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json"
    kinds += ", application/vnd.oci.image.manifest.v1+json"

    def ask(which: str) -> dict[str, object]:
        request = Request(f"http://{registry}/v2/{name}/manifests/{which}", headers={"Accept": kinds})
        with urlopen(request) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    manifest = ask(tag)
    if "manifests" in manifest:
        manifest = ask(manifest["manifests"][0]["digest"])  # type: ignore[index]  # JSON
    return sum(layer["size"] for layer in manifest["layers"]) / 1e6  # type: ignore[attr-defined]  # JSON


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
