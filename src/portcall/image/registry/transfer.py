"""What goes between a store and a registry: manifests and blobs, checked, and taken up where a connection broke."""

import hashlib
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

import urllib3

from portcall.image.errors import ImageError, writing
from portcall.image.oci import (
    INDEXES,
    MANIFESTS,
    Descriptor,
    describe,
)
from portcall.image.progress import Progress
from portcall.image.registry.connection import TRIES_MAX, Answer, Connection, DroppedError
from portcall.image.store import Store

PIECE = 1 << 18
WHOLE_MAX = 1 << 20
"""Largest blob that is sent in one piece, which takes half the requests and cannot go on in the middle."""

_ACCEPT = ", ".join(sorted(INDEXES | MANIFESTS))
_OCTETS = "application/octet-stream"
_UPLOAD_LOST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})
"""What a registry answers whose upload has ended, or is not as far as it said: it was still writing what had come."""


def short(digest: str) -> str:
    """Return enough of a digest for people."""
    return digest.partition(":")[2][:12]


class Transfer:
    """Moves blobs of one repository. Everything may be tried again, and goes on where it was."""

    def __init__(self, connection: Connection, store: Store, progress: Progress) -> None:
        self._connection = connection
        self._store = store
        self._progress = progress

    # --- from the registry ------------------------------------------------------------------------------------------

    def manifest(self, which: str) -> tuple[Descriptor, bytes]:
        """Return a manifest or an index by its tag or digest.

        Raises:
            ConfigurationError: there is none, or we may not read it.
            ImageError: the registry does not work, or gives something else.
        """
        connection = self._connection
        answer = connection.ask("GET", connection.url(f"manifests/{which}"), headers={"Accept": _ACCEPT})
        if answer.status != HTTPStatus.OK:
            raise connection.refused(answer, f"read {connection.repository} at {which}")
        found = describe(answer.body, answer.headers.get("Content-Type", "").partition(";")[0])
        if which.startswith("sha256:") and found.digest != which:
            raise ImageError(f"{connection.registry} gives something else than {which}. Do not trust what is between")
        if found.media_type not in INDEXES | MANIFESTS:
            raise ImageError(f"{connection.registry} has {found.media_type or 'something'} at {which}, and no image")
        return found, answer.body

    def fetch(self, blob: Descriptor) -> Path:
        """Bring a blob into the store; return where it is.

        Raises:
            ConfigurationError: there is none, or we may not read it.
            ImageError: the connection broke too often, the disk is full, or something else came.
        """
        if self._store.has(blob.digest):
            return self._store.blob(blob.digest)
        partial = self._store.partial(blob.digest)
        had = -1
        tries = 1
        while partial_size(partial) < blob.size:
            size = partial_size(partial)
            tries = 1 if size > had >= 0 else tries  # it goes on, if slowly
            had = size
            try:
                self._fetch_rest(blob, partial, size)
            except DroppedError as error:
                if tries == TRIES_MAX:
                    raise self._connection.unreachable(error) from None
                tries += 1
                self._connection.wait_before(tries)
        if f"sha256:{_hash(partial)}" != blob.digest:
            partial.unlink()
            raise ImageError(f"{self._connection.registry} gave something else than {blob.digest}. Run this again")
        self._store.adopt(partial, blob.digest)
        return self._store.blob(blob.digest)

    def _fetch_rest(self, blob: Descriptor, partial: Path, size: int) -> None:
        connection = self._connection
        headers = {"Range": f"bytes={size}-"} if size else {}
        response = connection.open("GET", connection.url(f"blobs/{blob.digest}"), headers=headers)
        try:
            if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                answer = Answer(status=response.status, headers=response.headers, body=response.read(4096), url="")
                if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise DroppedError(f"{response.status} {answer.words}")
                raise connection.refused(answer, f"read the blob {blob.digest}")
            begin = size if response.status == HTTPStatus.PARTIAL_CONTENT else 0
            self._write_rest(response, blob, partial, begin)
        except urllib3.exceptions.HTTPError as error:
            raise DroppedError(str(error)) from None
        finally:
            response.close()

    def _write_rest(self, response: urllib3.BaseHTTPResponse, blob: Descriptor, partial: Path, begin: int) -> None:
        with writing(partial), partial.open("ab") as file:
            file.truncate(begin)
            for piece in response.stream(PIECE, decode_content=False):
                begin += len(piece)
                if begin > blob.size:
                    raise ImageError(f"{self._connection.registry} gives more of {blob.digest} than there should be")
                file.write(piece)
                self._progress.moved(f"pull {short(blob.digest)}", begin, blob.size)

    # --- to the registry --------------------------------------------------------------------------------------------

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        answer = self._connection.ask("HEAD", self._connection.url(f"blobs/{digest}"))
        if answer.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            return answer.status == HTTPStatus.OK
        raise self._connection.refused(answer, f"read {self._connection.repository}")

    def push(self, blob: Descriptor, find: Callable[[Descriptor], Path], mount_from: str = "") -> bool:
        """Send a blob unless the repository has it; return whether anything had to be sent.

        Args:
            blob: what to send.
            find: tells where it is, if it has to be sent.
            mount_from: another repository of the registry, that may have it.

        Raises:
            ConfigurationError: we may not write there.
            ImageError: the connection broke too often.
        """
        if self.has_blob(blob.digest):
            return False
        begun = self._store.noted(self._upload_key(blob))
        if isinstance(begun, str) and self._connection.is_ours(begun):
            self._upload(blob, find(blob), begun, is_new=False)
            return True
        location = self._begin_upload(blob, mount_from)
        if not location:
            return False
        self._upload(blob, find(blob), location, is_new=True)
        return True

    def push_manifest(self, which: str, content: bytes, media_type: str) -> None:
        """Put a manifest or an index under its digest or a tag, when all that it names is there.

        Raises:
            ConfigurationError, ImageError: as `push`.
        """
        connection = self._connection
        for tries in range(1, TRIES_MAX + 1):
            try:
                answer = connection.ask_once(
                    "PUT", connection.url(f"manifests/{which}"), headers={"Content-Type": media_type}, body=content
                )
            except DroppedError as error:
                if tries == TRIES_MAX:
                    raise connection.unreachable(error) from None
                connection.wait_before(tries + 1)
                continue
            if answer.status == HTTPStatus.CREATED:
                return
            if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR or tries == TRIES_MAX:
                raise connection.refused(answer, f"write {connection.repository} at {which}")
            connection.wait_before(tries + 1, answer)

    def _upload_key(self, blob: Descriptor) -> str:
        return f"upload of {blob.digest} to {self._connection.registry}/{self._connection.repository}"

    def _begin_upload(self, blob: Descriptor, mount_from: str) -> str:
        """Begin an upload; return where to send the blob to, "" if it has been mounted instead."""
        connection = self._connection
        query = f"?{urlencode({'mount': blob.digest, 'from': mount_from})}" if mount_from else ""
        answer = connection.ask("POST", connection.url(f"blobs/uploads/{query}"), headers={"Content-Length": "0"})
        if answer.status == HTTPStatus.CREATED:
            return ""
        if answer.status != HTTPStatus.ACCEPTED:
            raise connection.refused(answer, f"write to {connection.repository}")
        return connection.location_of(answer)

    def _upload(self, blob: Descriptor, path: Path, location: str, *, is_new: bool) -> None:
        if is_new and blob.size <= WHOLE_MAX:
            try:
                return self._finish(blob, location, path.read_bytes())
            except DroppedError:
                is_new = False  # as a large one, then, which goes on until it is there
        key, had, tries, offset = self._upload_key(blob), -1, 1, 0
        while True:
            self._store.note(key, location)
            try:
                if had >= 0 or not is_new:
                    location, offset = self._ask_progress(location)
                if not location:  # the registry has given the upload up
                    self._store.forget(key)
                    location, offset, had = self._begin_upload(blob, ""), 0, -1
                tries = 1 if offset > had >= 0 else tries
                had = offset
                self._send_rest(blob, path, location, offset)
            except DroppedError as error:
                if tries == TRIES_MAX:
                    raise self._connection.unreachable(error) from None
                tries += 1
                self._connection.wait_before(tries)
                continue
            self._store.forget(key)
            return None

    def _ask_progress(self, location: str) -> tuple[str, int]:
        """Ask how much of an upload has come; return where to send the rest to, "" if it is forgotten."""
        answer = self._connection.ask("GET", location)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            return "", 0
        last = answer.headers.get("Range", "0-0").removeprefix("bytes=").rpartition("-")[2]
        offset = int(last) + 1 if last.isdigit() and int(last) else 0  # "0-0" is how most say that nothing has come
        return (self._connection.location_of(answer) if answer.headers.get("Location") else location), offset

    def _send_rest(self, blob: Descriptor, path: Path, location: str, offset: int) -> None:
        connection = self._connection
        if offset < blob.size:
            with path.open("rb") as file:
                file.seek(offset)
                body = _Told(file, blob, offset, self._progress, connection.check)
                headers = {
                    "Content-Type": _OCTETS,
                    "Content-Length": str(blob.size - offset),
                    "Content-Range": f"{offset}-{blob.size - 1}",
                }
                answer = connection.ask_once("PATCH", location, headers=headers, body=body)
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _UPLOAD_LOST:
                raise DroppedError(f"{answer.status} {answer.words}")
            if answer.status not in (HTTPStatus.ACCEPTED, HTTPStatus.CREATED):
                self._store.forget(self._upload_key(blob))
                raise connection.refused(answer, f"write to {connection.repository}")
            location = connection.location_of(answer)
        self._finish(blob, location)

    def _finish(self, blob: Descriptor, location: str, rest: bytes = b"") -> None:
        """End an upload by what is left of the blob."""
        connection = self._connection
        url = f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': blob.digest})}"
        headers = {"Content-Length": str(len(rest)), "Content-Type": _OCTETS}
        answer = connection.ask_once("PUT", url, headers=headers, body=rest or None)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _UPLOAD_LOST:
            raise DroppedError(f"{answer.status} {answer.words}")
        if answer.status != HTTPStatus.CREATED:
            self._store.forget(self._upload_key(blob))
            raise connection.refused(answer, f"write the blob {blob.digest}")


class _Told:
    """A file that says how far it was read."""

    def __init__(
        self, file: BinaryIO, blob: Descriptor, offset: int, progress: Progress, check: Callable[[], None]
    ) -> None:
        self._file, self._blob, self._done, self._progress, self._check = file, blob, offset, progress, check

    def read(self, size: int = -1) -> bytes:
        self._check()
        piece = self._file.read(size)
        self._done += len(piece)
        if piece:
            self._progress.moved(f"push {short(self._blob.digest)}", self._done, self._blob.size)
        return piece


def partial_size(path: Path) -> int:
    """Return how much of a blob is here already."""
    return path.stat().st_size if path.exists() else 0


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def total_size(blobs: Iterable[Descriptor]) -> int:
    """Return the size of blobs that are sent once each."""
    return sum({blob.digest: blob.size for blob in blobs}.values())
