"""The store in a SQLite file: one writer, any number of readers, a log that is flushed at each commit.

Theory of operation. The hub's writer thread calls `write` with whatever has gathered; that is one transaction and one
flush. SQLite's write-ahead log lets readers on connections of their own go on meanwhile. All that a job needs on its
way is one row that is written at most three times and two short index entries; the rest of the schema is for what is
rare.
"""

import os
import sqlite3
from pathlib import Path

from portcall.core.jobs.batch import Batch, Stored, Written
from portcall.store.errors import StoreError, StoreUnavailableError
from portcall.store.sqlite.checking import check_copy
from portcall.store.sqlite.file import (
    FileLock,
    check_path,
    flush_folder,
    identity_of,
    make_file,
    open_database,
    translated,
)
from portcall.store.sqlite.reading import SQLiteReader, read_stored
from portcall.store.sqlite.writing import Writing

BACKUP_PAGES = 256
"""Pages that a backup copies in one go, 2 MB; between two of them a writer may pass."""


class SQLiteStore:
    """Keeps jobs in a file. See `portcall.store.protocol.Store`.

    Raises:
        StoreInUseError: another process, or another store in this one, has the file open.
        StoreDamagedError, StoreNotOursError, StoreUnavailableError: it cannot be opened; the message says what to do.
    """

    def __init__(self, path: Path) -> None:
        # Whatever leads to it: SQLite's log and our lock have to be beside the file itself.
        self.path = path = Path(os.path.realpath(path))
        check_path(path)
        self._lock = FileLock(path)
        self._is_suspect = False
        try:
            self._begin()
        except BaseException:
            self._lock.release()
            raise

    def stored(self) -> Stored:
        """Return what an engine has to know to begin with."""
        with translated(self.path):
            stored, _ = read_stored(self._writing.connection)
        return stored

    def write(self, batch: Batch) -> Written:
        """Perform a batch, all of it or nothing, and flush it to the disk."""
        self._check_identity()
        if self._is_suspect:
            # What a connection found out about its file, say that it is read-only, it does not find out anew.
            self._writing.connection.close()
            self._begin()
        try:
            with translated(self.path):
                return self._writing.perform(batch)
        except StoreUnavailableError as error:
            self._is_suspect = not error.is_full
            raise

    def reader(self) -> SQLiteReader:
        """Return a reader of this file, on a connection of its own."""
        return SQLiteReader(self.path)

    def backup(self, target: Path) -> None:
        """Copy all that is committed to a new file, which appears when it is whole and sound."""
        if target.exists():
            raise StoreUnavailableError(f"{target} is there already; a backup does not overwrite anything")
        part = target.with_name(target.name + ".part")
        part.unlink(missing_ok=True)
        try:
            make_file(part)
            with translated(self.path):
                source = sqlite3.connect(self.path, isolation_level=None)
                copy = sqlite3.connect(part, isolation_level=None)
                try:
                    # Without a transaction that holds on to one moment, each commit of the writer's would send the
                    # backup back to its beginning.
                    source.execute("BEGIN")
                    source.execute("SELECT count(*) FROM method").fetchone()
                    source.backup(copy, pages=BACKUP_PAGES, sleep=0.0)
                finally:
                    copy.close()
                    source.close()
            check_copy(part, self.path)
            part.rename(target)
            flush_folder(target.parent)
        except OSError as error:
            raise StoreUnavailableError(f"cannot write the backup {target}: {error.strerror}") from error
        finally:
            for ending in ("", "-wal", "-shm"):
                part.with_name(part.name + ending).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._writing.connection.close()
        self._lock.release()

    def _begin(self) -> None:
        connection = open_database(self.path)
        try:
            with translated(self.path):
                _, counts = read_stored(connection)
        except (StoreError, sqlite3.Error):
            connection.close()
            raise
        self._writing = Writing(connection, counts)
        self._identity = identity_of(self.path)
        self._is_suspect = False

    def _check_identity(self) -> None:
        """Refuse to write into a file that has lost its name: nobody would ever find it again."""
        if identity_of(self.path) != self._identity:
            raise StoreUnavailableError(
                f"{self.path} is not the file any more that this hub has opened: it was moved, removed or replaced. Put"
                " it back; or restart the hub to go on with what is there now"
            )
