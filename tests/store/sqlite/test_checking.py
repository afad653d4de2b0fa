"""What is said of a file that is looked through, and of one that should be backed up."""

import sqlite3
from pathlib import Path
from typing import NoReturn

import pytest

from portcall.core.jobs.batch import Batch, MethodOptionsRow
from portcall.store.errors import StoreDamagedError, StoreNotOursError, StoreUnavailableError
from portcall.store.sqlite import checking
from portcall.store.sqlite import file as file_of_store
from portcall.store.sqlite.checking import check_file
from portcall.store.sqlite.store import SQLiteStore
from tests.store.rows import METHOD, new_job

JOBS = 300
PAGE = file_of_store.PAGE_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jobs #1?.db"
    store = SQLiteStore(path)
    store.write(Batch(now=1.0, methods=[MethodOptionsRow(METHOD, b"")]))
    store.write(Batch(now=1.0, appends=[new_job(id_, request=b"r" * 500) for id_ in range(1, JOBS + 1)]))
    store.close()
    return path


def damage(path: Path) -> None:
    """Write over the middle of a page of the table of jobs, which a hub that starts does not read."""
    content = bytearray(path.read_bytes())
    page = max(number for number in range(len(content) // PAGE) if content[number * PAGE] == 0x0D)
    content[page * PAGE + 8 : page * PAGE + 40] = b"\xff" * 32
    path.write_bytes(content)


def test_a_sound_file_is_told_as_such_also_while_it_is_in_use(path: Path) -> None:
    before = sorted(path.parent.iterdir())
    assert check_file(path).jobs == JOBS
    assert sorted(path.parent.iterdir()) == before
    store = SQLiteStore(path)
    store.write(Batch(now=1.0, appends=[new_job(JOBS + 1)]))
    checked = check_file(path)
    assert (checked.jobs, checked.size) == (JOBS + 1, path.stat().st_size)
    store.write(Batch(now=1.0, appends=[new_job(JOBS + 2)]))
    store.close()


def test_a_store_in_use_is_read_with_its_log_by_whatever_name_it_comes(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "other" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    store = SQLiteStore(path)
    store.write(Batch(now=1.0, appends=[new_job(JOBS + 1)]))
    assert check_file(link).jobs == JOBS + 1
    store.close()


def test_a_copy_that_cannot_be_looked_at_does_not_blame_the_original(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_no_room(*_: object) -> NoReturn:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(checking, "damage_in", find_no_room)
    store = SQLiteStore(path)
    with pytest.raises(StoreUnavailableError, match=r"there is no room for .*backup\.db\.part"):
        store.backup(tmp_path / "backup.db")
    store.close()
    assert not list(tmp_path.glob("backup*"))


def test_a_damaged_file_is_told_with_what_is_wrong_and_left_alone(path: Path) -> None:
    damage(path)
    before = path.read_bytes()
    with pytest.raises(StoreDamagedError, match=r"is damaged: .*page"):
        check_file(path)
    assert path.read_bytes() == before


def test_a_file_of_rubbish_is_damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + b"\x13" * 9_000)
    with pytest.raises(StoreDamagedError, match="is damaged"):
        check_file(path)


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreNotOursError, match="there is no file"):
        check_file(tmp_path / "nowhere.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreNotOursError, match="is empty"):
        check_file(tmp_path / "empty.db")


def test_there_is_no_backup_of_a_damaged_file(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_of_store, "CHECKED_BYTES_MAX", 0)
    damage(path)
    store = SQLiteStore(path)
    with pytest.raises(StoreDamagedError, match=r"is damaged: .*No backup was made of it"):
        store.backup(tmp_path / "copy.db")
    store.close()
    assert not list(tmp_path.glob("copy.db*"))
