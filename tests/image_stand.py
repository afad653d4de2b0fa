"""What tests of images stand on: a base, wheels, projects, a registry, an engine.

The fixtures are taken up by the `conftest.py` of those that use them. What takes seconds is made once for all test
processes, in the folder that pytest gives all of them.
"""

import fcntl
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from base_image import make_base, make_slim_base
from pki import Issued
from token_server import TokenServer
from wheelhouse import make_wheelhouse, requirements

from portcall.image.building import BuildRequest, Built, build
from portcall.image.layout import write_layout
from portcall.image.progress import Silence
from portcall.image.store import Store

ROOT = Path(__file__).parents[1]
READY_S = 20.0


def need(reason: str, *programs: str) -> None:
    """Skip the test where a program lacks; fail where somebody has promised that it is there."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    if os.environ.get("PORTCALL_ENGINE") == "required":
        pytest.fail(f"PORTCALL_ENGINE=required, and {', '.join(missing)} is not here: {reason}")
    pytest.skip(f"{reason}: {', '.join(missing)} is not installed")


def need_engine() -> None:
    """Skip the test where no Docker runs; fail where somebody has promised one."""
    need("runs containers", "docker")
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 0:
        return
    if os.environ.get("PORTCALL_ENGINE") == "required":
        pytest.fail(f"PORTCALL_ENGINE=required, and Docker does not answer: {done.stderr.strip()}")
    pytest.skip(f"runs containers, and Docker does not answer: {done.stderr.strip()[:200]}")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first test process to need it has made."""
    shared = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    place, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(place)
            done.touch()
    return place


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout to build upon, for amd64 and arm64."""
    return once(tmp_path_factory, "base", lambda folder: make_base(folder, architectures=("amd64", "arm64")))


@pytest.fixture(scope="session")
def debian() -> Path:
    """A Debian as debootstrap makes it, in a tar. It has to be downloaded, so tests do not; `.ci/run` does."""
    named = os.environ.get("PORTCALL_DEBIAN")
    if named is None:
        pytest.skip("builds upon a Debian, and PORTCALL_DEBIAN names no tar of one (see .ci/run)")
    return Path(named)


@pytest.fixture(scope="session")
def slim_base(tmp_path_factory: pytest.TempPathFactory, debian: Path) -> Path:
    """A layout like that of `python:3-slim`."""
    return once(tmp_path_factory, "slim", lambda folder: make_slim_base(folder, debian))


@pytest.fixture(scope="session")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Portcall and what it needs as wheels, for both."""
    return once(tmp_path_factory, "wheels", lambda folder: make_wheelhouse(folder, for_arm=True))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """What is kept between builds, for all tests that do not look into it."""
    return Store(once(tmp_path_factory, "cache", lambda folder: folder.mkdir()))


@pytest.fixture(scope="session")
def image(
    tmp_path_factory: pytest.TempPathFactory, base_folder: Path, wheel_folder: Path, store: Store
) -> tuple[Path, Built]:
    """An image of the greeter for two platforms, as a layout."""
    folder = tmp_path_factory.mktemp("image")
    project = make_project(folder / "greeter", wheel_folder)
    built = build(BuildRequest(folder=project, base=f"oci:{base_folder}"), store, Silence())
    write_layout(folder / "image", built.index, built.blobs, store, ())
    return folder / "image", built


@pytest.fixture
def project(tmp_path: Path, wheel_folder: Path) -> Path:
    """The greeter, locked."""
    return make_project(tmp_path / "greeter", wheel_folder)


def make_project(folder: Path, wheelhouse: Path) -> Path:
    """The greeter of the README, with a lock."""
    shutil.copytree(ROOT / "examples" / "greeter", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "requirements.txt").write_text(requirements(wheelhouse))
    return folder


def push_layout(layout: Path, name: str) -> None:
    """Push a layout to a registry on loopback, by a tool that is not ours."""
    need("takes a base from a registry", "skopeo")
    command = ["skopeo", "copy", "-q", "--all", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{name}"]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def running_registry(
    folder: Path, *, htpasswd: str = "", tokens: TokenServer | None = None, tls: Issued | None = None
) -> Iterator[str]:
    """Run docker-registry on a free loopback port; give its HOST:PORT."""
    need("talks to a registry", "docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    auth = tokens.registry_settings if tokens is not None else ""
    if htpasswd:
        (folder / "htpasswd").write_text(htpasswd)
        auth = f"auth: {{htpasswd: {{realm: tests, path: {folder / 'htpasswd'}}}}}\n"
    encryption = f", tls: {{certificate: {tls.cert}, key: {tls.key}}}" if tls is not None else ""
    configuration = folder / "config.yml"
    configuration.write_text(
        f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\n"
        f"http: {{addr: '{address}'{encryption}}}\n{auth}"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(configuration)], stdout=log, stderr=log)
    try:
        _wait_until_it_answers(address, process, folder / "log")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=READY_S)


def _wait_until_it_answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Dial until it answers: it says nowhere that it is ready. One with TLS answers that this is none."""
    while process.poll() is None:
        try:
            urlopen(f"http://{address}/v2/", timeout=READY_S).close()
        except OSError as error:
            if getattr(error, "code", None) in (400, 401):
                return
            continue
        return
    pytest.fail(f"the registry has ended: {log.read_text()[-2000:]}")
