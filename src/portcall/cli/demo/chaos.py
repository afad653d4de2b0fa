"""`portcall demo --chaos`: a worker and the hub are killed in the middle, and what was counted is held against it."""

import asyncio
from dataclasses import dataclass
from typing import Final

from rich.table import Table

from portcall.cli.demo.fleet import DemoFleet
from portcall.cli.demo.progress import Show
from portcall.cli.exits import FailedError
from portcall.cli.jobs.asking import listed, opened
from portcall.cli.output import table
from portcall.core.jobs.states import ENDED
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.access import Access

WORKER_AT: Final = 0.1
HUB_AT: Final = 0.4
"""Which part of the documents is done when they are killed, or more."""

DOCUMENTS_MIN: Final = 100
"""Fewer are done before anybody can be killed among them."""

JOBS_MAX: Final = 1_000_000


class Chaos:
    """Kills while the documents are extracted."""

    def __init__(self, fleet: DemoFleet, show: Show, *, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._fleet = fleet
        self._show = show
        self._document_count = 0
        self._done = 0
        self._moved = asyncio.Event()
        self.killings: list[str] = []

    def begin(self, document_count: int) -> None:
        """Take how many documents there are.

        Raises:
            ConfigurationError: too few.
        """
        if self._is_wanted and document_count < DOCUMENTS_MIN:
            words = f"{document_count:,} documents are done before anything can be killed among them"
            raise ConfigurationError(f"{words}; --chaos wants {DOCUMENTS_MIN} or more")
        self._document_count = document_count
        self._moved.set()

    def advance(self) -> None:
        """Take that one more document is done with."""
        self._done += 1
        self._moved.set()

    async def run(self) -> None:
        """Kill a worker and the hub when it is time, and start them again."""
        fleet = self._fleet
        await self._reach(WORKER_AT)
        worker = fleet.workers[1]
        await worker.kill()
        self._tell(f"worker 1, process {worker.pid},")
        await fleet.start_worker(1)
        self._show.say(f"Worker 1 again: process {fleet.workers[1].pid}")
        await self._reach(HUB_AT)
        if self._done == self._document_count:
            raise FailedError("all documents were done before the hub could be killed. Give the demo more of them")
        hub = fleet.hub
        await hub.kill()
        self._tell(f"the hub, process {hub.pid},")
        await fleet.start_hub()
        self._show.say(f"Hub again on {fleet.address}, with the same store: process {fleet.hub.pid}")

    async def _reach(self, part: float) -> None:
        while not self._document_count or self._done < self._document_count * part:
            self._moved.clear()
            await self._moved.wait()

    def _tell(self, whom: str) -> None:
        words = f"Killed {whom} with SIGKILL after {self._done:,} of {self._document_count:,} documents"
        self.killings.append(words)
        self._show.say(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """What the hub has recorded of a run, beside what was counted."""

    documents: int
    jobs: int
    outcomes: int
    repeated: int
    """Jobs that took more than one attempt."""
    lost: int
    """Attempts that were lost with their worker, or to a hub that was away."""
    extracted: int
    """Documents that have terms, and are to be counted."""
    counted: int

    @property
    def is_exact(self) -> bool:
        """Whether each document has one job and one outcome, and was counted once if it has terms."""
        return self.documents == self.jobs == self.outcomes and self.extracted == self.counted

    def table(self) -> Table:
        """Return it for people."""
        made = table("EXACTLY ONCE", "", right=(1,))
        rows = (
            ("documents", self.documents),
            ("jobs stored", self.jobs),
            ("outcomes recorded", self.outcomes),
            ("jobs that took another attempt", self.repeated),
            ("attempts that were lost", self.lost),
            ("documents with terms", self.extracted),
            ("documents counted", self.counted),
        )
        for name, number in rows:
            made.add_row(name, f"{number:,}")
        return made


async def reckon(access: Access, run: str, *, documents: int, extracted: int, counted: int) -> Reckoning:
    """Ask the hub what it has recorded of a run.

    Raises:
        FailedError: the hub does not answer, or the figures do not fit together.
    """
    async with opened(access) as hub:
        jobs, _ = await listed(hub, pb.ListRequest(label="run", label_value=run), JOBS_MAX)
    found = Reckoning(
        documents=documents,
        jobs=len({job.key for job in jobs}),
        outcomes=sum(int(job.state) in ENDED for job in jobs),
        repeated=sum(job.attempt > 1 for job in jobs),
        lost=sum(job.failures for job in jobs),
        extracted=extracted,
        counted=counted,
    )
    if not found.is_exact:
        raise FailedError(f"the figures do not fit together, which is a defect of Portcall's: {found}")
    return found
