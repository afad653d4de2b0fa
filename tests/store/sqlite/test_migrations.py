"""Files of every version there was become files of this one, and a migration happens wholly or not at all."""

import gzip
import sqlite3
from pathlib import Path

import pytest

from portcall.core.jobs.batch import Batch
from portcall.core.jobs.rows import JobFilter
from portcall.store.sqlite.migrations import SCRIPTS, VERSION, migrate
from portcall.store.sqlite.store import SQLiteStore
from tests.store.files.content import stored_file, write_content
from tests.store.model import ModelStore
from tests.store.rows import claim
from tests.store.test_lockstep import comparable

IDS = range(1, 20)


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    [(version,)] = connection.execute("PRAGMA user_version")
    connection.close()
    return version


@pytest.fixture(params=range(1, VERSION + 1))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of a version, which need not be this one."""
    path = tmp_path / "jobs.db"
    path.write_bytes(gzip.decompress(stored_file(request.param).read_bytes()))
    assert version_of(path) == request.param
    return path


def test_a_file_of_any_version_is_opened_with_all_that_is_in_it(old: Path) -> None:
    model = ModelStore()
    write_content(model)
    store = SQLiteStore(old)
    reader = store.reader()
    assert version_of(old) == VERSION
    assert reader.get(IDS) == model.get(IDS)
    assert comparable(store.stored()) == comparable(model.stored())
    assert reader.tallies() == model.tallies()
    assert reader.schedules() == model.schedules()
    for job in IDS:
        assert reader.attempts(job) == model.attempts(job)
        assert reader.notes(job, after=0, limit=9) == model.notes(job, after=0, limit=9)
        assert reader.replies(job, offset=0, limit=9) == model.replies(job, offset=0, limit=9)
    labelled = JobFilter(label="a")
    asked = [one.find(labelled, before=None, limit=9, with_payloads=True) for one in (reader, model)]
    assert asked[0] == asked[1]
    reader.close()
    store.close()


def test_work_goes_on_in_a_file_of_any_version(old: Path) -> None:
    model = ModelStore()
    write_content(model)
    store = SQLiteStore(old)
    batch = Batch(now=2_000.0, promote_max=9, claims=[claim(9)], cancels=[3])
    assert comparable(store.write(batch)) == comparable(model.write(batch))
    store.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection)
    scripts = [
        *SCRIPTS,
        "CREATE TABLE more (id INTEGER); INSERT INTO more VALUES (1)",
        "CREATE TABLE more (id INTEGER)",
    ]
    with pytest.raises(sqlite3.OperationalError, match="more already exists"):
        migrate(connection, scripts)
    assert version_of(path) == VERSION + 1
    assert connection.execute("SELECT id FROM more").fetchall() == [(1,)]
    connection.close()


def test_a_file_of_this_version_is_not_migrated(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    SQLiteStore(path).close()
    content = path.read_bytes()
    SQLiteStore(path).close()
    assert path.read_bytes() == content


def test_a_new_file_and_one_that_was_migrated_have_the_same_schema(old: Path, tmp_path: Path) -> None:
    SQLiteStore(old).close()
    SQLiteStore(tmp_path / "new.db").close()
    schemas = []
    for path in (old, tmp_path / "new.db"):
        connection = sqlite3.connect(path)
        schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall())
        connection.close()
    assert schemas[0] == schemas[1]
    assert ("table", "job") in [row[:2] for row in schemas[0]]
