"""What is in the stored files: a little of everything that version 1 could hold."""

import gzip
import sys
import tempfile
from pathlib import Path

from portcall.core.jobs.batch import (
    Batch,
    Checkpoint,
    Dependency,
    Label,
    MethodOptionsRow,
    Note,
    Reply,
    ScheduleRow,
)
from portcall.core.jobs.states import FAILED, SCHEDULED
from portcall.store.protocol import Store
from portcall.store.sqlite.migrations import VERSION
from portcall.store.sqlite.store import SQLiteStore
from tests.store.rows import METHOD, NOW, again, claim, end, new_job, running

LARGE = b"large" * 1_000

BATCHES = [
    Batch(now=NOW, methods=[MethodOptionsRow(METHOD, b""), MethodOptionsRow("/b.B/Other", b"\x08\x05")]),
    Batch(
        now=NOW,
        appends=[
            running(1, key="k", metadata=b"m"),
            running(2, request=LARGE, value="v"),
            running(3, method=2, policy=2, overrides=b"\x08\x02"),
            running(4),
            running(5),
            new_job(6, rank=-5),
            new_job(7, state=SCHEDULED, due_at=NOW + 500),
            new_job(8),
            running(10),
        ],
        dependencies=[Dependency(8, 1), Dependency(8, 4)],
        labels=[Label(1, "a", "b"), Label(6, "c", "d")],
    ),
    Batch(
        now=NOW + 1,
        notes=[Note(3, 1, (1 << 20) + 1, NOW + 1, 1, b"p")],
        replies=[Reply(3, 1, 0, b"r0"), Reply(3, 1, 1, LARGE)],
        checkpoints=[Checkpoint(3, 1, NOW + 1, 1, b"c")],
        ends=[end(1, trailers=b"t"), end(2, reply=LARGE), end(5, FAILED, details="no luck"), end(10)],
        agains=[again(4, state=int(SCHEDULED), due_at=NOW + 60)],
        schedules=[ScheduleRow("nightly", b"\x0a\x09* * * * *", NOW + 60, None, 6)],
    ),
    Batch(now=NOW + 2, appends=[new_job(9, parent=3, step="s", key="\x1f3/s"), new_job(11)], cancels=[11], forget=[10]),
    Batch(now=NOW + 3, claims=[claim(1, rank=-5)]),
]
"""What was written, in order."""


def write_content(store: Store) -> None:
    """Write all of it."""
    for batch in BATCHES:
        store.write(batch)


def stored_file(version: int) -> Path:
    """The file of a version."""
    return Path(__file__).with_name(f"version_{version:04}.db.gz")


def main() -> int:
    """Write the file of the newest version, if there is none."""
    target = stored_file(VERSION)
    if target.exists():
        sys.stderr.write(f"{target} is there already\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.db"
        store = SQLiteStore(path)
        write_content(store)
        store.close()
        target.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
