"""What a hub has of jobs: the keeper if there is a store, and the answers of a hub that has none."""

import asyncio
from pathlib import Path

import grpc

from portcall.contract.contract import Contract
from portcall.contract.registry import ContractRegistry
from portcall.core.jobs.limits import JobLimits
from portcall.hub.board import Board
from portcall.hub.jobs.keeper import Clock, JobKeeper
from portcall.hub.jobs.keyed import KeyedCalls
from portcall.hub.jobs.overview import overview, read_counts
from portcall.hub.jobs.requests import Submissions
from portcall.hub.jobs.service import JobsService
from portcall.hub.jobs.threads import StoreThreads
from portcall.protos.portcall.v1.fleet_pb2 import MethodJobs
from portcall.store.sqlite.store import SQLiteStore


class HubJobs:
    """The jobs of a hub, or their absence. `close` is idempotent.

    Raises on `open`:
        StoreError: the store cannot be opened.
    """

    def __init__(
        self,
        board: Board,
        registry: ContractRegistry,
        *,
        message_bytes_max: int,
        store: Path | None,
        limits: JobLimits,
        clock: Clock | None = None,
    ) -> None:
        self.keeper: JobKeeper | None = None
        submissions = None
        if store is not None:
            self.keeper = JobKeeper(
                StoreThreads(store, SQLiteStore),
                board,
                lambda method: (kind := registry.kind(method)) is not None and kind.server_streaming,
                message_bytes_max=message_bytes_max,
                limits=limits,
                clock=clock,
            )
            board.on_held = self.keeper.attached
            submissions = Submissions(self.keeper.policies, message_bytes_max)
        self._service = JobsService(self.keeper, submissions, lambda method: bool(board.switchboard.has_worker(method)))
        self._keyed = KeyedCalls(board, self.keeper, submissions, message_bytes_max)
        board.switchboard.keyed = self._keyed.route

    @property
    def crashed(self) -> "asyncio.Future[None] | None":
        """Return what is settled with an error if the jobs cannot go on."""
        return None if self.keeper is None else self.keeper.crashed

    def handler(self) -> grpc.GenericRpcHandler:
        """Return `portcall.v1.Jobs` for a `grpc.aio.Server`."""
        return self._service.handler()

    async def open(self) -> None:
        """Open the store, if there is one."""
        if self.keeper is not None:
            await self.keeper.open()

    async def overview(self) -> list[MethodJobs]:
        """Return how the jobs of each method stand; nothing without a store.

        Raises:
            PortcallError: too much is asked of the store, or it cannot be read.
        """
        if self.keeper is None:
            return []
        tallies, backlogs = await self.keeper.store.read(read_counts)
        now = self.keeper.clock()
        return overview(tallies, backlogs, self.keeper.failed_lately.counts(now), now)

    def know(self, contract: Contract, worker: str) -> None:
        """Take what the contract of a worker says of jobs."""
        if self.keeper is not None:
            self.keeper.know(contract, worker)

    def stop_claiming(self) -> None:
        """Start no more jobs, because the hub is about to stop."""
        if self.keeper is not None:
            self.keeper.stop_claiming()

    async def close(self) -> None:
        """Store what has gathered, and let go of the store."""
        await self._keyed.close()
        if self.keeper is not None:
            await self.keeper.close()
