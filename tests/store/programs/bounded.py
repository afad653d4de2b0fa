"""Writes to a store until the kernel refuses to make its files longer, and again when it does not."""

import resource
import sys
from pathlib import Path

from portcall.core.jobs.batch import Batch, MethodOptionsRow
from portcall.core.jobs.states import JobState
from portcall.store.errors import StoreUnavailableError
from portcall.store.sqlite.store import SQLiteStore
from tests.store.rows import METHOD, new_job

JOBS = 20


def main(path: Path) -> None:
    """Fill, be refused at every size of file that there is on the way, and go on."""
    store = SQLiteStore(path)
    store.write(Batch(now=1.0, methods=[MethodOptionsRow(METHOD, b"")]))
    written, refusals = 0, 0
    for bytes_max in range(40_000, 900_000, 37_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, resource.RLIM_INFINITY))
        ids = range(written + 1, written + JOBS + 1)
        try:
            store.write(Batch(now=1.0, appends=[new_job(id_, request=b"r" * 10_000) for id_ in ids]))
        except StoreUnavailableError:
            refusals += 1
        else:
            written += JOBS
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        reader = store.reader()
        assert reader.states(range(10_000)) == dict.fromkeys(range(1, written + 1), JobState.READY)
        reader.close()
    assert refusals, "it was never refused"
    assert written, "it was always refused"
    ids = range(written + 1, written + JOBS + 1)
    store.write(Batch(now=1.0, appends=[new_job(id_) for id_ in ids]))
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
