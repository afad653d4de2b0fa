"""A backup is one moment of the store, whatever is written meanwhile."""

import threading
from pathlib import Path

import pytest

from portcall.core.jobs.batch import Batch, MethodOptionsRow
from portcall.store.errors import StoreUnavailableError
from portcall.store.sqlite import store as store_module
from portcall.store.sqlite.store import SQLiteStore
from tests.store.rows import METHOD, end, new_job, running

GROUP = 10
"""Jobs that are always written together."""


@pytest.fixture
def store(tmp_path: Path):
    store = SQLiteStore(tmp_path / "jobs.db")
    store.write(Batch(now=1.0, methods=[MethodOptionsRow(METHOD, b"")]))
    yield store
    store.close()


def write_group(store: SQLiteStore, first: int) -> None:
    store.write(Batch(now=1.0, appends=[running(id_, request=b"r" * 2_000) for id_ in range(first, first + GROUP)]))
    store.write(Batch(now=1.0, ends=[end(id_) for id_ in range(first, first + GROUP)]))


def test_a_backup_can_be_opened_and_holds_everything(store: SQLiteStore, tmp_path: Path) -> None:
    write_group(store, 1)
    store.backup(tmp_path / "copy.db")
    copy = SQLiteStore(tmp_path / "copy.db")
    ids = range(1, GROUP + 1)
    assert copy.reader().get(ids) == store.reader().get(ids)
    assert copy.reader().tallies() == store.reader().tallies()
    copy.close()
    assert not list(tmp_path.glob("*.part*"))


def test_a_backup_ends_while_others_write_on(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite begins a backup anew when it sees that something was written; here something is, after every page."""
    monkeypatch.setattr(store_module, "BACKUP_PAGES", 1)
    for group in range(30):
        write_group(store, 1 + group * GROUP)
    is_done = threading.Event()

    def copy() -> None:
        try:
            store.backup(tmp_path / "copy.db")
        finally:
            is_done.set()

    thread = threading.Thread(target=copy)
    thread.start()
    groups = 30
    while not is_done.is_set():
        write_group(store, 1 + groups * GROUP)
        groups += 1
    thread.join()
    copied = SQLiteStore(tmp_path / "copy.db")
    found = copied.reader().states(range(1, 1 + groups * GROUP))
    assert len(found) >= 30 * GROUP
    assert len(found) % GROUP == 0
    assert sum(tally.jobs for tally in copied.reader().tallies()) == len(found)
    copied.close()


def test_a_backup_overwrites_nothing(store: SQLiteStore, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(StoreUnavailableError, match=r"copy\.db is there already; a backup does not overwrite anything"):
        store.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_backup_to_nowhere_leaves_nothing(store: SQLiteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        store.backup(tmp_path / "nowhere" / "copy.db")
    store.write(Batch(now=1.0, appends=[new_job(1)]))


def test_what_is_made_is_for_its_owner_alone(store: SQLiteStore, tmp_path: Path) -> None:
    write_group(store, 1)
    store.backup(tmp_path / "copy.db")
    made = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert made.keys() >= {"jobs.db", "jobs.db-wal", "jobs.db-lock", "copy.db"}
    assert set(made.values()) == {"0o600"}, made
