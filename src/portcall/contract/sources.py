"""Which `.proto` files are meant, and the names that they import each other by.

A name is a path below a *root*. A folder that is to be compiled is a root itself, unless it lies in one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from portcall.contract.folders import project_files
from portcall.contract.installed import InstalledProtos
from portcall.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files to compile, by the names that they import each other by, and where such names are looked for."""

    roots: tuple[Path, ...]
    """As the user wrote them, in the order in which imports are looked for."""

    own_roots: frozenset[Path]
    """The roots of the files to compile; the code of the others, if there is any, is somebody else's."""

    names: tuple[str, ...]
    left_to_packages: tuple[str, ...]
    """Files of the roots that installed packages bring too; their code counts, since there can be only one."""

    def find(self, name: str) -> Path | None:
        """Return the file of this name, as the user would write it."""
        return next((root / name for root in self.roots if (root / name).is_file()), None)

    def is_own(self, name: str) -> bool:
        """Whether there is a file of this name that belongs to what is compiled, now or another time."""
        root = next((root for root in self.roots if (root / name).is_file()), None)
        return root in self.own_roots and name not in self.left_to_packages


def find_sources(paths: Sequence[Path], includes: Sequence[Path], installed: InstalledProtos) -> Sources:
    """Find the files that these paths, folders and single files, mean.

    Raises:
        ConfigurationError: a path is not there, or there is nothing to compile, or two files have the same name.
    """
    for path in (*paths, *includes):
        if not path.exists():
            raise ConfigurationError(f"there is no {str(path)!r}")
    for include in includes:
        if not include.is_dir():
            raise ConfigurationError(f"{str(include)!r} is not a folder; -I takes the folder that imports begin at")
    folders = sorted((path for path in paths if path.is_dir()), key=lambda path: len(path.resolve().parts))
    candidates = [*includes, *folders]
    owners: dict[Path, Path] = {}
    for found in _files(paths, includes):
        file = _located(found)
        within = (root for root in candidates if file.is_relative_to(root.resolve()))
        owners.setdefault(file, next(within, found.parent))
    own_roots = _distinct(owners.values())
    roots = _distinct([*includes, *own_roots])
    names: dict[str, Path] = {}
    for file, root in owners.items():
        name = file.relative_to(root.resolve()).as_posix()
        first = next(root / name for root in roots if (root / name).is_file())
        if _located(first) != file:
            raise ConfigurationError(
                f"two files have the name {name!r}: {first} and {root / name}. Rename one, or compile them apart"
            )
        names[name] = root
    if not names:
        raise ConfigurationError(f"there are no .proto files in {', '.join(map(str, paths))}")
    ours = [name for name in names if name not in installed.names or _is_installed_root(names[name], installed)]
    return Sources(
        roots=tuple(roots),
        own_roots=frozenset(own_roots),
        names=tuple(sorted(ours)),
        left_to_packages=tuple(sorted(names.keys() - set(ours))),
    )


def _files(paths: Iterable[Path], includes: Sequence[Path]) -> Iterator[Path]:
    """Return all files that are meant: what lies in an include below a folder is there to be imported only."""
    for path in paths:
        if not path.is_dir():
            if path.suffix != ".proto":
                raise ConfigurationError(f"{str(path)!r} is not a .proto file")
            yield path
            continue
        inner = [root.resolve() for root in includes]
        inner = [root for root in inner if root.is_relative_to(path.resolve()) and root != path.resolve()]
        for entry in project_files(path, ".proto"):
            file = Path(entry.path)
            if not any(_located(file).is_relative_to(root) for root in inner):
                yield file


def _located(file: Path) -> Path:
    """Return the path of a file without links on the way; the file itself may be one, and keeps its name."""
    return file.parent.resolve() / file.name


def _distinct(folders: Iterable[Path]) -> list[Path]:
    """Return each folder once, however often and however differently it was written."""
    found: dict[Path, Path] = {}
    for folder in folders:
        found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _is_installed_root(root: Path, installed: InstalledProtos) -> bool:
    """Whether this folder is where the installed files are: it is Portcall itself that is compiled."""
    return any(root.resolve() == folder.parent for folder in installed.folders.values())
