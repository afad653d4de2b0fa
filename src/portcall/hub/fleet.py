"""What the hub knows of its fleet: who is here, on which host, with which contract."""

from collections.abc import Callable
from dataclasses import dataclass

from portcall.contract.contract import Contract
from portcall.contract.registry import ContractRegistry
from portcall.core.calls import WorkerPort
from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus
from portcall.protos.portcall.v1.link_pb2 import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetMember:
    """One attached worker."""

    port: WorkerPort
    contract: Contract
    environment: Environment
    attached_at: float


class Fleet:
    """The workers that are attached, and the contracts of all that have been."""

    def __init__(self) -> None:
        self.registry = ContractRegistry()
        self._members: dict[WorkerPort, FleetMember] = {}
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
        if self._members.pop(port, None) is not None:
            self.note_change()

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
        return [_status(member, now) for member in members]


def _status(member: FleetMember, now: float) -> WorkerStatus:
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
        ended=port.ended,
        attached_s=now - member.attached_at,
        services=member.contract.services,
    )


def _state(port: WorkerPort) -> WorkerStatus.State:
    if port.is_suspended:
        return WorkerStatus.STATE_SUSPENDED
    return WorkerStatus.STATE_DRAINING if port.is_draining else WorkerStatus.STATE_READY
