"""Looking through all of a file. It takes as long as reading it does, so a large one is not when a hub opens it."""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from portcall.store.errors import StoreDamagedError, StoreNotOursError
from portcall.store.sqlite.file import BUSY_S, check_version, damage_in, damaged, store_error, translated

FAULTS_MAX = 10
"""What is told of a damaged file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file that is sound."""

    jobs: int
    size: int


def check_file(path: Path) -> Checked:
    """Look through a store or a backup, every page and every index; nothing is written to it. A hub may have it open.

    Raises:
        StoreDamagedError: it is not what a store wrote; the message says what is wrong.
        StoreNotOursError, StoreUnavailableError: it cannot be looked at.
    """
    if not path.is_file():
        raise StoreNotOursError(f"there is no file {path}")
    path = Path(os.path.realpath(path))  # beside which its log is
    if not path.stat().st_size:
        raise StoreNotOursError(f"{path} is empty: no hub has kept jobs in it")
    log = path.with_name(path.name + "-wal")
    if log.exists():
        return _look_through(path, "mode=ro")
    try:
        # Nobody has it open, and SQLite need not leave a log behind.
        return _look_through(path, "immutable=1")
    except StoreDamagedError:
        if not log.exists():
            raise
    # A hub has come meanwhile, and changes what was looked at as if nobody did.
    return _look_through(path, "mode=ro")


def _look_through(path: Path, how: str) -> Checked:
    with translated(path):
        connection = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=BUSY_S)
        try:
            check_version(connection, path)
            faults = damage_in(connection, f"integrity_check({FAULTS_MAX})")
            if faults:
                raise damaged(path, "; ".join(faults))
            jobs = connection.execute("SELECT count(*) FROM job").fetchone()[0]
        finally:
            connection.close()
    return Checked(jobs=jobs, size=path.stat().st_size)


def check_copy(copy: Path, original: Path) -> None:
    """Look through a copy that was made page by page, and so has whatever is wrong with the original.

    Raises:
        StoreDamagedError: the original is damaged.
        StoreUnavailableError: the copy cannot be looked at; there may be no room for it.
    """
    connection = sqlite3.connect(copy, isolation_level=None)
    try:
        faults = damage_in(connection, "quick_check(1)")
    except sqlite3.DatabaseError as error:
        trouble = store_error(copy, error)
        if not isinstance(trouble, StoreDamagedError):
            raise trouble or error from error
        faults = [str(error)]
    finally:
        connection.close()
    if faults:
        raise StoreDamagedError(
            f"{original} is damaged: {faults[0]}. No backup was made of it; keep those that were made before"
        )
