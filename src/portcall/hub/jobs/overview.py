"""How the jobs of each method stand, as the fleet view shows it: counts, and how long the oldest has waited."""

from collections import Counter
from collections.abc import Mapping, Sequence

from portcall.core.jobs.rows import Backlog, Tally
from portcall.core.jobs.states import CANCELLING, FAILED, READY, RUNNING, SCHEDULED, WAITING
from portcall.protos.portcall.v1.fleet_pb2 import MethodJobs
from portcall.store.protocol import Reader


def read_counts(reader: Reader) -> tuple[list[Tally], list[Backlog]]:
    """Ask a store; costs the same whatever is stored."""
    return reader.tallies(), reader.backlogs()


def overview(
    tallies: Sequence[Tally], backlogs: Sequence[Backlog], failed_lately: Mapping[str, int], now: float
) -> list[MethodJobs]:
    """Return how each method stands that has jobs, by name."""
    counts = Counter({(tally.method, tally.state): tally.jobs for tally in tallies})
    waits = {backlog.method: backlog for backlog in backlogs}
    methods = []
    for method in sorted({tally.method for tally in tallies} | failed_lately.keys()):
        backlog = waits.get(method, Backlog(method, 0, None))
        scheduled = counts[method, SCHEDULED]
        # They are two looks at a store that goes on meanwhile.
        retrying = min(backlog.retrying, scheduled)
        ready = counts[method, READY]
        is_known = ready and backlog.ready_since is not None
        methods.append(
            MethodJobs(
                method=method,
                ready=ready,
                oldest_s=max(0.0, now - backlog.ready_since) if is_known and backlog.ready_since is not None else 0.0,
                scheduled=scheduled - retrying,
                retrying=retrying,
                waiting=counts[method, WAITING],
                running=counts[method, RUNNING] + counts[method, CANCELLING],
                failed=counts[method, FAILED],
                failed_lately=failed_lately.get(method, 0),
            )
        )
    return methods
