"""The hub as one object: start it, ask its address, stop it."""

import asyncio
import logging
import types
from collections.abc import Sequence
from typing import Self

import grpc
from grpc_health.v1 import health_pb2_grpc

from portcall.hub.board import Board
from portcall.hub.config import HubConfig
from portcall.hub.fleet import Fleet
from portcall.hub.guard import Guard, Guarded
from portcall.hub.identity import ServerIdentity
from portcall.hub.ingress import Ingress
from portcall.hub.jobs.hosting import HubJobs
from portcall.hub.jobs.keeper import Clock, JobKeeper
from portcall.hub.listening import listen
from portcall.hub.questions import FleetService, Health, Reflection, own_files
from portcall.hub.sessions import Sessions
from portcall.hub.watching import OnCall, WatchedBoard
from portcall.wire.access import TOKEN_VARIABLE
from portcall.wire.limits import STREAM_BYTES_MAX
from portcall.wire.metadata import to_frame_without_authorization

logger = logging.getLogger("portcall.hub")

UNLIMITED = (1 << 31) - 1

GOODBYE_S = 2.0
"""How long links have to hear that the hub goes away."""


class Hub:
    """A hub in this event loop. An async context manager; `stop` is idempotent.

    Args:
        config: its settings.
        clock: wall-clock time in seconds, which jobs go by, for tests; whoever moves it calls `jobs.poke`.
        on_call: called with each call that has ended. For development: it takes time from every frame.

    Raises on entry:
        ConfigurationError: the address cannot be listened on, or a file of certificates or tokens cannot be used.
        StoreError: the file for jobs cannot be opened.
    """

    def __init__(
        self, config: HubConfig | None = None, *, on_call: OnCall | None = None, clock: Clock | None = None
    ) -> None:
        self._config = config or HubConfig()
        self._clock = clock
        self._on_call = on_call
        self._server: grpc.aio.Server | None = None
        self._address = ""
        self._stopped: asyncio.Future[None] | None = None

    @property
    def address(self) -> str:
        """Return where the hub listens, with the port that it was given."""
        return self._address

    @property
    def jobs(self) -> JobKeeper | None:
        """Return what keeps the jobs of a hub that has started, if it has a store."""
        return self._jobs.keeper

    @property
    def fleet(self) -> Fleet:
        """Return the workers of a hub that has started."""
        return self._fleet

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Returns once calls can come."""
        config = self._config
        identity = None if config.tls is None else ServerIdentity(config.tls)
        self._guard = _guard(config)
        self._fleet = Fleet()
        self._board = self._make_board()
        self._fleet.registry.add_files(own_files())
        self._jobs = HubJobs(
            self._board,
            self._fleet.registry,
            message_bytes_max=config.message_bytes_max,
            store=config.store,
            limits=config.job_limits,
            clock=self._clock,
        )
        await self._jobs.open()
        try:
            await self._listen(identity)
        except BaseException:
            await self._jobs.close()
            raise
        if self._guard is not None:
            self._guard.start()
        logger.debug("Listening on %s", self._address)

    async def _listen(self, identity: ServerIdentity | None) -> None:
        config = self._config
        self._sessions = Sessions(config, self._board, self._fleet, self._jobs, self._guard)
        self._health = Health(self._fleet)
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", max(config.message_bytes_max, STREAM_BYTES_MAX)),
                ("grpc.max_send_message_length", -1),
                # By itself gRPC widens the window of every stream for as long as bytes come, also of those that nobody
                # reads, with no bound that matters.
                ("grpc.http2.bdp_probe", 0),
                ("grpc.http2.lookahead_bytes", config.window_bytes),
                # A connection's further calls wait at their client. Without it, core would hold whatever comes faster
                # than the hub accepts it, and its own remedies end calls with a status that says nothing.
                ("grpc.max_concurrent_streams", config.streams_max),
                ("grpc.http.overload_protection", 0),
                ("grpc.server.max_pending_requests", UNLIMITED),
                ("grpc.server.max_pending_requests_hard_limit", UNLIMITED),
                # Two hubs on one port would share its connections without a word.
                ("grpc.so_reuseport", 0),
            )
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        server.add_generic_rpc_handlers((self._sessions.handler(), *self._native_handlers()))
        self._address = listen(server, config.listen, None if identity is None else identity.credentials())
        await server.start()
        self._server = server

    def _make_board(self) -> Board:
        if self._on_call is None:
            return Board(self._config.limits)
        return WatchedBoard(self._config.limits, self._fleet.registry.kind, self._on_call)

    def _native_handlers(self) -> Sequence[grpc.GenericRpcHandler]:
        """Return what answers native calls, behind a guard if there is one."""
        registry = self._fleet.registry
        answering = (
            FleetService(self._fleet, self._board, self._jobs, self._guard).handler(),
            self._jobs.handler(),
            *Reflection(registry).handlers(),
        )
        ingress = Ingress(self._board, registry, self._config.message_bytes_max)
        self._ingresses = [ingress]
        if self._guard is None:
            return (*answering, ingress)
        hiding = Ingress(self._board, registry, self._config.message_bytes_max, to_frame_without_authorization)
        self._ingresses.append(hiding)
        return (Guarded(self._guard, answering, ingress, hiding),)

    async def failed(self) -> BaseException:
        """Wait until the hub cannot go on, which is a defect of Portcall's; return what went wrong."""
        crashed = self._jobs.crashed or asyncio.get_running_loop().create_future()
        await asyncio.wait([crashed])
        return crashed.exception() or asyncio.CancelledError()

    async def wait(self) -> None:
        """Wait until the hub has stopped."""
        if self._server is not None:
            await self._server.wait_for_termination()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no new calls, let those that run finish within `grace_s`, say goodbye to the links and stop."""
        server, self._server = self._server, None
        if server is None:
            return
        self._jobs.stop_claiming()
        self._board.switchboard.is_closing = True
        self._health.close()
        if grace_s > 0:
            await self._board.wait_quiet(grace_s)
        # Before the links go: what still runs goes on at its worker, and is not to be taken for dead.
        await self._jobs.close()
        for ingress in self._ingresses:
            ingress.close()
        self._sessions.say_goodbye()
        await server.stop(GOODBYE_S if len(self._sessions) else 0)
        self._sessions.close()
        if self._guard is not None:
            await self._guard.stop()
        self._board.close()


def _guard(config: HubConfig) -> Guard | None:
    """Return what checks tokens, or None where nobody needs one."""
    if config.token_file is not None:
        return Guard(file=config.token_file, reread_s=config.reread_s)
    if config.token is not None:
        return Guard(text=f"worker,client {config.token} {TOKEN_VARIABLE}")
    return None
