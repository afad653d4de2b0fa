"""`Worker`: the drop-in `grpc.aio.Server`."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, Protocol

import grpc

from portcall.contract.contract import describe_methods
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1.link_pb2 import Contract, Drain, Frame, Welcome, WorkerHello
from portcall.wire.access import Access, Tls, resolve_access
from portcall.wire.dialer import ATTACH, Connectivity, Dialer, DialerConfig
from portcall.wire.link import Link, LinkState
from portcall.worker.environment import report_environment
from portcall.worker.execution import BegunMark, Execution
from portcall.worker.handlers import Methods, RpcHandler
from portcall.worker.holding import Holding
from portcall.worker.naming import worker_name

logger = logging.getLogger("portcall.worker")

SLOTS_DEFAULT = 2_000
"""Fit for handlers that mostly wait; grpcio's own servers have no bound at all. Handlers that compute want about as
many slots as there are cores, so that what they cannot run yet stays with the hub, for whoever is free first."""

GRACE_S_DEFAULT = 30.0


class Worker(grpc.aio.Server):
    """A gRPC server that serves its methods to a hub's callers.

    It does not listen: it dials the hub and takes calls from there, for as long as it runs, through restarts of the hub
    and of the network. Servicers, handlers and interceptors are those of `grpc.aio`.

    Args:
        hub: HOST:PORT or unix:PATH of the hub; if None, the environment's PORTCALL_HUB, and then 127.0.0.1:7070.
        slots: how many calls it takes at once; a few for handlers that compute, many for those that wait.
        name: how people shall see it; if None, "HOST-PID", in a container HOST-CONTAINER.
        interceptors: server interceptors, the first outermost.
        token: what proves to the hub that this program may serve, or the path of a file that has it (a `Path`); if
            None, the environment's PORTCALL_TOKEN_FILE or PORTCALL_TOKEN.
        tls: how to encrypt: True trusts the system's authorities, a `Tls` names others; if None, the environment says
            (PORTCALL_TLS, PORTCALL_TLS_CA, ...), and else nothing is encrypted.
        insecure: send a token beyond this machine although nothing is encrypted; if None, PORTCALL_INSECURE.

    Raises:
        ConfigurationError: `slots` is not positive.
    """

    def __init__(
        self,
        hub: str | None = None,
        *,
        slots: int = SLOTS_DEFAULT,
        name: str | None = None,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        token: str | os.PathLike[str] | None = None,
        tls: Tls | bool | None = None,
        insecure: bool | None = None,
    ) -> None:
        if slots < 1:
            raise ConfigurationError(f"slots is {slots}; a worker needs at least one")
        self.hub = hub
        self.slots = slots
        self.name = name
        self.token = token
        self.tls = tls
        self.insecure = insecure
        self._methods = Methods(interceptors)
        self._execution: WorkerCalls | None = None
        self._dialer: Dialer | None = None
        self._hello = WorkerHello()
        self._attached: asyncio.Future[None] | None = None
        self._owner: _WorkerLink | None = None
        self._stopped: asyncio.Event | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._grace_over = asyncio.Event()
        self._grace_timer: asyncio.TimerHandle | None = None

    # --- grpc.aio.Server -------------------------------------------------------------------------------------------

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Serve the methods of these handlers. Before `start` only: the hub learns the methods when a worker attaches.

        Raises:
            ConfigurationError: a handler cannot say which methods it has, or the worker has started.
        """
        self._check_not_started("handlers must be added before it starts")
        for handler in generic_rpc_handlers:
            self._methods.add_generic(handler)

    def add_registered_method_handlers(self, service_name: str, method_handlers: "Mapping[str, RpcHandler]") -> None:
        """Serve these methods of a service. Before `start` only."""
        self._check_not_started("handlers must be added before it starts")
        for name, handler in method_handlers.items():
            self._methods.add(f"/{service_name}/{name}", handler)

    def add_insecure_port(self, address: str) -> NoReturn:
        """A worker has no port."""
        raise ConfigurationError(
            f"a worker does not listen, so it cannot serve {address}; it dials its hub. Remove this"
        )

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> NoReturn:
        """A worker has no port."""
        self.add_insecure_port(address)

    async def start(self) -> None:
        """Dial the hub; return once the worker has been attached for the first time, or was stopped before.

        A hub that cannot be reached is dialled again and again; bound the wait with `asyncio.timeout`.

        Raises:
            ConfigurationError: no servicer was added, the worker has started before, or the hub cannot be dialled
                as it is told to.
        """
        self._check_not_started("a worker starts once")
        self._hello, self._execution = self.hello(), self.make_calls()
        self._attached, self._stopped = asyncio.get_running_loop().create_future(), asyncio.Event()
        config = DialerConfig(access=self.access(), path=ATTACH, worker=self._say_hello)
        self._owner = _WorkerLink(self._execution, self._attached)
        self._dialer = Dialer(config, self._owner)
        self._dialer.start()
        await asyncio.shield(self._attached)

    async def stop(self, grace: float | None = None) -> None:
        """Take no new calls, let those that run finish within `grace` seconds, cancel the rest, and detach.

        The link stays alive meanwhile. Idempotent; a later call with a shorter grace shortens the wait, as with
        `grpc.aio.Server`.
        """
        if self._dialer is None:
            return
        loop = asyncio.get_running_loop()
        over_at = loop.time() + (grace or 0.0)
        if self._stopping is None:
            self._stopping = loop.create_task(self._stop())
        if self._grace_timer is None or over_at < self._grace_timer.when():
            if self._grace_timer is not None:
                self._grace_timer.cancel()
            self._grace_timer = loop.call_at(over_at, self._grace_over.set)
        await asyncio.shield(self._stopping)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  # as grpcio has it
        """Wait until the worker has stopped; return whether the wait timed out."""
        if self._stopped is None:
            raise ConfigurationError("this worker has not started, so there is nothing to wait for")
        try:
            async with asyncio.timeout(timeout):
                await self._stopped.wait()
        except TimeoutError:
            return True
        return False

    # --- beyond grpc.aio.Server ------------------------------------------------------------------------------------

    def access(self) -> Access:
        """Return how the worker reaches its hub, with what the environment says of it now.

        Raises:
            ConfigurationError: it cannot be dialled in this way.
        """
        return resolve_access(self.hub, token=self.token, tls=self.tls, is_insecure=self.insecure)

    @property
    def is_attached(self) -> bool:
        """Whether the hub knows the worker, and the connection to it stands."""
        return self._owner is not None and self._owner.is_attached

    async def run(self, *, grace_s: float = GRACE_S_DEFAULT) -> None:
        """Serve until SIGTERM or SIGINT; then drain for up to `grace_s` seconds and return.

        A second signal ends the process at once, with 128 plus the signal's number, as an unhandled signal would. Fit
        for a container's process 1.
        """
        loop = asyncio.get_running_loop()
        signalled: asyncio.Future[None] = loop.create_future()

        def on_signal(number: signal.Signals) -> None:
            if signalled.done():
                self.exit_at_once(number)
            logger.info("%s: draining for up to %g s; once more stops at once", number.name, grace_s)
            signalled.set_result(None)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal, number)
        try:
            starting = loop.create_task(self.start())
            await asyncio.wait([starting, signalled], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await signalled
            else:
                starting.cancel()
            await self.stop(grace_s)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def hello(self) -> WorkerHello:
        """Return what the worker says of itself when it attaches.

        Raises:
            ConfigurationError: no servicer was added.
        """
        if not len(self._methods):
            raise ConfigurationError("this worker has no methods; call add_XServicer_to_server(servicer, worker) first")
        return WorkerHello(
            name=self.name or worker_name(),
            slots=self.slots,
            contract=self._describe(),
            environment=report_environment(),
        )

    def _say_hello(self) -> WorkerHello:
        """Return what the worker says of itself now."""
        assert self._execution is not None
        del self._hello.attempts[:]
        self._hello.attempts.extend(self._execution.holding.named())
        return self._hello

    def make_execution(self, begun: BegunMark | None = None) -> Execution:
        """Return what runs calls of this worker's methods in this process; for `begun` see `Execution`."""
        return Execution(self._methods, self.slots, begun)

    def make_calls(self) -> "WorkerCalls":
        """Return what this worker's calls are given to."""
        return Execution(self._methods, self.slots, keeps_attempts=True)

    def exit_at_once(self, number: signal.Signals) -> NoReturn:
        """End the process as an unhandled signal would."""
        os._exit(128 + number)

    def _describe(self) -> Contract:
        """Return what this worker serves."""
        return describe_methods(self._methods.specs())

    async def _stop(self) -> None:
        execution, dialer, attached = self._execution, self._dialer, self._attached
        assert execution is not None
        assert dialer is not None
        assert attached is not None
        assert self._stopped is not None
        loop = asyncio.get_running_loop()
        parts = [loop.create_task(self._drain(execution, dialer)), loop.create_task(self._grace_over.wait())]
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)
        if execution.calls_count:
            execution.holding.leave("The worker was stopped while it ran this job")
            execution.cancel_all()
            await self._let_cancelled_calls_end(execution)
            execution.holding.give_up()
        await dialer.close()
        await execution.close()
        if self._grace_timer is not None:
            self._grace_timer.cancel()
        if not attached.done():
            attached.set_result(None)
        self._stopped.set()

    async def _drain(self, execution: "WorkerCalls", dialer: Dialer) -> None:
        """Have the hub send no new calls, and finish those that run; attempts at jobs also until they are recorded."""
        assert self._owner is not None
        execution.hand_back()
        link = dialer.link
        # While the link is down there may still be results to deliver, once it is back.
        is_owing = link.state is LinkState.SUSPENDED and (execution.calls_count or link.bytes_held)
        if link.state is LinkState.OPEN or is_owing:
            await self._owner.drain(link)
            execution.hand_back()
        await execution.wait_quiet()
        if not execution.holding.is_empty:
            recorded = asyncio.get_running_loop().create_future()
            execution.holding.on_empty = lambda: recorded.set_result(None)
            await recorded

    async def _let_cancelled_calls_end(self, execution: "WorkerCalls") -> None:
        """Give handlers a moment to take note of their cancellation."""
        try:
            async with asyncio.timeout(1.0):
                await execution.wait_quiet()
        except TimeoutError:
            logger.warning("%d calls go on though they were cancelled; leaving them behind", execution.calls_count)

    def _check_not_started(self, words: str) -> None:
        if self._dialer is not None:
            raise ConfigurationError(f"the worker has started; {words}")


class WorkerCalls(Protocol):
    """The calls that come to a worker. `Execution` runs them, `Relay` has processes run them."""

    @property
    def calls_count(self) -> int:
        """Return how many calls are under way."""

    @property
    def holding(self) -> Holding:
        """Return what keeps the attempts at jobs."""

    def begin_session(self, link: Link, welcome: Welcome) -> None:
        """Take the calls of a new session; those of the old one were cancelled."""

    def lose_session(self) -> None:
        """Cancel the calls of a session that is over, but for attempts at jobs, which go on."""

    def hand_back(self) -> None:
        """Give attempts back that have not begun."""

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Take frames of the hub."""

    def cancel_all(self) -> None:
        """Cancel every call."""

    async def wait_quiet(self) -> None:
        """Wait until no call is under way."""

    async def close(self) -> None:
        """Stop, whatever is under way."""


class _WorkerLink:
    """What happens on the worker's link, for its dialer."""

    def __init__(self, execution: WorkerCalls, attached: asyncio.Future[None]) -> None:
        self._execution = execution
        self._attached = attached
        self._drained: asyncio.Future[None] | None = None
        self._last = ""
        self.is_attached = False

    async def drain(self, link: Link) -> None:
        """Ask for no new calls; return when none will follow."""
        self._drained = asyncio.get_running_loop().create_future()
        link.send(Frame(drain=Drain()))
        await self._drained

    def on_session(self, link: Link, welcome: Welcome) -> None:
        """A hub has taken the worker in."""
        self._execution.begin_session(link, welcome)
        if not self._attached.done():
            self._attached.set_result(None)

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Pass frames on, but for the hub's word that no call will follow."""
        if any(frame.HasField("drain") for frame in frames if not frame.call_id):
            self._note_drained()
            frames = [frame for frame in frames if not frame.HasField("drain")]
        self._execution.on_frames(frames)

    def on_session_lost(self, reason: str, unsent: dict[int, list[Frame]]) -> None:
        """The callers of all calls are gone; attempts at jobs go on."""
        attempts = len(self._execution.holding.named())
        kept = f" (jobs go on, {attempts} of them)" if attempts else ""
        logger.warning("Lost the hub, and %d calls with it%s: %s", self._execution.calls_count, kept, reason)
        self._execution.lose_session()
        self._note_drained()

    def on_connectivity(self, connectivity: Connectivity, reason: str) -> None:
        """Say it in the log, each thing once."""
        self.is_attached = connectivity is Connectivity.READY
        if connectivity is Connectivity.READY:
            logger.info("Attached to the hub%s", " again, with nothing lost" if reason == "resumed" else "")
        elif connectivity is Connectivity.FAILING and reason != self._last:
            logger.warning("The hub cannot be reached, dialling on: %s", reason)
        self._last = "" if connectivity is Connectivity.READY else reason if reason != "dialling" else self._last

    def _note_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
