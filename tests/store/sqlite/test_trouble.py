"""A disk that is full, or may not be written to: nothing happens by halves, and it goes on by itself afterwards."""

import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from portcall.core.jobs.batch import Batch, MethodOptionsRow
from portcall.core.jobs.states import JobState
from portcall.store.errors import StoreUnavailableError
from portcall.store.sqlite.store import SQLiteStore
from tests.store.rows import METHOD, new_job

REQUEST = b"r" * 100_000


def batch(first: int, count: int = 20) -> Batch:
    return Batch(now=1.0, appends=[new_job(id_, request=REQUEST) for id_ in range(first, first + count)])


def opened(path: Path) -> SQLiteStore:
    store = SQLiteStore(path)
    store.write(Batch(now=1.0, methods=[MethodOptionsRow(METHOD, b"")]))
    return store


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    store = opened(tmp_path / "jobs.db")
    store.write(batch(1))
    reader = store.reader()
    connection = store._writing.connection
    [(pages,)] = connection.execute("PRAGMA page_count")
    connection.execute(f"PRAGMA max_page_count = {pages + 10}")
    for _ in range(3):
        with pytest.raises(
            StoreUnavailableError, match=r"there is no room for .*jobs\.db: .*full.*Free some"
        ) as refused:
            store.write(batch(100))
        assert refused.value.is_full
        assert set(reader.states(range(200))) == set(range(1, 21))
    connection.execute("PRAGMA max_page_count = 1000000")
    store.write(batch(100))
    assert set(reader.states(range(200))) == {*range(1, 21), *range(100, 120)}
    assert store.stored().ended == 0
    assert [tally.jobs for tally in reader.tallies()] == [40]
    reader.close()
    store.close()


def test_a_full_disk_in_the_middle_of_its_log(tmp_path: Path) -> None:
    """The kernel refuses to make any file longer, as it does on a full disk, somewhere in the middle of a commit."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.programs.bounded", str(tmp_path / "jobs.db")], check=False
    )
    assert done.returncode == 0


def test_a_read_only_file_refuses_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.db"
    store = opened(path)
    connection = store._writing.connection
    connection.execute("PRAGMA query_only = ON")  # what SQLite then says is what it says of a read-only file system
    with pytest.raises(StoreUnavailableError, match=r"cannot use .*jobs\.db: attempt to write a readonly database"):
        store.write(batch(1))
    store.write(batch(1))  # on another connection
    assert store.stored().last_job == 20
    store.close()


@pytest.mark.parametrize("is_suspect", [True, False])
@pytest.mark.parametrize("in_its_place", ["nothing", "an empty file", "another store"])
def test_a_file_that_is_moved_away_is_missed_and_never_made_anew(
    tmp_path: Path, in_its_place: str, is_suspect: bool
) -> None:
    path, away = tmp_path / "jobs.db", tmp_path / "away.db"
    store = opened(path)
    if is_suspect:
        store._writing.connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreUnavailableError):
            store.write(batch(1))
    path.rename(away)
    if in_its_place == "an empty file":
        path.touch()
    elif in_its_place == "another store":
        opened(tmp_path / "other.db").close()
        (tmp_path / "other.db").rename(path)
    with pytest.raises(StoreUnavailableError, match=r"it was moved, removed or replaced\. Put it back"):
        store.write(batch(1))
    assert path.exists() == (in_its_place != "nothing")
    path.unlink(missing_ok=True)
    away.rename(path)
    store.write(batch(1))
    assert store.stored().last_job == 20
    store.close()


def test_another_program_that_holds_the_file_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.db"
    store = opened(path)
    store._writing.connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match=r"another program has locked .*jobs\.db"):
        store.write(batch(1))
    other.close()
    store.write(batch(1))
    assert store.reader().states([1]) == {1: JobState.READY}
    store.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_small_disk_that_fills_up(tmp_path: Path) -> None:
    """A real one, in a namespace of its own."""
    filling = f"{sys.executable} -m tests.store.programs.filling {tmp_path}"
    program = f"mount -t tmpfs -o size=4m tmpfs {tmp_path} && exec {filling}"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", program], check=False, capture_output=True, text=True)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


def test_the_limit_of_these_tests_is_their_own() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
