"""What is kept between builds: blobs by their digests, wheels by their hashes, and what inputs led to which.

Nothing is there before it is whole: files are written beside their place and renamed. Everything may be removed at any
time, and comes again.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from portcall.image.errors import ImageError, writing
from portcall.image.oci import digest_of

PIECE = 1 << 20


def default_folder() -> Path:
    """Return where things are kept unless somebody says otherwise: where the user's programs keep theirs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "portcall"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of things to keep."""

    folder: Path

    def blob(self, digest: str) -> Path:
        """Return where a blob is, or would be."""
        return blob_path(self.folder, digest)

    def has(self, digest: str) -> bool:
        """Whether a blob is here."""
        return self.blob(digest).is_file()

    def partial(self, digest: str) -> Path:
        """Return where a blob gathers that has not come completely."""
        path = self.folder / "partial" / digest.partition(":")[2]
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def keep(self, content: bytes) -> str:
        """Keep a blob; return its digest."""
        digest = digest_of(content)
        if not self.has(digest):
            write_whole(self.blob(digest), content)
        return digest

    def adopt(self, path: Path, digest: str) -> None:
        """Make a finished file the blob with this digest, which the caller has checked."""
        place = self.blob(digest)
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            path.chmod(0o444)
            path.replace(place)

    @contextlib.contextmanager
    def new_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Open a file to write a blob to; it is gone afterwards unless it was adopted."""
        folder = self.folder / "partial"
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=folder)
        path = Path(name)
        try:
            with writing(self.folder), os.fdopen(handle, "wb") as file:
                yield file, path
        finally:
            path.unlink(missing_ok=True)

    def note(self, key: str, value: Any) -> None:
        """Remember what an input led to."""
        write_whole(self._note_path(key), json.dumps(value).encode())

    def noted(self, key: str) -> Any:
        """Return what an input led to, or None."""
        try:
            return json.loads(self._note_path(key).read_bytes())
        except (OSError, ValueError):
            return None

    def forget(self, key: str) -> None:
        """Forget it."""
        self._note_path(key).unlink(missing_ok=True)

    def wheel_folder(self, sha256: str) -> Path:
        """Return the folder that has the wheel with this hash and nothing else, or would have it."""
        return self.folder / "wheels" / sha256

    def wheel(self, sha256: str) -> Path | None:
        """Return a wheel by its hash, if it is here."""
        return next(iter(self.wheel_folder(sha256).glob("*.whl")), None)

    def _note_path(self, key: str) -> Path:
        return self.folder / "notes" / hashlib.sha256(key.encode()).hexdigest()


def blob_path(folder: Path, digest: str) -> Path:
    """Return the path of a blob in an OCI layout."""
    algorithm, _, digits = digest.partition(":")
    return folder / "blobs" / algorithm / digits


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees a part of it.

    Raises:
        ImageError: the disk will not have it.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def read_checked(path: Path, digest: str) -> bytes:
    """Return a blob.

    Raises:
        ImageError: it is not there, or is not what its digest says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from None
    if digest_of(content) != digest:
        raise ImageError(f"{path} is not what its name says. Remove it and run this again")
    return content
