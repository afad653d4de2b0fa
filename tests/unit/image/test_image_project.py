"""What an installed project has besides its code, and what its own `pyproject.toml` leaves open."""

import email
import importlib.metadata
from pathlib import Path

import pytest

from portcall.errors import ConfigurationError
from portcall.image.layers import Entry, Text
from portcall.image.project import installed, read_project, with_version

PYPROJECT = """
[project]
name = "My.Greeter"
version = "1.02"
description = "Greets."
requires-python = ">=3.11"
dependencies = ["portcall"]
[project.optional-dependencies]
Fast_Path = ["uvloop>=0.1; sys_platform == 'linux' or os_name == 'x'", "orjson"]
[project.scripts]
greet = "greeter.cli:main"
[project.entry-points."greeter.plugins"]
loud = "greeter.loud:Loud"
"""


def texts(folder: Path) -> dict[str, Entry]:
    project = with_version(read_project(folder), folder)
    return installed(project, "app/src", "opt/venv/bin", "/opt/venv/bin/python")


def written(tree: dict[str, Entry], folder: Path) -> importlib.metadata.Distribution:
    """The distribution as Python finds it."""
    for path, entry in tree.items():
        assert isinstance(entry.content, Text)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(entry.content.content)
    (found,) = importlib.metadata.distributions(path=[str(folder / "app" / "src")])
    return found


def test_python_finds_version_requirements_and_entry_points(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    tree = texts(tmp_path)
    found = written(tree, tmp_path)
    assert (found.name, found.version) == ("My.Greeter", "1.2")
    assert found.metadata["Summary"] == "Greets."
    assert {(point.group, point.name, point.value) for point in found.entry_points} == {
        ("console_scripts", "greet", "greeter.cli:main"),
        ("greeter.plugins", "loud", "greeter.loud:Loud"),
    }
    assert found.requires == [
        "portcall",
        'uvloop>=0.1 ; (sys_platform == "linux" or os_name == "x") and extra == "fast-path"',
        'orjson ; extra == "fast-path"',
    ]
    assert "app/src/my_greeter-1.2.dist-info/METADATA" in tree
    script = tree["opt/venv/bin/greet"]
    assert script.mode == 0o755
    assert isinstance(script.content, Text)
    assert script.content.content.startswith(b"#!/opt/venv/bin/python\n")


@pytest.mark.parametrize("text", ["", "[tool.x]\n", '[project]\nname = "x"\n'])
def test_what_says_no_name_and_version_is_not_installed(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert texts(tmp_path) == {}


BACKEND = """
import os, zipfile

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.makedirs(os.path.join(folder, "x-4.5.dist-info"))
    with open(os.path.join(folder, "x-4.5.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: x\\nVersion: 4.5\\n")
    return "x-4.5.dist-info"

def build_wheel(*_):
    raise NotImplementedError
"""
DYNAMIC = """
[project]
name = "x"
dynamic = ["version"]
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def test_a_version_that_is_left_to_the_build_backend_is_asked_for_there(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(DYNAMIC)
    (tmp_path / "backend.py").write_text(BACKEND)
    metadata = texts(tmp_path)["app/src/x-4.5.dist-info/METADATA"].content
    assert isinstance(metadata, Text)
    assert email.message_from_bytes(metadata.content)["Version"] == "4.5"


def test_a_build_backend_that_cannot_tell_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(DYNAMIC)
    (tmp_path / "backend.py").write_text("raise SystemExit('no tags here')")
    with pytest.raises(ConfigurationError, match=r"leaves its version to its build backend(?s:.*)no tags here"):
        texts(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[project", "cannot read"),
        ("project = 1", "nobody can read"),
        ('[project]\nname = "x"\nversion = "new"', "the version 'new', which is none"),
        ('[project]\nname = "x"\n[project.optional-dependencies]\na = ["?"]', "cannot read"),
    ],
)
def test_a_broken_pyproject_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        texts(tmp_path)
