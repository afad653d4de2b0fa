"""What the hub knows of its fleet: who is here, on which host, with which contract."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from portcall.contract.contract import Contract
from portcall.contract.registry import ContractRegistry
from portcall.core.attempts import AttemptCall
from portcall.core.calls import WorkerPort
from portcall.errors import ProtocolError
from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus
from portcall.protos.portcall.v1.link_pb2 import Environment, ProcessStatus, Report

PROCESSES_MAX = 1_024
"""Most processes that a worker may report."""

REASON_CHARACTERS_MAX = 200
"""Why a process was replaced is cut at this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetMember:
    """One attached worker."""

    port: WorkerPort
    contract: Contract
    environment: Environment
    attached_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """The last that a worker said of its processes."""

    report: Report
    received_at: float


class Fleet:
    """The workers that are attached, and the contracts of all that have been."""

    def __init__(self) -> None:
        self.registry = ContractRegistry()
        self._members: dict[WorkerPort, FleetMember] = {}
        self._reports: dict[WorkerPort, KeptReport] = {}
        self._listeners: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._members)

    @property
    def fingerprints(self) -> set[str]:
        """Return the fingerprints of the contracts that are in use."""
        return {member.contract.fingerprint for member in self._members.values()}

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this whenever a worker comes, goes, or takes calls again or no more."""
        self._listeners.append(listener)

    def note_change(self) -> None:
        """Tell the listeners."""
        for listener in self._listeners:
            listener()

    def add(self, port: WorkerPort, contract: Contract, environment: Environment, now: float) -> None:
        """Take a worker in."""
        self._members[port] = FleetMember(port=port, contract=contract, environment=environment, attached_at=now)
        self.note_change()

    def remove(self, port: WorkerPort) -> None:
        """Let a worker go. Idempotent."""
        self._reports.pop(port, None)
        if self._members.pop(port, None) is not None:
            self.note_change()

    def note_report(self, port: WorkerPort, report: Report, now: float) -> None:
        """Keep what a worker says of its processes, in place of what it said before.

        Raises:
            ProtocolError: it has more than any worker should.
        """
        if len(report.processes) > PROCESSES_MAX:
            raise ProtocolError(f"a report of {len(report.processes)} processes; at most {PROCESSES_MAX} may be")
        kept = Report()
        kept.CopyFrom(report)  # a parsed message keeps its whole batch in memory
        for process in kept.processes:
            process.predecessor_end = process.predecessor_end[:REASON_CHARACTERS_MAX]
        self._reports[port] = KeptReport(report=kept, received_at=now)

    def serving(self) -> set[str]:
        """Return the services that some worker takes calls for now."""
        return {
            service
            for member in self._members.values()
            if member.port.is_taking_calls
            for service in member.contract.services
        }

    def statuses(self, now: float) -> list[WorkerStatus]:
        """Return the state of every worker, by name."""
        members = sorted(self._members.values(), key=lambda member: (member.port.name, member.attached_at))
        return [_status(member, self._reports.get(member.port), now) for member in members]


def _status(member: FleetMember, reported: KeptReport | None, now: float) -> WorkerStatus:
    port, environment = member.port, member.environment
    return WorkerStatus(
        name=port.name,
        state=_state(port),
        host=environment.host,
        pid=environment.pid,
        os=environment.os,
        kernel=environment.kernel,
        architecture=environment.architecture,
        python=environment.python,
        slots=port.slots,
        running=len(port.calls),
        jobs=sum(isinstance(call, AttemptCall) for call in port.calls.values()),
        ended=port.ended,
        attached_s=now - member.attached_at,
        services=member.contract.services,
        image=environment.image,
        revision=environment.revision,
        processes=() if reported is None else _processes(reported, now),
    )


def _processes(reported: KeptReport, now: float) -> Iterator[ProcessStatus]:
    """Yield the processes of a report, as long in their states as they must be by now."""
    for process in reported.report.processes:
        status = ProcessStatus()
        status.CopyFrom(process)
        status.state_s += now - reported.received_at
        yield status


def _state(port: WorkerPort) -> WorkerStatus.State:
    if port.is_suspended:
        return WorkerStatus.STATE_SUSPENDED
    return WorkerStatus.STATE_DRAINING if port.is_draining else WorkerStatus.STATE_READY
