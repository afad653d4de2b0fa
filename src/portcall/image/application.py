"""The application of an image: the project's own files, without what does not belong there."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from portcall.contract.compile import CompileRequest, compile_protos
from portcall.errors import ConfigurationError
from portcall.image.environment import VENV
from portcall.image.layers import Copied, Entry, Text, with_folders
from portcall.image.leaving import SECRET_HEAD_BYTES, DockerIgnore, LeftOut, is_needless, secret_reason
from portcall.image.project import Project, installed
from portcall.image.revision import known_files

APP = "app"
"""Where the application is, from the root and without a slash."""

FILES_MAX = 100_000
DOCKERIGNORE = ".dockerignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The files of an application's layer, and what was left out of it that one might miss."""

    tree: dict[str, Entry]
    left_out: tuple[LeftOut, ...]
    python_path: str
    """Where Python looks for its modules."""


def read_application(folder: Path, project: Project, *, without: Path | None = None) -> Application:
    """Collect the files of an application: those that git has or would take, else all; never secrets.

    With them goes what Python knows an installed project by.

    Raises:
        ConfigurationError: there is nothing, or far too much.
    """
    ignore = _dockerignore(folder)
    paths = [
        path for path in known_files(folder) or _walk(folder) if not is_needless(path) and not ignore.is_ignored(path)
    ]
    if len(paths) > FILES_MAX:
        raise ConfigurationError(
            f"{folder} has {len(paths)} files; name in {DOCKERIGNORE} what the image does not need"
        )
    tree: dict[str, Entry] = {}
    left_out = []
    for path in paths:
        if without is not None and (folder / path).resolve().is_relative_to(without.resolve()):
            continue
        found = _look(folder, path, ignore)
        if isinstance(found, LeftOut):
            left_out.append(found)
        elif found is not None:
            tree[f"{APP}/{path}"] = found
    tree |= _compiled(folder, tree)
    if not tree:
        raise ConfigurationError(f"{folder} has no files for an image")
    has_src = any(path.startswith(f"{APP}/src/") for path in tree)
    homes = [f"{APP}/src", APP] if has_src else [APP]
    tree |= installed(project, homes[0], f"{VENV}/bin", f"/{VENV}/bin/python")
    python_path = ":".join(f"/{home}" for home in homes)
    return Application(tree=with_folders(tree), left_out=tuple(left_out), python_path=python_path)


def _dockerignore(folder: Path) -> DockerIgnore:
    path = folder / DOCKERIGNORE
    try:
        return DockerIgnore(path.read_text() if path.is_file() else "")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from None


def _walk(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        folders[:] = sorted(name for name in folders if not is_needless(str(inside / name)))
        yield from (str(inside / name) for name in sorted(files))
        yield from (str(inside / name) for name in folders if (Path(place) / name).is_symlink())


def _look(folder: Path, path: str, ignore: DockerIgnore) -> Entry | LeftOut | None:
    place = folder / path
    try:
        status = place.lstat()
    except OSError:
        return None  # git knows it, and it has been removed
    if stat.S_ISLNK(status.st_mode):
        return _link(folder, path, place)
    if stat.S_ISDIR(status.st_mode):
        return LeftOut(path=path, reason="it is a repository of its own") if (place / ".git").exists() else None
    if not stat.S_ISREG(status.st_mode):
        return LeftOut(path=path, reason="it is no ordinary file")
    try:
        with place.open("rb") as file:
            head = file.read(SECRET_HEAD_BYTES)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {place}: {error.strerror}. Name it in {DOCKERIGNORE} if need be"
        ) from None
    reason = "" if ignore.is_included_by_name(path) else secret_reason(path, head)
    if reason:
        return LeftOut(path=path, reason=reason)
    mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    return Entry(content=Copied(path=place, size=status.st_size), mode=mode)


def _link(folder: Path, path: str, place: Path) -> Entry | LeftOut:
    target = str(place.readlink())
    landing = (place.parent / target).resolve()
    if PurePosixPath(target).is_absolute() or not landing.is_relative_to(folder.resolve()):
        return LeftOut(path=path, reason="it is a link to something outside of the project")
    return Entry(target=target)


def _compiled(folder: Path, tree: dict[str, Entry]) -> dict[str, Entry]:
    """Return the code of those `.proto` files that have none beside them."""
    bare = [
        path
        for path in tree
        if path.endswith(".proto") and f"{path.removesuffix('.proto').replace('-', '_')}_pb2.py" not in tree
    ]
    made: dict[str, Entry] = {}
    for place in sorted({PurePosixPath(path).parent for path in bare}):
        inside = folder / place.relative_to(APP)
        names = sorted(PurePosixPath(path).name for path in bare if PurePosixPath(path).parent == place)
        made |= dict(_code(inside, names, str(place)))
    return made


def _code(folder: Path, names: Iterable[str], place: str) -> Iterator[tuple[str, Entry]]:
    compilation = compile_protos(CompileRequest(paths=tuple(folder / name for name in names), out=folder))
    if compilation.is_failed:
        words = "; ".join(f"{found.path}:{found.line}: {found.words}" for found in compilation.diagnostics[:3])
        raise ConfigurationError(f"the .proto files do not compile: {words}. See:  portcall compile {folder}")
    for path, text in sorted(compilation.texts.items()):
        yield f"{place}/{path}", Entry(content=Text(text.encode()))
