"""Killed at any moment, with its log torn at any byte: what was acknowledged is there, and nothing by halves."""

import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

from portcall.core.jobs.states import JobState
from portcall.store.sqlite.store import SQLiteStore
from tests.store.programs.writing import GROUP

ROUNDS = 8


def write_and_kill(path: Path, groups: int) -> int:
    """Let a process write, and kill it when it has acknowledged so many groups; return the last job it spoke of."""
    writer = subprocess.Popen([sys.executable, "-m", "tests.store.programs.writing", str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(groups):
        line = writer.stdout.readline()
    writer.kill()
    said = [line, *writer.stdout.readlines()]
    writer.wait()
    writer.stdout.close()
    whole = [line for line in said if line.endswith(b"\n")]
    return int(whole[-1])


def check(path: Path, *, acknowledged: int) -> int:
    """Assert that a store holds whole groups, those acknowledged at least; return the last job."""
    store = SQLiteStore(path)
    reader = store.reader()
    last = store.stored().last_job
    jobs = reader.get(range(1, last + 1))
    tallies = {tally.state: tally.jobs for tally in reader.tallies()}
    reader.close()
    store.close()
    assert last >= acknowledged
    assert last % GROUP == 0
    assert [job.id for job in jobs] == list(range(1, last + 1))
    for job in jobs:
        is_last = job.id > last - GROUP
        assert job.state is (JobState.RUNNING if is_last else JobState.SUCCEEDED)
        assert job.request == b"r" * (job.id % 5_000)
        assert job.reply == (None if is_last else b"%d" % job.id)
    expected = {JobState.RUNNING: min(last, GROUP), JobState.SUCCEEDED: last - GROUP}
    assert tallies == {state: count for state, count in expected.items() if count > 0}
    return last


def test_a_killed_writer_has_lost_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path, rng = tmp_path / "jobs.db", Random(7)
    for _ in range(ROUNDS):
        acknowledged = write_and_kill(path, rng.randint(1, 40))
        check(path, acknowledged=acknowledged)


def test_a_log_that_is_torn_anywhere_is_read_up_to_its_last_whole_group(tmp_path: Path) -> None:
    """As a loss of power may leave it: what comes last in the log is missing, or is rubbish."""
    path, rng = tmp_path / "jobs.db", Random(11)
    acknowledged = write_and_kill(path, 30)
    log = (tmp_path / "jobs.db-wal").read_bytes()
    assert log
    lasts = set()
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(path, folder)
        size = rng.randrange(len(log) // 20, len(log) + 1)
        rubbish = b"" if rng.random() < 0.5 else rng.randbytes(rng.randrange(20_000))
        (folder / "jobs.db-wal").write_bytes(log[:size] + rubbish)
        lasts.add(check(folder / "jobs.db", acknowledged=acknowledged if size == len(log) else 0))
        shutil.rmtree(folder)
    assert len(lasts) > 5


def test_a_log_that_rots_in_the_middle_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    acknowledged = write_and_kill(path, 20)
    log = bytearray((tmp_path / "jobs.db-wal").read_bytes())
    middle = len(log) // 2
    log[middle : middle + 100] = b"\x00" * 100
    (tmp_path / "jobs.db-wal").write_bytes(log)
    assert 0 < check(path, acknowledged=0) < acknowledged
