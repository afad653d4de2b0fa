"""Fills the small disk that it is given, and goes on when there is room again."""

import sys
from pathlib import Path

from portcall.core.jobs.batch import Batch, MethodOptionsRow
from portcall.store.errors import StoreUnavailableError
from portcall.store.sqlite.store import SQLiteStore
from tests.store.rows import METHOD, new_job

ATTEMPTS_MAX = 10_000


def main(folder: Path) -> None:
    """Write until the disk is full, free some of it, and write on."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"b" * 1_000_000)
    store = SQLiteStore(folder / "jobs.db")
    store.write(Batch(now=1.0, methods=[MethodOptionsRow(METHOD, b"")]))
    written, is_full = 0, False
    for id_ in range(1, ATTEMPTS_MAX):
        try:
            store.write(Batch(now=1.0, appends=[new_job(id_, request=b"r" * 9_000)]))
        except StoreUnavailableError as error:
            is_full = error.is_full
            break
        written = id_
    assert is_full
    assert written
    reader = store.reader()
    assert len(reader.states(range(ATTEMPTS_MAX))) == written
    ballast.unlink()
    store.write(Batch(now=1.0, appends=[new_job(written + 1, request=b"r" * 9_000)]))
    assert len(reader.states(range(ATTEMPTS_MAX))) == written + 1
    reader.close()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
