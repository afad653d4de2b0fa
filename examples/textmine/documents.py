"""The documents below a directory: which there are, and what is written in them.

Whoever calls names the directory and the document, so a document is read only if it really is below the directory,
symbolic links resolved.
"""

import os
import stat
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Final

from terms import Kind

DOCUMENTS_MAX = 100_000
"""How many documents one listing names."""

DOCUMENT_BYTES_MAX = 4 * 1024 * 1024
"""Larger documents are neither listed nor read."""

_TEXT_SUFFIXES = ".txt .text .md .markdown .rst .adoc .tex .log .csv .tsv"
_HTML_SUFFIXES = ".html .htm .xhtml"
_SOURCE_SUFFIXES = (
    ".py .pyi .pyx .c .h .cc .cpp .cxx .hh .hpp .cs .java .kt .scala .swift .go .rs .rb .php .pl .lua .r .jl .sh "
    ".js .mjs .cjs .jsx .ts .tsx .vue .css .scss .sql .proto .toml .ini .cfg .yaml .yml .json .xml"
)
_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(_TEXT_SUFFIXES.split(), Kind.TEXT),
        **dict.fromkeys(_HTML_SUFFIXES.split(), Kind.HTML),
        **dict.fromkeys(_SOURCE_SUFFIXES.split(), Kind.SOURCE),
    }
)

_FOLDERS_OF_OTHERS: Final = frozenset({"__pycache__", "site-packages", "dist-packages", "node_modules"})
_FOLDERS_OF_TESTS: Final = frozenset({"test", "tests", "idle_test"})

_ENCODINGS: Final = ("utf-8-sig", "cp949")
"""Tried in this order. Older Korean documents are in CP949, and hardly any other text is valid in it by accident."""

_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class DocumentError(Exception):
    """A document, or a directory of documents, that cannot be had. The message says which, and why."""


class OutsideRootError(DocumentError):
    """The path leads out of the directory."""


class MissingError(DocumentError):
    """There is no such directory, or no such file in it."""


class UnreadableError(DocumentError):
    """The file is there, but the system will not let us read it."""


class Skipped(Enum):
    """Why a document that is there has no text."""

    BINARY = "binary"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file of a known kind; `id` is its path below the root, with `/` between the parts."""

    id: str
    size_bytes: int
    kind: Kind


def find(root: str, *, documents_max: int = 0, document_bytes_max: int = 0) -> Iterator[Document]:
    """Name the documents below `root`, or of the Python standard library if it is empty. A limit of 0 is our own.

    Left out are symbolic links, hidden files and folders, folders of installed packages, names that cannot be
    written in UTF-8, and files of unknown kind; of the standard library its tests, too. Raises `MissingError`.
    """
    folder = _directory(root)
    others = _FOLDERS_OF_OTHERS if root else _FOLDERS_OF_OTHERS | _FOLDERS_OF_TESTS
    limit = _at_most(documents_max, DOCUMENTS_MAX)
    for document in _walk(folder, others, _at_most(document_bytes_max, DOCUMENT_BYTES_MAX)):
        if limit == 0:
            return
        limit -= 1
        yield document


def read(root: str, document_id: str) -> str | Skipped:
    """Return the text of one document.

    Raises `OutsideRootError` for a path that leads out of `root`, by `..`, as an absolute path or over a symbolic link;
    `MissingError` and `UnreadableError` for what the system says.
    """
    path = _path_of(_directory(root), document_id)
    try:
        with path.open("rb") as file:
            raw = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise UnreadableError(f"cannot read {document_id!r}: {error.strerror}") from error
    return Skipped.TOO_LARGE if len(raw) > DOCUMENT_BYTES_MAX else decoded(raw)


def kind_of(document_id: str) -> Kind:
    """Return the kind that the name speaks of; without a known suffix, text."""
    return _KINDS.get(_suffix(document_id), Kind.TEXT)


def decoded(raw: bytes) -> str | Skipped:
    """Return the text that the bytes stand for."""
    if raw.startswith(_UTF16_MARKS):
        return _decoded_as(("utf-16",), raw)
    if b"\0" in raw:
        return Skipped.BINARY
    return _decoded_as(_ENCODINGS, raw)


def _decoded_as(encodings: tuple[str, ...], raw: bytes) -> str | Skipped:
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return Skipped.UNDECODABLE


def _directory(root: str) -> Path:
    path = Path(root or sysconfig.get_path("stdlib"))
    try:
        folder = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise MissingError(f"there is no directory {str(path)!r} on this host") from error
    if not folder.is_dir():
        raise MissingError(f"{str(path)!r} is not a directory")
    return folder


def _path_of(folder: Path, document_id: str) -> Path:
    try:
        path = (folder / document_id).resolve()
        is_file = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise MissingError(f"{document_id!r} cannot be a path: {error}") from error
    if not path.is_relative_to(folder):
        raise OutsideRootError(f"{document_id!r} leads out of {str(folder)!r}; ask for a path below it")
    if not is_file:
        raise MissingError(f"there is no file {document_id!r} in {str(folder)!r}")
    return path


def _walk(folder: Path, others: frozenset[str], document_bytes_max: int) -> Iterator[Document]:
    # The order is part of the promise, and os.walk goes down in the order that it finds `folders` in.
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in others and _is_plain(name))
        for name in sorted(filter(_is_plain, names)):
            kind = _KINDS.get(_suffix(name))
            if kind is None:
                continue
            path = Path(parent, name)
            size_bytes = _regular_size_bytes(path)
            if size_bytes is not None and size_bytes <= document_bytes_max:
                yield Document(id=path.relative_to(folder).as_posix(), size_bytes=size_bytes, kind=kind)


def _regular_size_bytes(path: Path) -> int | None:
    """Return the size of a regular file, and nothing of any other, or of one that has gone meanwhile."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _is_plain(name: str) -> bool:
    return name.isprintable() and not name.startswith(".")


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


def _at_most(asked: int, bound: int) -> int:
    return min(asked or bound, bound)
