"""The project as a distribution: what `pyproject.toml` says of it, and what an installed one has beside its code.

Its code is copied, so that nothing has to be built and every byte is known; its metadata and entry points (the core
metadata and the entry points specification of PyPA) are written here, so that `importlib.metadata`, plugins and scripts
find it as if it were installed. Only what a project leaves to its build backend, usually its version, is asked there.
"""

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from portcall.errors import ConfigurationError
from portcall.image.layers import Entry, Text
from portcall.image.running import Command, run
from portcall.image.wheels import INSTALLER, console_scripts, script

BACKEND_S = 300.0
"""How long a build backend may take to tell a version; it may have to be downloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What a project says of itself; all of it may be missing."""

    name: str = ""
    version: str = ""
    summary: str = ""
    requires_python: str = ""
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    entry_points: Mapping[str, Mapping[str, str]]
    """By their groups."""
    is_version_left: bool = False
    """Whether the version is left to the build backend."""


def read_project(folder: Path) -> Project:
    """Read what `pyproject.toml` says.

    Raises:
        ConfigurationError: it is broken.
    """
    path = folder / "pyproject.toml"
    try:
        whole: Any = tomllib.loads(path.read_text()) if path.is_file() else {}
        return _project(whole.get("project", {}))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, InvalidRequirement) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from None
    except (AttributeError, TypeError, ValueError):
        raise ConfigurationError(f"{path} has a [project] that nobody can read") from None


def _project(table: Any) -> Project:
    groups = {
        "console_scripts": table.get("scripts", {}),
        "gui_scripts": table.get("gui-scripts", {}),
        **table.get("entry-points", {}),
    }
    optional = table.get("optional-dependencies", {})
    version = str(table.get("version") or "")
    return Project(
        name=str(table.get("name") or ""),
        version=version,
        summary=str(table.get("description") or "").partition("\n")[0],
        requires_python=str(table.get("requires-python") or ""),
        requires=(
            *map(str, table.get("dependencies", ())),
            *(_of_extra(line, extra) for extra, lines in optional.items() for line in lines),
        ),
        extras=tuple(canonicalize_name(extra) for extra in optional),
        entry_points={group: {str(k): str(v) for k, v in points.items()} for group, points in groups.items() if points},
        is_version_left=not version and "version" in table.get("dynamic", ()),
    )


def _of_extra(line: str, extra: str) -> str:
    requirement = Requirement(line)
    marker = f'extra == "{canonicalize_name(extra)}"'
    whole = f"({requirement.marker}) and {marker}" if requirement.marker else marker
    requirement.marker = None
    return f"{requirement} ; {whole}"


def with_version(project: Project, folder: Path) -> Project:
    """Return the project with its version, which its build backend is asked for if the project leaves it to that.

    Raises:
        ConfigurationError: the backend cannot be asked, or the version is none.
    """
    if project.is_version_left:
        project = replace(project, version=_ask_backend(folder))
    try:
        return replace(project, version=str(Version(project.version)) if project.version else "")
    except InvalidVersion:
        raise ConfigurationError(
            f"{folder / 'pyproject.toml'} has the version {project.version!r}, which is none"
        ) from None


def backend_command(folder: Path) -> Command:
    """Return what has pip ask a project's build backend about it, and nothing be installed."""
    options = ["--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--no-input", "--disable-pip-version-check"]
    arguments = [sys.executable, "-m", "pip", "install", *options, "--report", "-", str(folder.resolve())]
    return Command(arguments=arguments, timeout_s=BACKEND_S)


def _ask_backend(folder: Path) -> str:
    ended = run(backend_command(folder))
    try:
        return str(json.loads(ended.stdout)["install"][0]["metadata"]["version"])
    except (ValueError, LookupError, TypeError):
        raise ConfigurationError(
            f"{folder / 'pyproject.toml'} leaves its version to its build backend, which cannot tell it."
            f" Write the version there, or see why:\n{ended.words}"
        ) from None


def installed(project: Project, packages: str, scripts: str, python: str) -> dict[str, Entry]:
    """Return what an installed distribution has besides its code; nothing if it has no name or version.

    Args:
        project: of which project.
        packages: the folder of the layer where Python finds the code.
        scripts: the folder for scripts.
        python: what scripts are run by.
    """
    if not project.name or not project.version:
        return {}
    folder = f"{packages}/{canonicalize_name(project.name).replace('-', '_')}-{project.version}.dist-info"
    points = entry_points_text(project.entry_points)
    files = {"INSTALLER": INSTALLER, "METADATA": "".join(_metadata(project)).encode()}
    files |= {"entry_points.txt": points.encode()} if points else {}
    made = {f"{folder}/{name}": Entry(content=Text(content)) for name, content in files.items()}
    for name, target in console_scripts(points).items():
        made[f"{scripts}/{name}"] = Entry(content=Text(script(target, python)), mode=0o755)
    return made


def _metadata(project: Project) -> Iterator[str]:
    yield f"Metadata-Version: 2.1\nName: {project.name}\nVersion: {project.version}\n"
    if project.summary:
        yield f"Summary: {project.summary}\n"
    if project.requires_python:
        yield f"Requires-Python: {project.requires_python}\n"
    yield from (f"Requires-Dist: {line}\n" for line in project.requires)
    yield from (f"Provides-Extra: {extra}\n" for extra in project.extras)


def entry_points_text(groups: Mapping[str, Mapping[str, str]]) -> str:
    """Return the text of an `entry_points.txt`."""
    return "\n".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in sorted(points.items()))
        for group, points in sorted(groups.items())
    )
