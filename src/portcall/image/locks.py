"""Locks: which packages, in which versions, with which hashes, an image for a target has.

Reads `pylock.toml` (PEP 751) and requirements with hashes as `pip` knows them; `uv.lock` by uv's own export (`uv`).
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from packaging.pylock import (
    Package,
    PackageArchive,
    PackageDirectory,
    PackageWheel,
    Pylock,
    PylockSelectError,
    PylockUnsupportedVersionError,
    PylockValidationError,
)
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from portcall.errors import ConfigurationError
from portcall.image.defaults import LOCKS
from portcall.image.oci import digest_of
from portcall.image.targets import Target

HOW_TO_LOCK = (
    "Make one:  pip lock . -o pylock.toml  (pip 25.1 or newer), or  uv lock, or"
    "  uv pip compile --universal --generate-hashes pyproject.toml -o requirements.txt"
)

_FOREIGN_LOCKS = {
    "poetry.lock": "poetry export -o requirements.txt  (of poetry-plugin-export)",
    "pdm.lock": "pdm export -o requirements.txt",
    "Pipfile.lock": "pipenv requirements --hash > requirements.txt",
}
_PYPI = re.compile(r"https://pypi\.org/simple/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One package that an image shall have."""

    name: str
    version: str
    sha256: tuple[str, ...]
    """Of the files that it may be, sorted."""
    wheel: str = ""
    """The file's name, if the lock says which one."""
    path: Path | None = None
    """Where the file is on the disk, if the lock says so."""
    url: str = ""
    """Where it is fetched from, if that is not where pip looks."""

    @property
    def requirement(self) -> str:
        """Return the line of a requirements file for it."""
        hashes = "".join(f" --hash=sha256:{digest}" for digest in self.sha256)
        return f"{self.name} @ {self.url}{hashes}" if self.url else f"{self.name}=={self.version}{hashes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock that was read."""

    path: Path
    digest: str
    select: Callable[[Target], Sequence[Pin]]
    """Return what a target gets, by name. Raises ConfigurationError: the lock has not what it needs."""
    index_options: tuple[str, ...] = ()
    """Where pip shall look, if the lock says so: options of pip."""


def find_lock(folder: Path, named: Path | None = None) -> Path:
    """Return the path of the lock of a project.

    Raises:
        ConfigurationError: there is none.
    """
    if named is not None:
        if not named.is_file():
            raise ConfigurationError(f"there is no lock {named}. {HOW_TO_LOCK}")
        return named
    for name in LOCKS:
        if (folder / name).is_file():
            return folder / name
    for name, how in _FOREIGN_LOCKS.items():
        if (folder / name).is_file():
            raise ConfigurationError(f"{folder} has a {name}, which its own tool alone reads. Have it export:  {how}")
    raise ConfigurationError(f"{folder} has no lock ({', '.join(LOCKS)}). {HOW_TO_LOCK}")


def read_lock(path: Path, text: str) -> Lock:
    """Read a lock from its text.

    Raises:
        ConfigurationError: it is broken, or says less than is needed to get the same files every time.
    """
    if path.suffix in (".toml", ".lock"):  # a uv.lock has been exported
        return _read_pylock(path, text)
    return _read_requirements(path, text)


# --- pylock.toml ------------------------------------------------------------------------------------------------------


def _read_pylock(path: Path, text: str) -> Lock:
    try:
        lock = Pylock.from_dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, PylockValidationError, PylockUnsupportedVersionError) as error:
        raise ConfigurationError(f"{path} is no lock by PEP 751: {error}") from None

    def select(target: Target) -> Sequence[Pin]:
        tags = target.tags
        try:
            chosen = list(lock.select(environment=target.markers, tags=tags))
        except PylockSelectError as error:
            _explain_missing_wheels(path, lock, target)
            raise ConfigurationError(f"{path} does not fit {target.platform}: {error}") from None
        pins = [_pin(path, package, source, target) for package, source in chosen]
        return sorted((pin for pin in pins if pin is not None), key=lambda pin: pin.name)

    return Lock(path=path, digest=digest_of(text.encode()), select=select)


def _pin(path: Path, package: Package, source: object, target: Target) -> Pin | None:
    if isinstance(source, PackageDirectory):
        if (path.parent / source.path).resolve() == path.parent.resolve():
            return None  # the project itself, which is the application's layer
        raise ConfigurationError(
            f"{package.name} is the folder {source.path}, and an image takes wheels alone. Build one and lock that:"
            f"  uv build --wheel {source.path}  (locked in {path})"
        )
    if isinstance(source, PackageArchive) and _is_wheel(source.path or source.url or ""):
        return _wheel_at(path, source.path or source.url or "", _sha256s(source.hashes))
    if not isinstance(source, PackageWheel):
        raise _no_wheel(
            path, package.name, str(package.version or ""), target, (wheel.filename for wheel in package.wheels or ())
        )
    hashes = _sha256s(source.hashes)
    if not hashes:
        raise ConfigurationError(f"{path} has no sha256 of {source.filename}. Lock anew")
    version = package.version or parse_wheel_filename(source.filename)[1]
    place, url = _place(path, source.path or source.url or "")
    is_usual = package.index is None or _PYPI.fullmatch(package.index)  # so pip's own settings say where it is
    return Pin(
        name=str(package.name),
        version=str(version),
        sha256=hashes,
        wheel=source.filename,
        path=place,
        url="" if is_usual else url,
    )


def _sha256s(hashes: Mapping[str, str]) -> tuple[str, ...]:
    return (hashes["sha256"],) if "sha256" in hashes else ()


def _is_wheel(location: str) -> bool:
    return urlsplit(location).path.endswith(".whl")


def _place(lock: Path, location: str) -> tuple[Path | None, str]:
    """Return where a file is on the disk, or its URL."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path)), ""
    if parts.scheme:
        return None, location
    return (lock.parent / location if location else None), ""


def _wheel_at(lock: Path, location: str, hashes: tuple[str, ...]) -> Pin:
    """Return the pin of a wheel that a lock names by where it is."""
    filename = unquote(PurePosixPath(urlsplit(location).path).name)
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        raise ConfigurationError(f"{lock} has {location!r}, which is no wheel: {error}") from None
    if not hashes:
        raise ConfigurationError(f"{lock} has no sha256 of {filename}. Lock anew")
    place, url = _place(lock, location)
    return Pin(name=str(name), version=str(version), sha256=hashes, wheel=filename, path=place, url=url)


def _explain_missing_wheels(path: Path, lock: Pylock, target: Target) -> None:
    """Raise for the first package that has wheels, and none that fits."""
    tags = set(target.tags)
    for package in lock.packages:
        names = [wheel.filename for wheel in package.wheels or ()]
        is_wanted = package.marker is None or package.marker.evaluate(
            {**target.strings(), "extras": frozenset(), "dependency_groups": frozenset(lock.default_groups or ())},
            context="lock_file",
        )
        if is_wanted and names and not any(tags & parse_wheel_filename(name)[3] for name in names):
            raise _no_wheel(path, package.name, str(package.version or ""), target, names)


def _no_wheel(path: Path, name: str, version: str, target: Target, wheels: Iterable[str]) -> ConfigurationError:
    return ConfigurationError(
        no_wheel_words(f"{name} {version}".strip(), target, list(wheels)) + f" (locked in {path})"
    )


def no_wheel_words(package: str, target: Target, wheels: Sequence[str]) -> str:
    """Say that a package cannot be had for a target, and for which it can."""
    libc = "musl" if target.glibc is None else "glibc {}.{}".format(*target.glibc)
    found = f"its wheels are {', '.join(sorted(wheels))}" if wheels else "it has no wheels at all"
    return (
        f"{package} has no wheel for {target.platform}, Python {target.minor}, {libc}: {found}."
        " Lock a version that has one, take another base or --platform, or build a wheel and lock that"
    )


# --- requirements with hashes -----------------------------------------------------------------------------------------

_HASH = re.compile(r"\s--hash[ =](\S+)")
_OPTION = re.compile(r"(--index-url|-i|--extra-index-url|--find-links|-f|--no-index|--pre|--trusted-host)\b[ =]?(.*)")
_IGNORED = ("--only-binary", "--no-binary", "--prefer-binary", "--require-hashes", "--pre")


@dataclass(frozen=True, slots=True)
class _Line:
    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def location(self) -> str:
        """Return where its wheel is, if the line says so."""
        return self.requirement.url or ""


def _read_requirements(path: Path, text: str) -> Lock:
    lines, options = [], []
    for line in logical_lines(text):
        if line.startswith(("-e", "--editable")) or line in (".", "./"):
            continue  # the project itself
        if line.startswith("-"):
            options.extend(_option(path, line))
        else:
            lines.append(_requirement(path, line))

    def select(target: Target) -> Sequence[Pin]:
        wanted = [line for line in lines if target.holds(line.requirement.marker)]
        return sorted((_pinned(path, line) for line in wanted), key=lambda pin: pin.name)

    return Lock(path=path, digest=digest_of(text.encode()), select=select, index_options=tuple(options))


def logical_lines(text: str) -> Iterator[str]:
    """Yield the lines of a requirements file, joined where they go on, without comments."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        if bare := re.sub(r"(^|\s)#.*$", "", line).strip():
            yield bare


def _option(path: Path, line: str) -> list[str]:
    if line.split("=", maxsplit=1)[0].split(maxsplit=1)[0] in _IGNORED:
        return []
    match = _OPTION.fullmatch(line)
    if match is None:
        raise ConfigurationError(f"{path} has {line!r}, which a lock cannot have: put every package into the one file")
    name, value = match.groups()
    if name in ("-f", "--find-links") and "://" not in value:
        value = str((path.parent / value).resolve())
    return [name, value] if value else [name]


def _requirement(path: Path, line: str) -> _Line:
    bare = _HASH.sub("", line).strip()
    file, _, marker = bare.partition(" ;")
    if _is_wheel(file) and "@" not in file:  # a wheel without a name before it, as pip takes it
        name = PurePosixPath(urlsplit(file).path).name.partition("-")[0]
        bare = f"{name} @ {file.strip()}" + (marker and f" ;{marker}")
    try:
        requirement = Requirement(bare)
    except InvalidRequirement as error:
        raise ConfigurationError(f"{path} has {bare!r}, which is no requirement: {error}") from None
    hashes = sorted(value.removeprefix("sha256:") for value in _HASH.findall(line) if value.startswith("sha256:"))
    if not hashes:
        raise ConfigurationError(f"{path} has no --hash=sha256:... for {bare!r}. {HOW_TO_LOCK}")
    return _Line(requirement, tuple(hashes))


def _pinned(path: Path, line: _Line) -> Pin:
    requirement = line.requirement
    if _is_wheel(line.location):
        return _wheel_at(path, line.location, line.hashes)
    specifiers = list(requirement.specifier)
    is_pinned = len(specifiers) == 1 and specifiers[0].operator in ("==", "===") and "*" not in specifiers[0].version
    if requirement.url or not is_pinned:
        raise ConfigurationError(f"{path} does not pin {requirement.name} with ==. {HOW_TO_LOCK}")
    version = str(Version(specifiers[0].version))
    return Pin(name=canonicalize_name(requirement.name), version=version, sha256=line.hashes)
