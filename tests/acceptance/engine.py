"""A real Docker for tests: containers under names of the test's own, on the host's network and on loopback alone."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_stand import need_engine

from portcall.image.store import Store


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Engine:
    """Starts containers under names of the test's own, and removes them."""

    def __init__(self, prefix: str, folder: Path) -> None:
        self.prefix, self._folder = prefix, folder
        self.variables: dict[str, str] = {}
        self._names: list[str] = []
        self._images: list[str] = []
        self._volumes: list[str] = []

    def build(self, project: Path, tag: str, *options: str) -> str:
        """Build an image and load it; return its name."""
        name = f"localhost/{self.prefix}-{tag}:1"
        self.portcall("image", "build", str(project), "--tag", name, "--load", "--output", self.layout(tag), *options)
        self._images.append(name)
        return name

    def layout(self, tag: str) -> str:
        """Where the image is that was built under this tag."""
        return str(self._folder / "images" / tag)

    def portcall(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "portcall", *arguments],
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, name: str, image: str, *options: str, command: tuple[str, ...] = (), **variables: str) -> str:
        """Start a container; return its name."""
        whole = f"{self.prefix}-{name}"
        self.note(whole)
        environment = [option for key, value in variables.items() for option in ("-e", f"{key}={value}")]
        docker("run", "-d", "--name", whole, "--network", "host", *environment, *options, image, *command)
        return whole

    def note(self, name: str) -> None:
        """Remove this container at the end."""
        self._names.append(name)

    def note_image(self, name: str) -> None:
        """Remove this image at the end."""
        self._images.append(name)

    def volume(self, name: str) -> str:
        """Return the name of a volume of the test's own; it is removed at the end."""
        self._volumes.append(f"{self.prefix}-{name}")
        return self._volumes[-1]

    def clean_up(self) -> None:
        if self._names:
            subprocess.run(["docker", "rm", "-f", "-v", *self._names], capture_output=True, check=False)
        if self._volumes:
            subprocess.run(["docker", "volume", "rm", "-f", *self._volumes], capture_output=True, check=False)
        if self._images:
            subprocess.run(["docker", "rmi", "-f", *self._images], capture_output=True, check=False)


@pytest.fixture
def engine(tmp_path: Path, base_folder: Path, store: Store) -> Iterator[Engine]:
    need_engine()
    mark = os.environ.get("PORTCALL_ENGINE_MARK", "portcall")
    started = Engine(f"{mark}-{os.getpid()}-{tmp_path.name[-12:].replace('_', '-').strip('-')}", tmp_path)
    started.variables = {
        "PORTCALL_IMAGE_BASE": f"oci:{base_folder}",
        "PORTCALL_IMAGE_PLATFORM": "linux/amd64",
        "PORTCALL_IMAGE_CACHE": str(store.folder),
    }
    yield started
    started.clean_up()


def health(name: str) -> str:
    return str(json.loads(docker("inspect", name))[0]["State"]["Health"]["Status"])
