"""Writes groups of jobs to a store, and says of each when it is stored, until it is killed."""

import sys
from pathlib import Path

from portcall.core.jobs.batch import Batch, MethodOptionsRow
from portcall.store.sqlite.store import SQLiteStore
from tests.store.rows import METHOD, end, running

GROUP = 7
"""Jobs that are written together; each ends with the next group."""


def main(path: Path) -> None:
    """Write on behind what is there."""
    store = SQLiteStore(path)
    store.write(Batch(now=1.0, methods=[MethodOptionsRow(METHOD, b"")]))
    stored = store.stored()
    held, last = [job.id for job in stored.held], stored.last_job
    while True:
        ids = range(last + 1, last + 1 + GROUP)
        appends = [running(id_, request=b"r" * (id_ % 5_000), key=f"key {id_}") for id_ in ids]
        written = store.write(Batch(now=1.0, ends=[end(id_, reply=b"%d" % id_) for id_ in held], appends=appends))
        assert not written.stale
        held, last = list(ids), ids[-1]
        sys.stdout.write(f"{last}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
