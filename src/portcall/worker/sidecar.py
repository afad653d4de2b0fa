"""The sidecar: by it a gRPC server in any language joins a fleet, and does not know of it.

Theory of operation. A sidecar follows its upstream for ever: it connects, waits until the server is healthy, learns
its methods, and attaches a worker whose handlers forward. When the server says that it is not serving, or its
connection ends, that worker is withdrawn: the hub sends it no new calls, while those that run may go on for as long as
the connection carries them. What comes after is a new worker, on a new connection if the old one has ended, with the
methods that the server has then. So a contract never changes under a worker, and a call never sees a connection but
its own.
"""

import asyncio
import logging
import math
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1.link_pb2 import Contract
from portcall.wire.access import Access, Tls
from portcall.wire.dialer import Backoff
from portcall.wire.limits import Liveness
from portcall.worker.forwarding import forwarding_handlers
from portcall.worker.learning import learn_by_reflection, read_descriptor_set
from portcall.worker.server import SLOTS_DEFAULT, Worker
from portcall.worker.upstream import Condition, Upstream, UpstreamAwayError
from portcall.worker.upstream_access import UpstreamAccess

logger = logging.getLogger("portcall.sidecar")

STEADY_S = 1.0
"""A connection that has held for so long was sound: what follows it is dialled without much delay."""

SERVICES_SHOWN_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarConfig:
    """Whom a sidecar stands beside, and how it joins."""

    upstream: str
    """HOST:PORT or unix:PATH of the server."""

    access: Access
    """How it reaches the hub; see `resolve_access`."""

    upstream_tls: Tls | None = None
    """TLS towards the server."""

    upstream_authority: str | None = None
    """The name that the server is called by, and that its certificate has to have; if None, that in `upstream`."""

    descriptor_set: Path | None = None
    """A file that describes the server's methods; without it the server's reflection does."""

    services: tuple[str, ...] = ()
    """Which of the server's services join; if empty, all."""

    slots: int = SLOTS_DEFAULT
    name: str | None = None

    liveness: Liveness = field(default_factory=Liveness)
    """When a server that says nothing is asked, and when it is taken for silent."""


class Sidecar:
    """Keeps a server in the fleet, from `start` to `stop`.

    Raises:
        ConfigurationError: an address is none, `slots` is not positive, or a file of certificates cannot be used.
    """

    def __init__(self, config: SidecarConfig) -> None:
        if config.slots < 1:
            raise ConfigurationError(f"slots is {config.slots}; a sidecar needs at least one")
        self._config = config
        self._upstream = UpstreamAccess(
            target=config.upstream, tls=config.upstream_tls, authority=config.upstream_authority
        )
        self._upstream.check()
        self._target = config.upstream
        self._backoff = Backoff()
        self._workers: set[Worker] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None
        self._joined: asyncio.Future[None] | None = None
        self._has_learnt = False
        self._said = ""

    async def start(self) -> None:
        """Return once the server has joined the fleet; upstream and hub are dialled until then, however long.

        Raises:
            ConfigurationError: the descriptor set is unfit, or the server was found and its methods cannot be learnt.
        """
        loop = asyncio.get_running_loop()
        if self._config.descriptor_set is not None:
            await asyncio.to_thread(read_descriptor_set, self._config.descriptor_set, self._config.services)
        self._joined = loop.create_future()
        self._running = loop.create_task(self._run(self._joined), name="portcall-sidecar")
        await asyncio.shield(self._joined)

    @property
    def is_attached(self) -> bool:
        """Whether the fleet sends the server calls."""
        return any(worker.is_attached for worker in self._workers)

    async def stop(self, grace: float | None = None) -> None:
        """Withdraw, let the calls that run finish within `grace` seconds, cancel the rest, and detach. Idempotent."""
        if self._running is None or self._joined is None:
            return
        self._running.cancel()
        await asyncio.wait([self._running])
        await asyncio.gather(*(worker.stop(grace) for worker in self._workers))
        while self._leaving:
            await asyncio.wait(self._leaving)
        self._joined.cancel()

    async def _run(self, joined: asyncio.Future[None]) -> None:
        """Follow the upstream for ever, or until it turns out at first sight that it cannot join."""
        rng, loop = random.Random(), asyncio.get_running_loop()
        attempt = 0
        while True:
            begun_at = loop.time()
            try:
                await self._follow(joined)
            except UpstreamAwayError as error:
                self._say(logging.WARNING, f"The upstream {self._target} cannot be reached, dialling on: {error}")
            except ConfigurationError as error:
                if not self._has_learnt:
                    joined.set_exception(error)
                    return
                self._say(logging.ERROR, f"The upstream {self._target} stays withdrawn until this is mended: {error}")
            except Exception:
                # A defect of ours must not take a server out of the fleet for good.
                logger.exception("The sidecar of %s failed in a way that it should not", self._target)
            attempt = 0 if loop.time() - begun_at > STEADY_S else attempt
            await asyncio.sleep(self._backoff.delay_s(attempt, rng))
            attempt += 1

    async def _follow(self, joined: asyncio.Future[None]) -> None:
        """Serve for the length of one connection.

        Raises:
            UpstreamAwayError: nobody answers.
            ConfigurationError: what the server serves cannot be learnt.
        """
        upstream = Upstream(self._upstream, self._config.liveness)
        withdrawn: set[asyncio.Task[None]] = set()
        try:
            await upstream.connect()
            while await self._when_serving(upstream):
                contract = await self._learn(upstream)
                worker = _ForwardingWorker(self._config, contract, upstream)
                try:
                    await self._serve(upstream, worker, joined)
                finally:
                    withdrawn = {task for task in withdrawn if not task.done()}
                    withdrawn.add(self._keep(self._withdraw(worker)))
        finally:
            self._keep(_close_after(upstream, withdrawn))

    async def _when_serving(self, upstream: Upstream) -> bool:
        """Wait until the upstream is healthy; False if it goes before."""
        if upstream.condition is Condition.NOT_SERVING:
            self._say(
                logging.WARNING, f"The upstream {self._target} says that it is not serving; withdrawn until it is"
            )
            await upstream.wait_while(Condition.NOT_SERVING)
        return upstream.condition is Condition.SERVING

    async def _learn(self, upstream: Upstream) -> Contract:
        config = self._config
        if config.descriptor_set is None:
            contract = await learn_by_reflection(upstream, config.services)
        else:
            contract = await asyncio.to_thread(read_descriptor_set, config.descriptor_set, config.services)
        names = [service.name for service in contract.services]
        logger.info(
            "The upstream %s is there, with %s%s; followed by %s",
            self._target,
            ", ".join(names[:SERVICES_SHOWN_MAX]),
            f" and {len(names) - SERVICES_SHOWN_MAX} more" if len(names) > SERVICES_SHOWN_MAX else "",
            "its health service" if upstream.tells_health else "its connection, since it has no health service",
        )
        self._has_learnt = True
        self._said = ""
        return contract

    async def _serve(self, upstream: Upstream, worker: Worker, joined: asyncio.Future[None]) -> None:
        """Have a worker attached for as long as the upstream is healthy."""
        loop = asyncio.get_running_loop()
        self._workers.add(worker)
        starting = self._keep(worker.start())
        changing = loop.create_task(upstream.wait_while(Condition.SERVING))
        try:
            await asyncio.wait([starting, changing], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                if not joined.done():
                    joined.set_result(None)
            condition = await changing
        finally:
            changing.cancel()
        if condition is Condition.GONE:
            self._say(logging.WARNING, f"The upstream {self._target} has gone; withdrawn until it is back")
        elif condition is Condition.SILENT:
            self._say(
                logging.WARNING,
                f"The upstream {self._target} answers nothing, though its connection holds; withdrawn until it does",
            )

    async def _withdraw(self, worker: Worker) -> None:
        """Have a worker take no new calls, and detach when its last one has ended."""
        await worker.stop(math.inf)
        self._workers.discard(worker)

    def _keep(self, leaving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that `stop` has to wait for."""
        task = asyncio.get_running_loop().create_task(leaving)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    def _say(self, level: int, words: str) -> None:
        """Log something, but not again and again."""
        if words != self._said:
            self._said = words
            logger.log(level, "%s", words)


class _ForwardingWorker(Worker):
    """A worker whose contract is another's, and which hands every call on."""

    def __init__(self, config: SidecarConfig, contract: Contract, upstream: Upstream) -> None:
        super().__init__(slots=config.slots, name=config.name)
        self._access = config.access
        self._contract = contract
        for service, handlers in forwarding_handlers(upstream, contract).items():
            self.add_registered_method_handlers(service, handlers)

    def access(self) -> Access:
        """Return how the sidecar reaches the hub."""
        return self._access

    def _describe(self) -> Contract:
        return self._contract


async def _close_after(upstream: Upstream, withdrawn: set[asyncio.Task[None]]) -> None:
    """Close a connection once nobody uses it any more."""
    if withdrawn:
        await asyncio.wait(withdrawn)
    await upstream.close()
