"""Projects locked by uv: its own lock, made and exported by uv itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from portcall.errors import ConfigurationError
from portcall.image.building import BuildRequest, build
from portcall.image.progress import Silence
from portcall.image.store import Store

PROJECT = """
[project]
name = "greeter"
version = "1.2"
requires-python = ">=3.11"
dependencies = ["portcall"]
[dependency-groups]
dev = ["click"]
[tool.uv]
no-index = true
find-links = ["{wheels}"]
"""


def uv(project: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "uv", "--offline", "--no-python-downloads", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def locked(project: Path, wheel_folder: Path) -> Path:
    """The greeter, locked by uv alone."""
    (project / "requirements.txt").unlink()
    text = PROJECT.format(wheels=wheel_folder)
    (project / "pyproject.toml").write_text(text)
    uv(project, "lock")
    return project


def test_a_project_that_uv_has_locked_is_built(locked: Path, base_folder: Path, store: Store) -> None:
    built = build(BuildRequest(folder=locked, base=f"oci:{base_folder}"), store, Silence())
    amd, arm = built.parts
    assert {"portcall", "grpcio", "protobuf"} <= {wheel.name for wheel in amd.wheels}
    assert [wheel.path.name.endswith("_aarch64.whl") for wheel in arm.wheels if wheel.name == "grpcio"] == [True]


def test_its_digest_is_not_that_of_the_machine(locked: Path, base_folder: Path, store: Store, tmp_path: Path) -> None:
    request = BuildRequest(folder=locked, base=f"oci:{base_folder}")
    first = build(request, store, Silence())
    moved = locked.rename(tmp_path / "greeter.moved")
    again = build(BuildRequest(folder=moved, base=f"oci:{base_folder}"), store, Silence())
    assert again.index == first.index


def test_a_lock_that_does_not_fit_the_project_any_more_is_refused(
    locked: Path, base_folder: Path, store: Store
) -> None:
    pyproject = locked / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('["portcall"]', '["portcall", "rich"]'))
    with pytest.raises(ConfigurationError, match=r"does not fit pyproject\.toml any more.*uv lock"):
        build(BuildRequest(folder=locked, base=f"oci:{base_folder}"), store, Silence())


def test_a_python_that_is_not_here_does_not_keep_from_building(locked: Path, base_folder: Path, store: Store) -> None:
    for name in ("pyproject.toml", "uv.lock"):
        path = locked / name
        path.write_text(path.read_text().replace(">=3.11", ">=3.99"))
    with pytest.raises(ConfigurationError, match=r"the base has Python 3\.\d+\.\d+, and the project wants >=3\.99"):
        build(BuildRequest(folder=locked, base=f"oci:{base_folder}"), store, Silence())


def test_without_uv_the_error_says_what_to_do(
    locked: Path, base_folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portcall.image.uv._uv", list)
    with pytest.raises(ConfigurationError, match=r"uv is not installed.*pip install uv"):
        build(BuildRequest(folder=locked, base=f"oci:{base_folder}"), store, Silence())
