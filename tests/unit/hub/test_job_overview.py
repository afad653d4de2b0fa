"""What the fleet view says of jobs."""

from portcall.core.jobs.effects import Outcome
from portcall.core.jobs.rows import Backlog, Tally
from portcall.core.jobs.states import CANCELLED, CANCELLING, FAILED, READY, RUNNING, SCHEDULED, SUCCEEDED, WAITING
from portcall.hub.jobs.lately import LATELY_S, FailedLately
from portcall.hub.jobs.overview import overview
from portcall.protos.portcall.v1.fleet_pb2 import MethodJobs


def outcome(state=FAILED, method: str = "/a/A") -> Outcome:
    return Outcome(1, method, state, 1, 0.0, 0, "", None, None)


def test_jobs_are_told_by_method() -> None:
    states = (READY, SCHEDULED, WAITING, RUNNING, CANCELLING, FAILED, SUCCEEDED, CANCELLED)
    tallies = [Tally("/a/A", state, 10 + state) for state in states] + [Tally("/b/B", SCHEDULED, 2)]
    backlogs = [Backlog("/a/A", 5, 70.0), Backlog("/b/B", 3, None)]
    assert overview(tallies, backlogs, {"/c/C": 1}, 100.0) == [
        MethodJobs(method="/a/A", ready=13, oldest_s=30.0, scheduled=7, retrying=5, waiting=11, running=29, failed=17),
        MethodJobs(method="/b/B", retrying=2),
        MethodJobs(method="/c/C", failed_lately=1),
    ]


def test_failures_are_counted_for_an_hour() -> None:
    lately = FailedLately()
    lately.note([outcome(), outcome(SUCCEEDED), outcome(method="/b/B")], 1_000.0)
    lately.note([outcome()], 1_030.0)
    lately.note([outcome()], 1_000.0 + LATELY_S / 2)
    assert lately.counts(1_000.0 + LATELY_S / 2) == {"/a/A": 3, "/b/B": 1}
    assert lately.counts(1_000.0 + LATELY_S) == {"/a/A": 1}
    assert lately.counts(1_000.0 + 2 * LATELY_S) == {}
