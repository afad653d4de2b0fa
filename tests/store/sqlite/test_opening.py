"""What can be at the path of a store, and what is said of it."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from portcall.core.jobs.batch import Batch, MethodOptionsRow
from portcall.store.errors import StoreDamagedError, StoreInUseError, StoreNotOursError, StoreUnavailableError
from portcall.store.sqlite import file as file_of_store
from portcall.store.sqlite.migrations import VERSION
from portcall.store.sqlite.store import SQLiteStore
from tests.store.rows import METHOD, new_job

JOBS = 300
PAGE = file_of_store.PAGE_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with jobs in it."""
    path = tmp_path / "jobs.db"
    store = SQLiteStore(path)
    store.write(Batch(now=1.0, methods=[MethodOptionsRow(METHOD, b"")]))
    store.write(Batch(now=1.0, appends=[new_job(id_, request=b"r" * 500) for id_ in range(1, JOBS + 1)]))
    store.close()
    return path


def test_a_second_store_on_the_same_file_is_refused(path: Path) -> None:
    first = SQLiteStore(path)
    with pytest.raises(
        StoreInUseError, match=r"is in use by another hub \(process \d+\)\. Two hubs cannot share a file"
    ):
        SQLiteStore(path)
    first.close()
    SQLiteStore(path).close()


def test_a_second_store_is_refused_by_whatever_name_it_comes(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "other" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    store = SQLiteStore(link)
    with pytest.raises(StoreInUseError):
        SQLiteStore(path)
    store.close()
    assert list(link.parent.iterdir()) == [link]


def test_the_lock_of_a_process_that_was_killed_is_free(path: Path) -> None:
    code = (
        f"from pathlib import Path; from portcall.store.sqlite.store import SQLiteStore as S; S(Path({str(path)!r}));"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{code} print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"open\n"
    with pytest.raises(StoreInUseError, match=f"process {holder.pid}"):
        SQLiteStore(path)
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    SQLiteStore(path).close()


@pytest.mark.parametrize("page", [2, 5, 12])
def test_a_damaged_file_is_told_of_and_never_written_to(path: Path, page: int) -> None:
    content = bytearray(path.read_bytes())
    content[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)
    with pytest.raises(
        StoreDamagedError, match=r"is damaged: .+\. Nothing was written to it\. Put a backup in its place"
    ):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_a_file_that_is_cut_short_is_damaged(path: Path) -> None:
    content = path.read_bytes()[: 5 * PAGE + 100]
    path.write_bytes(content)
    with pytest.raises(StoreDamagedError):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_damage_that_is_found_later_ends_no_process_and_writes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_of_store, "CHECKED_BYTES_MAX", 0)
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // PAGE):
        content[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)
    with pytest.raises(StoreDamagedError):
        _claim_all(path)
    assert path.read_bytes() == content


def _claim_all(path: Path) -> None:
    store = SQLiteStore(path)
    try:
        store.write(Batch(now=2.0, forget=range(1, JOBS), cancels=range(1, JOBS)))
    finally:
        store.close()


def test_a_text_is_no_store_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    with pytest.raises(StoreDamagedError, match="not a database"):
        SQLiteStore(path)
    assert path.read_text() == "dear diary, " * 100


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmark (url TEXT)")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(StoreNotOursError, match="is a database of another program; give the hub a file of its own"):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    content = path.read_bytes()
    words = (
        rf"was written by a newer Portcall \(its version is {VERSION + 1}, this one knows {VERSION}\); upgrade this hub"
    )
    with pytest.raises(StoreNotOursError, match=words):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_a_log_without_its_file_is_not_thrown_away(path: Path) -> None:
    log = path.with_name("jobs.db-wal")
    log.write_bytes(b"something that was committed")
    path.unlink()
    with pytest.raises(StoreDamagedError, match=r"is gone, but its log jobs\.db-wal is still there"):
        SQLiteStore(path)
    assert log.exists()
    assert not path.exists()


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.touch()
    store = SQLiteStore(path)
    assert store.stored().methods == []
    store.close()


def test_a_folder_is_no_place_for_jobs(tmp_path: Path) -> None:
    with pytest.raises(StoreNotOursError, match="is not a file; name the file that jobs are to be kept in"):
        SQLiteStore(tmp_path)


def test_the_folder_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(StoreNotOursError, match=r"there is no folder .*nowhere; make it first"):
        SQLiteStore(tmp_path / "nowhere" / "jobs.db")


def test_a_folder_that_nobody_may_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)  # root may write anywhere, and this may run as root
    with pytest.raises(StoreUnavailableError, match=r"cannot open .*jobs\.db-lock: Permission denied"):
        SQLiteStore(tmp_path / "jobs.db")


def test_closing_twice_is_harmless(path: Path) -> None:
    store = SQLiteStore(path)
    reader = store.reader()
    reader.close()
    reader.close()
    store.close()
    store.close()
