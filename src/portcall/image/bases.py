"""What a base image offers: which Python, where, and which C library. Looked up in its layers, once for each digest."""

import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from portcall.errors import ConfigurationError
from portcall.image.errors import ImageError
from portcall.image.layers import tree_key
from portcall.image.progress import Progress
from portcall.image.sources import Part, Source
from portcall.image.store import Store
from portcall.image.targets import Target

PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOOKED_INTO_MAX = 64 << 20
"""Largest file of a base that is searched for a version."""

_PYTHON = re.compile(r"(?:.*/)?bin/python3(?:\.\d+)?")
_VERSIONED = re.compile(r"python(3\.\d+)")
_TELLING = re.compile(
    r"(?:.*/)?(?:bin/python3\.\d+|libpython3\.\d+\.so\.1\.0|libc\.so\.6|libc-2\.\d+\.so|ld-musl-\S+\.so\.1)"
)
_GLIBC = re.compile(rb"GNU C Library[^\n]{0,100}? version (\d+)\.(\d+)")
_MUSL = re.compile(r"(?:.*/)?ld-musl-\S+\.so\.1")
_WHITEOUT = ".wh."


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFacts:
    """What was found in a base."""

    links: dict[str, str]
    """Links that Python may be behind, with their targets."""
    pythons: tuple[str, ...]
    """Files that are Pythons, without a slash at the beginning."""
    glibc: tuple[int, int] | None
    is_musl: bool
    versions: tuple[str, ...]
    """Full versions of Python that are written in its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """The Python of a base."""

    path: str
    version: str


def look_into(part: Part, source: Source, store: Store, progress: Progress) -> BaseFacts:
    """Find out what a base offers.

    Raises:
        ImageError: its layers cannot be read.
    """
    key = tree_key("base facts", part.descriptor.digest)
    noted = store.noted(key)
    if noted is not None:
        return _from_note(noted)
    progress.step(f"Looking for Python in {source.name} ({part.platform})")
    found = _scan(source.blob(layer) for layer in part.layers)
    store.note(key, asdict(found))
    return found


def _from_note(noted: Any) -> BaseFacts:
    return BaseFacts(
        links=dict(noted["links"]),
        pythons=tuple(noted["pythons"]),
        glibc=tuple(noted["glibc"]) if noted["glibc"] else None,
        is_musl=bool(noted["is_musl"]),
        versions=tuple(noted["versions"]),
    )


def _scan(layers: Iterable[Path]) -> BaseFacts:
    files: dict[str, bool] = {}
    links: dict[str, str] = {}
    versions: set[str] = set()
    glibc: tuple[int, int] | None = None
    for layer in layers:
        for member, content in _members(layer):
            path = str(PurePosixPath(member.name)).lstrip("/")
            folder, name = posixpath.split(path)
            if name.startswith(_WHITEOUT):
                hidden = posixpath.join(folder, name.removeprefix(_WHITEOUT))
                files.pop(hidden, None)
                links.pop(hidden, None)
            elif member.issym():
                links[path] = member.linkname
            elif _TELLING.fullmatch(path) or _PYTHON.fullmatch(path):
                files[path] = True
                versions |= {text.decode() for text in re.findall(rb"(?<![\d.])3\.\d{1,2}\.\d{1,2}(?=[+\0 ])", content)}
                if match := _GLIBC.search(content):
                    glibc = (int(match[1]), int(match[2]))
    return BaseFacts(
        links={path: target for path, target in links.items() if _is_on_the_way(path)},
        pythons=tuple(sorted(path for path in files if _PYTHON.fullmatch(path))),
        glibc=glibc,
        is_musl=any(_MUSL.fullmatch(path) for path in (*files, *links)),
        versions=tuple(sorted(versions)),
    )


def _is_on_the_way(path: str) -> bool:
    return "/" not in path or _PYTHON.fullmatch(path) is not None  # /bin may be a link to /usr/bin


def _members(layer: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield what a layer has, with the content of the files that tell something."""
    try:
        with tarfile.open(layer, mode="r|*") as file:
            for member in file:
                content = b""
                if member.isreg() and member.size <= LOOKED_INTO_MAX and _TELLING.fullmatch(member.name.lstrip("./")):
                    reader = file.extractfile(member)
                    content = reader.read() if reader is not None else b""
                yield member, content
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ImageError(
            f"a layer of the base cannot be read ({error}); it should be tar, plain or with gzip. Take another base"
        ) from None


def find_python(facts: BaseFacts, part: Part, name: str, wanted: str = "") -> Python:
    """Return the Python that programs in the base get, or the one that is wanted.

    Raises:
        ConfigurationError: there is none.
    """
    environment = dict(entry.partition("=")[::2] for entry in part.settings.get("Env") or ())
    folders = (environment.get("PATH") or PATH_DEFAULT).split(":")
    candidates = [wanted] if wanted else [f"{folder}/python3" for folder in folders]
    if not wanted:
        numbered = sorted(facts.pythons, key=_minor_of, reverse=True)
        candidates += [f"/{path}" for folder in folders for path in numbered if f"/{posixpath.dirname(path)}" == folder]
    for candidate in candidates:
        real = _resolve(candidate.lstrip("/"), facts)
        if real in facts.pythons and (match := _VERSIONED.search(posixpath.basename(real))):
            return Python(path=f"/{real}", version=_full_version(match[1], facts, environment))
    has = ", ".join(f"/{path}" for path in facts.pythons) or "none"
    raise ConfigurationError(
        f"{name} has no Python{f' at {wanted}' if wanted else ''} (found: {has})."
        " Take a base with CPython 3.11 or newer, or name its interpreter with --python"
    )


def _minor_of(path: str) -> int:
    match = _VERSIONED.search(posixpath.basename(path))
    return int(match[1].split(".")[1]) if match else -1


def _resolve(path: str, facts: BaseFacts) -> str:
    """Follow links, those of the first folder too."""
    for _ in range(20):
        first, slash, rest = path.partition("/")
        if slash and first in facts.links:
            path = posixpath.normpath(posixpath.join("/", facts.links[first], rest)).lstrip("/")
        elif path in facts.links:
            path = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), facts.links[path])).lstrip("/")
        else:
            return path
    return path


def _full_version(minor: str, facts: BaseFacts, environment: dict[str, str]) -> str:
    told = environment.get("PYTHON_VERSION", "")
    if told.startswith(f"{minor}."):
        return told
    return max(
        (version for version in facts.versions if version.startswith(f"{minor}.")),
        key=lambda version: int(version.rpartition(".")[2]),
        default=f"{minor}.0",
    )


def target_of(part: Part, facts: BaseFacts, python: Python, name: str) -> Target:
    """Return what wheels have to fit.

    Raises:
        ConfigurationError: the base has no C library that wheels know, or too old a Python.
    """
    if facts.glibc is None and not facts.is_musl:
        raise ConfigurationError(f"{name} has neither glibc nor musl, which wheels need. Take another base")
    if int(python.version.split(".")[1]) < 11:  # noqa: PLR2004  # as pyproject.toml says
        raise ConfigurationError(f"{name} has Python {python.version}; Portcall needs 3.11 or newer. Take another base")
    return Target(platform=part.platform, python=python.version, glibc=facts.glibc)
