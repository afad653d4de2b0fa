"""Calls of the app `ledger`, and the reading of what it wrote."""

import asyncio
import collections
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

import portcall
from portcall.protos.portcall.v1.fleet_pb2 import ListWorkersReply, ListWorkersRequest, WorkerStatus

from .processes import WAIT_S


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other processes bring about, and that has no event here."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0.005)


async def when_workers(address: str, condition: Callable[[list[WorkerStatus]], bool]) -> list[WorkerStatus]:
    """Wait until a hub's workers are so, and return them."""
    async with asyncio.timeout(WAIT_S), grpc.aio.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            "/portcall.v1.Fleet/ListWorkers", ListWorkersRequest.SerializeToString, ListWorkersReply.FromString
        )
        while not condition(workers := list((await ask(ListWorkersRequest(), wait_for_ready=True)).workers)):
            pass
    return workers


class Ledger:
    """The file that workers write, and the requests that make them write there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger"
        self._path.touch()

    def request(self, name: object) -> bytes:
        return f"{self._path} {name}".encode()

    def counts(self, what: str) -> collections.Counter[str]:
        """How often each call has come so far ("begun", "ended", "stopped")."""
        lines = [line.split() for line in self._path.read_text().splitlines()]
        return collections.Counter(name for name, said, _ in lines if said == what)

    async def when(self, name: str, what: str) -> None:
        """Wait until a call has come so far."""
        await until(lambda: self.counts(what)[name] > 0)


class Load:
    """Clients that call one after the other, for as long as it lasts, and write down how each call ended."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._names = itertools.count()
        self._is_over = False
        self.made: list[str] = []
        self.outcomes: collections.defaultdict[str, list[grpc.StatusCode]] = collections.defaultdict(list)
        self.served = 0

    async def call_on(self, channel: Any) -> None:
        """Make calls until it is over."""
        work = channel.unary_unary("/acceptance.Ledger/Work")
        while not self._is_over:
            name = str(next(self._names))
            self.made.append(name)
            call = work(self._ledger.request(name), wait_for_ready=True, timeout=WAIT_S)
            code = await call.code()
            self.outcomes[name].append(code)
            self.served += code is grpc.StatusCode.OK

    async def when_served(self, more: int) -> None:
        """Wait until so many more calls have been served."""
        goal = self.served + more
        await until(lambda: self.served >= goal)

    @asynccontextmanager
    async def on(self, address: str, *, clients: int = 6) -> AsyncIterator[None]:
        """Call a hub by both kinds of channel; at the end, wait for the calls that are under way."""
        native = grpc.aio.insecure_channel(address, (("grpc.max_reconnect_backoff_ms", 500),))
        async with native, portcall.Channel(address) as channel, asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self.call_on(channel if number % 2 else native))
            yield
            self._is_over = True

    def check(self) -> None:
        """Each call ended exactly once, none was served twice, and what was served is in the ledger."""
        begun, ended = self._ledger.counts("begun"), self._ledger.counts("ended")
        assert sorted(self.outcomes) == sorted(self.made)
        assert {name: codes for name, codes in self.outcomes.items() if len(codes) != 1} == {}
        assert {name: count for name, count in begun.items() if count != 1} == {}
        served = {name for name, codes in self.outcomes.items() if codes == [grpc.StatusCode.OK]}
        assert served <= set(ended)
        failures = {code for codes in self.outcomes.values() for code in codes} - {grpc.StatusCode.OK}
        assert failures <= {grpc.StatusCode.UNAVAILABLE}
