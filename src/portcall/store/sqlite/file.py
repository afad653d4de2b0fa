"""Opening the file: the lock that keeps others out, what must be true of it, and what SQLite's errors mean.

The lock is `flock` on a file beside the database. Not on the database: POSIX drops a process's own locks on a file when
it closes any descriptor of it, so that SQLite's would go with ours.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portcall.store.errors import (
    StoreDamagedError,
    StoreError,
    StoreInUseError,
    StoreNotOursError,
    StoreUnavailableError,
)
from portcall.store.sqlite.migrations import APPLICATION_ID, VERSION, migrate

SQLITE_VERSION_MIN = (3, 38, 0)
"""STRICT tables came with 3.37, the `->>` operator with 3.38."""

PAGE_BYTES = 8_192
"""Larger than SQLite's own 4,096: a fifth less time for a batch, since fewer pages are written."""

CACHE_BYTES = 64 << 20

CHECKPOINT_PAGES = 4_000
"""When the log is copied into the file: after 32 MB. Rarely enough that a job's row, written three times within a
second or two, is copied once."""

LOG_BYTES_MAX = 64 << 20
"""What the log is cut back to after it has had to grow."""

STATEMENTS_CACHED = 512
"""Compiled statements that are kept; some are long, and there is one for each number of rows and kind of columns."""

BUSY_S = 5.0
"""How long to wait for another program that looks into the file."""

CHECKED_BYTES_MAX = 64 << 20
"""A file up to this size is looked through when it is opened, which takes less than half a second. `checking` does so
with any file."""

_FULL = frozenset({sqlite3.SQLITE_FULL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_PASSING = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a store's. What is neither passing nor damage is a defect of ours, and goes through."""
    try:
        yield
    except sqlite3.Error as error:
        raised = store_error(path, error)
        if raised is None:
            raise
        raise raised from error


def store_error(path: Path, error: sqlite3.Error) -> StoreError | None:
    """Return the store's error for one of SQLite's, or None for a defect of ours."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if code in _DAMAGED:
        return damaged(path, str(error))
    if code in _FULL:
        return StoreUnavailableError(f"there is no room for {path}: {error}. Free some, and it goes on", is_full=True)
    if code == sqlite3.SQLITE_BUSY:
        return StoreUnavailableError(f"another program has locked {path} for {BUSY_S:g} s: {error}")
    if code in _PASSING:
        return StoreUnavailableError(f"cannot use {path}: {error}")
    return None


def damaged(path: Path, words: str) -> StoreDamagedError:
    """Return the error for a damaged file, with what to do."""
    return StoreDamagedError(
        f"{path} is damaged: {words}. Nothing was written to it. Put a backup in its place, or move it away to begin"
        " with an empty store"
    )


class FileLock:
    """Keeps a second store from the same file, in this process or another. Goes with the process, however it ends."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + "-lock")
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailableError(f"cannot open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 100).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreInUseError(
                f"{database} is in use by another hub (process {holder}). Two hubs cannot share a file: stop that one,"
                " or give this one a file of its own"
            ) from None
        with suppress(OSError):  # on a full disk, others are not told who has it
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others in. Idempotent. The file stays: to remove it would let two in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_database(path: Path) -> sqlite3.Connection:
    """Return a connection that may write, to a file of the newest version; the lock must be held.

    Raises:
        StoreDamagedError, StoreNotOursError, StoreUnavailableError: it cannot be opened; it was not touched.
    """
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        wanted = ".".join(map(str, SQLITE_VERSION_MIN))
        raise StoreNotOursError(f"this Python has SQLite {sqlite3.sqlite_version}; jobs need {wanted} or newer")
    is_new = _is_new(path)
    if is_new:
        make_file(path)
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_CACHED
        )
        try:
            if is_new:
                connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            else:
                _check_content(connection, path)
            _configure(connection)
            migrate(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def make_file(path: Path) -> None:
    """Make an empty file, if there is none, that its owner alone can read: requests and replies may be secret.

    SQLite gives its log and the rest beside it the rights of the file.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailableError(f"cannot open {path}: {error.strerror}") from error


def flush_folder(folder: Path) -> None:
    """Let the name of a new file survive the loss of power, as its content does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads."""
    with translated(path):
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = {-CACHE_BYTES // 4 // 1024}")
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreUnavailableError(f"SQLite will not keep a write-ahead log here (it says {mode!r}); use a local disk")
    # Each commit is flushed to the disk before it is acknowledged. Not a setting: it is what a store is for.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_MAX}")
    connection.execute(f"PRAGMA cache_size = {-CACHE_BYTES // 1024}")
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")


def check_path(path: Path) -> None:
    """Refuse a path where there can be no store, before anything is made beside it."""
    if path.exists() and not path.is_file():
        raise StoreNotOursError(f"{path} is not a file; name the file that jobs are to be kept in")
    if not path.parent.is_dir():
        raise StoreNotOursError(f"there is no folder {path.parent}; make it first")


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at a path from any other; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_new(path: Path) -> bool:
    """Return whether the file is to be made; refuse one that has lost all but its log."""
    if path.exists() and path.stat().st_size:
        return False
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise StoreDamagedError(
            f"{path} is {'empty' if path.exists() else 'gone'}, but its log {log.name} is still there. Put a backup in"
            f" its place, or move {log.name} away to begin with an empty store"
        )
    return True


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is no store, or a newer one's.

    Raises:
        StoreNotOursError: it is such a one.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and tables:
        raise StoreNotOursError(f"{path} is a database of another program; give the hub a file of its own")
    if version > VERSION:
        raise StoreNotOursError(
            f"{path} was written by a newer Portcall (its version is {version}, this one knows {VERSION}); upgrade"
            " this hub"
        )


def damage_in(connection: sqlite3.Connection, pragma: str) -> list[str]:
    """Return what SQLite finds wrong with a file; nothing if it is sound."""
    found = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}")]
    return [] if found == ["ok"] else [" ".join(one.removeprefix("*** in database main ***").split()) for one in found]


def _check_content(connection: sqlite3.Connection, path: Path) -> None:
    check_version(connection, path)
    if path.stat().st_size <= CHECKED_BYTES_MAX:
        faults = damage_in(connection, "quick_check(1)")
        if faults:
            raise damaged(path, faults[0])
