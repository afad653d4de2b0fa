"""The supervisor: towards the hub a worker like any other, whose calls run in processes of their own."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from portcall.core.switchboard import SLOTS_MAX
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1.link_pb2 import Frame, Report, WorkerHello
from portcall.protos.portcall.v1.process_pb2 import ProcessHello
from portcall.wire.link import Link, LinkState
from portcall.worker.environment import report_environment
from portcall.worker.processes.crew import CrewRules
from portcall.worker.processes.machine import can_measure_memory
from portcall.worker.processes.reaching import take
from portcall.worker.processes.reporting import is_same, report_of
from portcall.worker.processes.runner import ProcessRunner
from portcall.worker.server import Worker, WorkerCalls

PROCESSES_MAX = 512

REPORT_S = 5.0
"""How often the hub is told the numbers of the processes."""

REPORT_GAP_S = 0.2
"""How soon one report may follow another, when a process has changed its state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorConfig:
    """What a supervisor supervises.

    Raises:
        ConfigurationError: a rule that cannot be kept.
    """

    command: Sequence[str]
    """Starts a process; two numbers of files are added to it, see `start_child`."""

    rules: CrewRules = field(default_factory=CrewRules)

    def __post_init__(self) -> None:
        if not 0 < self.rules.processes <= PROCESSES_MAX:
            raise ConfigurationError(f"a worker of {self.rules.processes} processes; it should be 1 to {PROCESSES_MAX}")
        if self.rules.blocked_after_s <= 0:
            raise ConfigurationError(f"--blocked-after is {self.rules.blocked_after_s:g}; it must be above 0")
        if self.rules.memory_bytes_max is not None and not can_measure_memory():
            raise ConfigurationError("--max-memory needs Linux's /proc, which is not here. Leave it away")


class Supervisor(Worker):
    """A worker that has no methods of its own: its processes load the app, and it spreads the calls over them.

    What is not said here of its name, and of the way to the hub, is as the app says.
    """

    def __init__(
        self,
        config: SupervisorConfig,
        hub: str | None = None,
        *,
        name: str | None = None,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(hub, name=name)
        self._runner = ProcessRunner(
            config.rules, config.command, name=name, on_change=self._report_soon, rng=rng or random.Random()
        )
        self._processes = config.rules.processes
        self._first: ProcessHello | None = None
        self._reported = Report()
        self._reported_on: Link | None = None
        self._report_timer: asyncio.TimerHandle | None = None

    async def load(self) -> None:
        """Have the first process load the app, which `start` does otherwise. What was begun is for `close` to end.

        Raises:
            AppFailedError: it could not.
            ConfigurationError: all processes together have more slots than a worker may have.
        """
        first = self._first = await self._runner.start()
        self.slots = first.worker.slots
        if self.slots * self._processes > SLOTS_MAX:
            raise ConfigurationError(
                f"{self._processes} processes with {self.slots} slots each; together they may have {SLOTS_MAX}."
                " Lower --slots, which is for each process"
            )
        self.name = self.name or first.worker.name or None
        take(self, first)

    async def start(self) -> None:
        """Load the app if that is not done, and dial the hub; see `Worker.start`."""
        if self._first is None:
            await self.load()
        await super().start()

    async def wait_complete(self) -> None:
        """Wait until all processes take calls."""
        await self._runner.wait_complete()

    async def close(self) -> None:
        """End all processes. Idempotent, and does nothing after `stop`."""
        await self._runner.close()
        if self._report_timer is not None:
            self._report_timer.cancel()

    def hello(self) -> WorkerHello:
        """Return what the worker says of itself: the first process serves what all of them serve."""
        assert self._first is not None
        environment = report_environment()
        return WorkerHello(
            name=self.name or f"{environment.host}-{environment.pid}",
            # More slots are told as more processes take calls.
            slots=self.slots,
            contract=self._first.worker.contract,
            environment=environment,
        )

    def make_calls(self) -> WorkerCalls:
        """Return what spreads the calls over the processes."""
        return self._runner.relay

    def exit_at_once(self, number: signal.Signals) -> NoReturn:
        """End this process and those that it started."""
        self._runner.kill_all()
        super().exit_at_once(number)

    def _report_soon(self) -> None:
        """Tell the hub of a change, and of those that come at about the same time."""
        if self._runner.is_closed:
            return
        if self._report_timer is None or self._report_timer.when() - self._runner.now > REPORT_GAP_S:
            self._report_in(REPORT_GAP_S)

    def _report_in(self, delay_s: float) -> None:
        if self._report_timer is not None:
            self._report_timer.cancel()
        self._report_timer = asyncio.get_running_loop().call_later(delay_s, self._report)

    def _report(self) -> None:
        """Tell the hub how the processes are, unless it knows or does not want to."""
        if self._runner.is_closed:
            return
        self._report_in(REPORT_S)
        link = self._runner.relay.link
        if not self._runner.welcome.takes_reports or link.state is not LinkState.OPEN:
            return
        report = report_of(self._runner.crew.members.values(), self._runner.now)
        if link is not self._reported_on or not is_same(report, self._reported):
            self._reported, self._reported_on = report, link
            link.send_event(Frame(report=report))
