"""Projects become images: reproducibly, and with words for what cannot be."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from base_image import make_musl_base
from image_stand import ROOT, make_project
from wheelhouse import make_wheelhouse, pylock

from portcall.contract.contract import describe_methods, fingerprint
from portcall.errors import ConfigurationError
from portcall.image.building import BuildRequest, Built, build
from portcall.image.configuration import Kind
from portcall.image.errors import ImageError
from portcall.image.layout import write_layout
from portcall.image.oci import AMD64, ARM64
from portcall.image.progress import Silence
from portcall.image.sources import LayoutSource, Whole, read_whole
from portcall.image.store import Store

NOBODY = 65_534


def request(project: Path, base: Path, **more: object) -> BuildRequest:
    return BuildRequest(folder=project, base=f"oci:{base}", **more)  # type: ignore[arg-type]


def layer_names(built: Built, store: Store, index: int, part: int = 0) -> list[str]:
    with tarfile.open(store.blob(built.parts[part].layers[index].digest)) as file:
        return file.getnames()


def read(built: Built, store: Store, folder: Path) -> Whole:
    write_layout(folder, built.index, built.blobs, store, ("example.com/greeter:1",))
    return read_whole(LayoutSource(folder, "example.com/greeter:1", store))


def test_an_image_has_a_layer_of_packages_and_one_of_the_application(
    project: Path, base_folder: Path, store: Store
) -> None:
    built = build(request(project, base_folder), store, Silence())
    assert [part.platform for part in built.parts] == [AMD64, ARM64]
    packages, application = layer_names(built, store, -2), layer_names(built, store, -1)
    assert "opt/venv/bin/portcall" in packages
    assert not [name for name in packages if name.endswith(".pyc")]
    assert {"app/app.py", "app/greet_pb2.py", "app/greet.proto"} <= set(application)
    assert all(name.split("/")[0] == "opt" for name in packages)
    assert all(name.split("/")[0] == "app" for name in application)


def test_both_platforms_have_the_application_in_common_and_their_own_packages(
    project: Path, base_folder: Path, store: Store
) -> None:
    amd, arm = build(request(project, base_folder), store, Silence()).parts
    assert amd.layers[-1] == arm.layers[-1]
    assert {wheel.path.name for wheel in arm.wheels if "aarch64" in wheel.path.name}
    assert not {wheel.path.name for wheel in amd.wheels if "aarch64" in wheel.path.name}


def test_containers_begin_as_the_worker_and_as_nobody(
    project: Path, base_folder: Path, store: Store, tmp_path: Path
) -> None:
    whole = read(build(request(project, base_folder), store, Silence()), store, tmp_path / "image")
    settings = whole.parts[0].settings
    assert settings["Entrypoint"] == ["/opt/venv/bin/portcall"]
    assert settings["Cmd"] == ["worker", "app:worker"]
    assert settings["User"] == "65532:65532"
    assert settings["StopSignal"] == "SIGTERM"
    assert settings["Healthcheck"]["Test"][-1].endswith("/portcall/wire/health.py")
    environment = dict(entry.split("=", 1) for entry in settings["Env"])
    assert environment["PORTCALL_IMAGE"] == settings["Labels"]["portcall.build"]
    assert environment["LD_LIBRARY_PATH"] == "/usr/local/lib", "what the base says is kept"
    assert json.loads(settings["Labels"]["portcall.packages"])["grpcio"][0]


def test_the_contract_is_the_one_that_the_hub_sees(project: Path, base_folder: Path, store: Store) -> None:
    built = build(request(project, base_folder, platforms=(AMD64,)), store, Silence())
    code = (
        "import app, sys; from portcall.contract.contract import *;"
        "print(fingerprint(describe_methods(app.worker._methods.specs())))"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert built.identity.contract == said.stdout.strip()
    assert fingerprint(describe_methods([])) != built.identity.contract


def test_protos_without_code_are_compiled(project: Path, base_folder: Path, store: Store) -> None:
    whole = build(request(project, base_folder, platforms=(AMD64,)), store, Silence())
    for path in project.glob("greet_pb2*"):
        path.unlink()
    built = build(request(project, base_folder, platforms=(AMD64,)), store, Silence())
    assert {"app/greet_pb2.py", "app/greet_pb2_grpc.py"} <= set(layer_names(built, store, -1))
    assert built.identity.contract == whole.identity.contract


def test_secrets_and_leftovers_stay_out_and_are_said(project: Path, base_folder: Path, store: Store) -> None:
    (project / ".env").write_text("TOKEN=1")
    (project / "id.txt").write_text("-----BEGIN PRIVATE KEY-----\n")
    (project / "outside").symlink_to("/etc/passwd")
    (project / "inside").symlink_to("app.py")
    (project / "node_modules").mkdir()
    (project / "node_modules" / "a.js").write_text("")
    (project / ".dockerignore").write_text("client.py\n")
    built = build(request(project, base_folder, platforms=(AMD64,)), store, Silence())
    names = set(layer_names(built, store, -1))
    assert not names & {"app/.env", "app/id.txt", "app/outside", "app/node_modules/a.js", "app/client.py"}
    assert "app/inside" in names
    assert {one.path for one in built.left_out} == {".env", "id.txt", "outside"}


# --- the same bytes ---------------------------------------------------------------------------------------------------

CLI = """
import os, sys
os.umask(int(sys.argv[1], 8))
from portcall.cli.main import run
sys.exit(run(sys.argv[2:]))
"""
ANOTHER_USER = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    ),  # to come to the tests' own files, not to write
)


def digest_of_build(folder: Path, base: Path, *, umask: str, user: tuple[str, ...], zone: str) -> str:
    place = ["--base", f"oci:{base}", "--cache", str(folder.parent / "cache"), "--platform", "linux/amd64"]
    done = subprocess.run(
        [*user, sys.executable, "-c", CLI, umask, "image", "build", str(folder), *place, "--json"],
        env={**os.environ, "TZ": zone, "HOME": str(folder.parent), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["digest"])


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "safe.directory=*"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that every user can come to, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="portcall-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder / "other"


def test_two_builds_in_other_circumstances_have_the_same_digest(
    project: Path, base_folder: Path, elsewhere: Path
) -> None:
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "one")
    first = digest_of_build(project, base_folder, umask="022", user=(), zone="UTC")

    git(project, "clone", "-q", str(project), str(elsewhere / "copy"))
    for path in sorted((elsewhere / "copy").rglob("*")):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
        path.chmod(0o700 if path.is_dir() else 0o600)
    is_root = os.geteuid() == 0
    if is_root:
        for path in [elsewhere, *elsewhere.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    user = ANOTHER_USER if is_root and shutil.which("setpriv") else ()
    second = digest_of_build(elsewhere / "copy", base_folder, umask="077", user=user, zone="Asia/Tokyo")
    assert first == second
    if user:
        assert (elsewhere / "copy" / "build" / "image" / "index.json").stat().st_uid == NOBODY


def test_a_lock_in_either_form_gives_the_same_packages(
    project: Path, base_folder: Path, wheel_folder: Path, store: Store
) -> None:
    by_hashes = build(request(project, base_folder), store, Silence())
    lock = project / "pylock.toml"
    lock.write_text(pylock(wheel_folder))
    by_pylock = build(request(project, base_folder, lock=lock), store, Silence())
    assert [part.layers[-2] for part in by_hashes.parts] == [part.layers[-2] for part in by_pylock.parts]


def test_what_has_not_changed_is_not_made_again(project: Path, base_folder: Path, store: Store) -> None:
    first = build(request(project, base_folder), store, Silence())
    (project / "app.py").write_text((project / "app.py").read_text() + "# one more line\n")
    second = build(request(project, base_folder), store, Silence())
    assert [part.layers[:-1] for part in first.parts] == [part.layers[:-1] for part in second.parts]
    assert first.parts[0].layers[-1] != second.parts[0].layers[-1]
    assert first.parts[0].build != second.parts[0].build


def test_revision_and_dirt_are_said(project: Path, base_folder: Path, store: Store) -> None:
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "one")
    clean = build(request(project, base_folder, platforms=(AMD64,)), store, Silence()).identity.revision
    (project / "more.py").write_text("")
    dirty = build(request(project, base_folder, platforms=(AMD64,)), store, Silence()).identity.revision
    assert clean is not None
    assert dirty is not None
    assert (clean.is_dirty, dirty.is_dirty, clean.commit) == (False, True, dirty.commit)


# --- hub and sidecar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "command"), [(Kind.HUB, ["hub"]), (Kind.SIDECAR, ["attach"])])
def test_hub_and_sidecar_are_built_of_the_same_lock(
    project: Path, base_folder: Path, store: Store, tmp_path: Path, kind: Kind, command: list[str]
) -> None:
    built = build(request(project, base_folder, kind=kind), store, Silence())
    whole = read(built, store, tmp_path / "image")
    assert whole.parts[0].settings["Cmd"] == command
    assert "app/app.py" not in layer_names(built, store, -1)
    assert whole.parts[0].settings["Labels"]["portcall.kind"] == kind.value


# --- what cannot be ---------------------------------------------------------------------------------------------------


def test_a_package_without_a_wheel_for_the_platform_is_named(tmp_path: Path, base_folder: Path, store: Store) -> None:
    project = make_project(tmp_path / "amd-only", make_wheelhouse(tmp_path / "wheels"))
    with pytest.raises(ConfigurationError) as raised:
        build(request(project, base_folder, platforms=(ARM64,)), store, Silence())
    words = str(raised.value)
    assert "has no wheel for linux/arm64, Python 3." in words
    assert "x86_64.whl" in words


def test_a_lock_without_portcall_is_refused(project: Path, base_folder: Path, store: Store) -> None:
    lines = (project / "requirements.txt").read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("portcall=="))
    (project / "requirements.txt").write_text("\n".join(lines[:at] + lines[at + 2 :]) + "\n")
    with pytest.raises(ConfigurationError, match="has no portcall"):
        build(request(project, base_folder), store, Silence())


def test_a_wheel_that_is_not_the_locked_one_is_refused(project: Path, base_folder: Path, store: Store) -> None:
    text = (project / "requirements.txt").read_text()
    at = text.index("--hash=sha256:", text.index("portcall==")) + len("--hash=sha256:")
    (project / "requirements.txt").write_text(text[:at] + "0" * 64 + text[at + 64 :])
    with pytest.raises(ImageError, match=r"is not what .* locks"):
        build(request(project, base_folder, platforms=(AMD64,)), store, Silence())


def test_a_base_without_the_platform_or_without_python_is_refused(
    project: Path, base_folder: Path, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"has no Python at /usr/bin/python3\.99"):
        build(request(project, base_folder, python="/usr/bin/python3.99"), store, Silence())
    with pytest.raises(ConfigurationError, match="is no OCI layout"):
        build(request(project, tmp_path), store, Silence())


def test_a_base_with_musl_gets_the_wheels_for_musl(
    project: Path, base_folder: Path, wheel_folder: Path, store: Store, tmp_path: Path
) -> None:
    base = make_musl_base(tmp_path / "musl")
    with pytest.raises(ConfigurationError, match=r"has no wheel for linux/amd64, Python 3\.\d+, musl: its wheels are "):
        build(request(project, base, platforms=(AMD64,)), store, Silence())
    wheels = tmp_path / "wheels"
    shutil.copytree(wheel_folder, wheels)
    for path in [*wheels.glob("*x86_64.whl")]:
        name = "-".join([*path.name.split("-")[:-1], "musllinux_1_2_x86_64.whl"])
        with zipfile.ZipFile(shutil.copy(path, wheels / name), "a") as file:
            file.comment = b"another file"
    lock = project / "pylock.toml"
    lock.write_text(pylock(wheels))
    of_musl = build(request(project, base, platforms=(AMD64,), lock=lock), store, Silence()).parts[0].wheels
    of_glibc = build(request(project, base_folder, platforms=(AMD64,), lock=lock), store, Silence()).parts[0].wheels
    assert {"musllinux" in wheel.path.name for wheel in of_musl if wheel.name in ("grpcio", "protobuf")} == {True}
    assert {"musllinux" in wheel.path.name for wheel in of_glibc} == {False}


def test_the_project_is_no_place_for_the_image(project: Path, base_folder: Path, store: Store) -> None:
    for output in (project, project.parent):
        with pytest.raises(ConfigurationError, match="has the project in it"):
            build(request(project, base_folder, output=output), store, Silence())


def test_a_damaged_base_is_refused(project: Path, base_folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(base_folder, damaged)
    largest = max((damaged / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    with pytest.raises(ImageError, match="is not what its name says"):
        build(request(project, damaged), Store(tmp_path / "cache"), Silence())


def test_requires_python_is_heeded(project: Path, base_folder: Path, store: Store) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "g"\nversion = "1"\nrequires-python = ">=3.99"\n')
    with pytest.raises(ConfigurationError, match=r"the project wants >=3\.99"):
        build(request(project, base_folder), store, Silence())


def test_a_full_disk_is_said_and_leaves_nothing_half_done(
    project: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno  # noqa: PLC0415  # what the disk says

    store = Store(tmp_path / "small")
    build(request(project, base_folder, platforms=(AMD64,)), store, Silence())
    for blob in (store.folder / "blobs" / "sha256").iterdir():
        blob.unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("portcall.image.layers._LayerWriter._write", full)
        with pytest.raises(ImageError, match="the disk is full"):
            build(request(project, base_folder, platforms=(AMD64,)), store, Silence())
    assert not list((store.folder / "partial").iterdir())
    assert build(request(project, base_folder, platforms=(AMD64,)), store, Silence()).parts
