"""What a supervisor tells the hub of its processes."""

from collections.abc import Iterable

from portcall.protos.portcall.v1.link_pb2 import ProcessStatus, Report
from portcall.worker.processes.places import Member
from portcall.worker.processes.states import ProcessState

STATES = {
    ProcessState.STARTING: ProcessStatus.STATE_STARTING,
    ProcessState.READY: ProcessStatus.STATE_READY,
    ProcessState.BLOCKED: ProcessStatus.STATE_BLOCKED,
    ProcessState.DRAINING: ProcessStatus.STATE_DRAINING,
    ProcessState.STOPPING: ProcessStatus.STATE_DRAINING,
    ProcessState.LEAVING: ProcessStatus.STATE_DRAINING,
    ProcessState.KILLED: ProcessStatus.STATE_DRAINING,
}


def report_of(members: Iterable[Member], now: float) -> Report:
    """Return how the processes are that have not ended."""
    return Report(processes=[_status(member, now) for member in members])


def is_same(report: Report, before: Report) -> bool:
    """Whether a report says nothing new but that time has passed."""
    return _without_times(report) == _without_times(before)


def _without_times(report: Report) -> Report:
    copy = Report()
    copy.CopyFrom(report)
    for process in copy.processes:
        process.ClearField("state_s")
    return copy


def _status(member: Member, now: float) -> ProcessStatus:
    vitals = member.vitals
    return ProcessStatus(
        pid=member.pid,
        state=STATES[member.state],
        state_s=now - member.since,
        running=vitals.running,
        ended=vitals.ended,
        rss_bytes=vitals.rss_bytes,
        restarts=member.restarts,
        predecessor_end=member.predecessor_end,
    )
