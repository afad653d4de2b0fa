"""Layers: a set of files becomes a tar whose bytes depend on those files alone.

Entries are sorted; times, owners and modes are fixed; the disk's order, the user's umask and the clock have no say.
"""

import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Self

from portcall.image.errors import ImageError
from portcall.image.members import GzipMembers

FORMAT: Final = "1"
"""Changes whenever the same input gives other bytes; part of the key of everything that is kept."""

MTIME: Final = 315_532_800
"""1980-01-01, the oldest time that a zip can hold: some programs zip what they find."""

PIECE: Final = 1 << 16
"""Bytes that are read at once; deflated, they are at most a thousand times as many."""

_LOCAL_HEADER: Final = 30


@dataclass(frozen=True, slots=True)
class Text:
    """A file that we write."""

    content: bytes

    @property
    def size(self) -> int:
        """Return its length."""
        return len(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A file of the disk."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A file of a wheel."""

    wheel: Path
    name: str
    size: int


Content = Text | Copied | Packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, a link (if it has a target) or a folder (if it has no content either) of a layer."""

    content: Content | None = None
    target: str = ""
    mode: int = 0o644
    owner: int = 0


FOLDER: Final = Entry(mode=0o755)

Tree = Mapping[str, Entry]
"""Entries by their path, which begins at the root and without a slash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What was written: the digest of the blob, that of the tar inside it, and the sizes of both."""

    digest: str
    diff_id: str
    size: int
    unpacked_size: int


def write_layer(tree: Tree, out: BinaryIO) -> Layer:
    """Write a layer.

    Raises:
        ImageError: a file has changed while it was read, or a wheel is damaged.
    """
    writer = _LayerWriter(out)
    with _Wheels() as wheels:
        for path, entry in sorted(with_folders(tree).items()):
            writer.add(path, entry, wheels)
    return writer.close()


def with_folders(tree: Tree) -> dict[str, Entry]:
    """Return the tree with all folders that it needs."""
    folders = {str(parent): FOLDER for path in tree for parent in PurePosixPath(path).parents if str(parent) != "."}
    return folders | dict(tree)


class _Wheels:
    """Wheels, each opened once."""

    def __init__(self) -> None:
        self._opened: dict[Path, zipfile.ZipFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for wheel in self._opened.values():
            wheel.close()

    def open(self, path: Path) -> zipfile.ZipFile:
        if path not in self._opened:
            self._opened[path] = zipfile.ZipFile(path)
        return self._opened[path]


class _LayerWriter:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._packed, self._unpacked = hashlib.sha256(), hashlib.sha256()
        self._packed_size = self._unpacked_size = 0
        self._members = GzipMembers(self._write)

    def add(self, path: str, entry: Entry, wheels: _Wheels) -> None:
        self._plain(_header(path, entry))
        match entry.content:
            case None:
                return
            case Text(content):
                self._plain(content)
            case Copied():
                self._copy(entry.content)
            case Packed():
                self._unpack(entry.content, wheels.open(entry.content.wheel))
        self._plain(bytes(-entry.content.size % tarfile.BLOCKSIZE))

    def close(self) -> Layer:
        self._plain(bytes(-(self._unpacked_size + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE))
        self._members.close()
        return Layer(
            digest=f"sha256:{self._packed.hexdigest()}",
            diff_id=f"sha256:{self._unpacked.hexdigest()}",
            size=self._packed_size,
            unpacked_size=self._unpacked_size,
        )

    def _write(self, content: bytes) -> None:
        self._out.write(content)
        self._packed.update(content)
        self._packed_size += len(content)

    def _plain(self, content: bytes) -> None:
        self._note(content)
        self._members.plain(content)

    def _note(self, content: bytes) -> None:
        self._unpacked.update(content)
        self._unpacked_size += len(content)

    def _copy(self, copied: Copied) -> None:
        left = copied.size
        with copied.path.open("rb") as file:
            while left and (piece := file.read(min(PIECE, left))):
                self._plain(piece)
                left -= len(piece)
            if left or file.read(1):
                raise ImageError(f"{copied.path} has changed while it was read. Run this again")

    def _unpack(self, packed: Packed, wheel: zipfile.ZipFile) -> None:
        place = wheel.getinfo(packed.name)
        if place.compress_type != zipfile.ZIP_DEFLATED:
            with wheel.open(place) as file:
                while piece := file.read(PIECE):
                    self._plain(piece)
            return
        before = self._unpacked_size
        self._members.deflated(self._checked(wheel, place), crc=place.CRC, size=place.file_size)
        if self._unpacked_size - before != place.file_size:
            raise _damaged(wheel, place)

    def _checked(self, wheel: zipfile.ZipFile, place: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield a compressed file as it is, having noted what is in it."""
        inflating, crc = zlib.decompressobj(-zlib.MAX_WBITS), 0
        for piece in _raw(wheel, place):
            try:
                plain = inflating.decompress(piece)
            except zlib.error:
                raise _damaged(wheel, place) from None
            crc = zlib.crc32(plain, crc)
            self._note(plain)
            yield piece
        if crc != place.CRC or not inflating.eof or inflating.unused_data:
            raise _damaged(wheel, place)


def _raw(wheel: zipfile.ZipFile, place: zipfile.ZipInfo) -> Iterator[bytes]:
    file = wheel.fp
    assert file is not None
    file.seek(place.header_offset)
    header = file.read(_LOCAL_HEADER)
    name_length, extra_length = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    file.seek(name_length + extra_length, io.SEEK_CUR)
    left = place.compress_size
    while left:
        piece = file.read(min(PIECE, left))
        if not piece:
            raise _damaged(wheel, place)
        left -= len(piece)
        yield piece


def _damaged(wheel: zipfile.ZipFile, place: zipfile.ZipInfo) -> ImageError:
    return ImageError(f"{wheel.filename} is damaged at {place.filename}. Remove it and run this again")


def _header(path: str, entry: Entry) -> bytes:
    member = tarfile.TarInfo(path)
    member.mtime, member.mode, member.uid, member.gid = MTIME, entry.mode, entry.owner, entry.owner
    if entry.target:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.target, 0o777
    elif entry.content is None:
        member.type = tarfile.DIRTYPE
    else:
        member.size = entry.content.size
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def tree_key(*parts: Iterable[str] | str) -> str:
    """Return a key that is equal for equal inputs of a layer."""
    made = hashlib.sha256(FORMAT.encode())
    for part in parts:
        for text in (part,) if isinstance(part, str) else part:
            made.update(len(text.encode()).to_bytes(8, "little") + text.encode())
        made.update(b"\n")
    return made.hexdigest()
