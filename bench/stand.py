"""Stands: the sets of processes that a measurement needs, started when they are first asked for."""

import types
from contextlib import ExitStack
from enum import StrEnum
from typing import Self

from bench.processes import Caller, Server


class Route(StrEnum):
    """A way from a calling process to a serving one."""

    DIRECT = "direct grpc.aio"
    NATIVE = "grpc.aio through the hub"
    CHANNEL = "portcall.Channel"
    CHANNEL_TWO_WORKERS = "portcall.Channel, 2 workers"
    CHANNEL_ONE_PROCESS = "portcall.Channel, --processes 1"
    CHANNEL_TWO_PROCESSES = "portcall.Channel, --processes 2"
    SYNC_DIRECT = "direct grpc"
    SYNC_NATIVE = "grpc through the hub"
    SYNC_CHANNEL = "portcall.sync.Channel"
    SIDECAR = "grpc.aio through hub and sidecar"


class Stand:
    """Processes that live as long as the stand does. Those that are not in use at the moment are idle."""

    def __init__(self) -> None:
        self._exits = ExitStack()
        self._hubs: dict[tuple[int, int], Server] = {}
        self._callers: dict[Route, Caller] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._exits.close()

    def caller(self, route: Route) -> Caller:
        """Return the process that calls by this route."""
        if route not in self._callers:
            match route:
                case Route.DIRECT:
                    caller = Caller("grpc", self._start(start_server()).address)
                case Route.NATIVE:
                    caller = Caller("grpc", self.hub(workers=1).address)
                case Route.CHANNEL:
                    caller = Caller("portcall", self.hub(workers=1).address)
                case Route.CHANNEL_TWO_WORKERS:
                    caller = Caller("portcall", self.hub(workers=2).address)
                case Route.CHANNEL_ONE_PROCESS:
                    caller = Caller("portcall", self.hub(workers=1, processes=1).address)
                case Route.CHANNEL_TWO_PROCESSES:
                    caller = Caller("portcall", self.hub(workers=1, processes=2).address)
                case Route.SYNC_DIRECT:
                    caller = Caller("grpc", self._start(start_server()).address, module="bench.blocking")
                case Route.SYNC_NATIVE:
                    caller = Caller("grpc", self.hub(workers=1).address, module="bench.blocking")
                case Route.SYNC_CHANNEL:
                    caller = Caller("portcall", self.hub(workers=1).address, module="bench.blocking")
                case Route.SIDECAR:
                    caller = Caller("grpc", self._sidecar_hub().address)
            self._callers[route] = self._exits.enter_context(caller)
        return self._callers[route]

    def hub(self, *, workers: int, processes: int = 0) -> Server:
        """Return the hub that has so many workers, each a supervisor with so many processes if there are any."""
        key = workers, processes
        if key not in self._hubs:
            hub = self._hubs[key] = self._start(start_hub())
            for _ in range(workers):
                self._start(start_worker(hub) if not processes else start_supervisor(hub, processes))
        return self._hubs[key]

    def _sidecar_hub(self) -> Server:
        """Return a hub whose worker is the sidecar of a plain server."""
        hub = self._start(start_hub())
        self._start(start_sidecar(hub, self._start(start_server())))
        return hub

    def _start(self, server: Server) -> Server:
        return self._exits.enter_context(server)


def start_server() -> Server:
    """Start a plain gRPC server."""
    return Server("bench.serving", "grpc")


def start_hub() -> Server:
    """Start a hub as a user does, with its default settings."""
    return Server("portcall", "hub", "--listen", "127.0.0.1:0", "--json")


def start_worker(hub: Server) -> Server:
    """Start a worker process of a hub."""
    return Server("bench.serving", "portcall", hub.address)


def start_supervisor(hub: Server, processes: int) -> Server:
    """Start a worker of a hub that runs its calls in processes."""
    return Server("bench.serving", "processes", hub.address, str(processes))


def start_sidecar(hub: Server, upstream: Server) -> Server:
    """Start a sidecar, which brings a plain server to a hub."""
    return Server("bench.serving", "sidecar", hub.address, upstream.address)
