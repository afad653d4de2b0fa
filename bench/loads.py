"""Loads: what a calling process does when it is told to, and what it counts.

A load is a value that travels to the process as JSON; its result travels back. Requests are made once and sent many
times; serialising them and parsing the replies is part of every call.
"""

import asyncio
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from time import perf_counter
from typing import Any

import grpc

from bench.echo_pb2 import DownloadRequest, HoldRequest, Payload
from bench.service import EchoStub

ENDLESS = 1 << 40


class LoadKind(StrEnum):
    """What is called, and how."""

    ONE_BY_ONE = "one by one"
    AT_ONCE = "at once"
    COMPUTE = "compute at once"
    MAP = "map"
    DOWNLOAD = "download"
    CHAT = "chat"
    STALLED_DOWNLOAD = "stalled download"
    HOLD_AT_ONCE = "hold at once"
    HOLD_MAP = "hold map"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One measurement's worth of calls: for so many seconds or, for the hold kinds, so many calls."""

    kind: LoadKind
    message_bytes: int
    seconds: float = 0.0
    calls: int = 0
    calls_at_once: int = 1
    hold_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What a load came to. Calls, or messages where a call has many."""

    done: int = 0
    message_bytes: int = 0
    seconds: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    refused: int = 0
    """Calls that ended RESOURCE_EXHAUSTED."""

    failed: int = 0
    """Calls that ended with any other error."""

    failure: str = ""
    """The first error of either sort."""

    @property
    def errors(self) -> int:
        """Return how many calls did not end as they should."""
        return self.refused + self.failed

    @property
    def per_s(self) -> float:
        """Return how many calls or messages were done each second."""
        return self.done / self.seconds

    @property
    def mb_per_s(self) -> float:
        """Return how much payload that is, in one direction, in megabytes each second."""
        return self.per_s * self.message_bytes / 1e6


async def perform(stub: EchoStub, load: Load) -> LoadResult:
    """Make the calls of a load."""
    return await _PERFORM[LoadKind(load.kind)](stub, load)


async def _one_by_one(stub: EchoStub, load: Load) -> LoadResult:
    request = Payload(data=bytes(load.message_bytes))
    latencies: list[float] = []
    until = perf_counter() + load.seconds
    while True:
        begun_at = perf_counter()
        if begun_at >= until and len(latencies) > 1:
            break
        await stub.Unary(request)
        latencies.append(perf_counter() - begun_at)
    return timed(load, latencies)


def timed(load: Load, latencies: list[float]) -> LoadResult:
    """Return what calls that were made one after the other came to."""
    percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
    return LoadResult(
        done=len(latencies),
        message_bytes=load.message_bytes,
        seconds=sum(latencies),
        p50_us=percentiles[49] * 1e6,
        p99_us=percentiles[98] * 1e6,
    )


async def _at_once(stub: EchoStub, load: Load) -> LoadResult:
    return await _keep_calling(stub.Unary, Payload(data=bytes(load.message_bytes)), load)


async def _compute(stub: EchoStub, load: Load) -> LoadResult:
    return await _keep_calling(stub.Compute, HoldRequest(hold_ms=load.hold_ms, data=bytes(load.message_bytes)), load)


async def _keep_calling(call: Any, request: Payload | HoldRequest, load: Load) -> LoadResult:
    """Make calls, so many at once, each as soon as the one before it is done."""
    begun_at = perf_counter()
    until = begun_at + load.seconds

    async def keep_calling() -> int:
        done = 0
        while perf_counter() < until:
            await call(request)
            done += 1
        return done

    done = sum(await asyncio.gather(*(keep_calling() for _ in range(load.calls_at_once))))
    return LoadResult(done=done, message_bytes=load.message_bytes, seconds=perf_counter() - begun_at)


async def _map(stub: EchoStub, load: Load) -> LoadResult:
    tally = Tally(load)
    requests = until_then(perf_counter() + load.seconds, Payload(data=bytes(load.message_bytes)))
    async for outcome in stub.Unary.map(requests, return_exceptions=True):
        tally.note(outcome if isinstance(outcome, grpc.aio.AioRpcError) else None)
    return tally.result()


def until_then(until: float, request: Payload) -> Iterator[Payload]:
    """Yield the request until the time is up."""
    while perf_counter() < until:
        yield request


async def _download(stub: EchoStub, load: Load) -> LoadResult:
    """Read what comes until the time is up, then cancel."""
    begun_at = perf_counter()
    until = begun_at + load.seconds
    done = 0
    call = stub.Download(DownloadRequest(messages=ENDLESS, message_bytes=load.message_bytes))
    async for _ in call:
        done += 1
        if perf_counter() >= until:
            break
    seconds = perf_counter() - begun_at
    await _cancel(call)
    return LoadResult(done=done, message_bytes=load.message_bytes, seconds=seconds)


async def _chat(stub: EchoStub, load: Load) -> LoadResult:
    """Write as fast as will go until the time is up, and read what comes back to its end."""
    begun_at = perf_counter()
    until = begun_at + load.seconds
    request = Payload(data=bytes(load.message_bytes))

    async def requests() -> AsyncIterator[Payload]:
        while perf_counter() < until:
            yield request

    done = 0
    async for _ in stub.Chat(requests()):
        done += 1
    return LoadResult(done=done, message_bytes=load.message_bytes, seconds=perf_counter() - begun_at)


async def _stalled_download(stub: EchoStub, load: Load) -> LoadResult:
    """Read one message of as many as were asked for, and then none for as long as the load lasts."""
    call = stub.Download(DownloadRequest(messages=load.calls, message_bytes=load.message_bytes))
    await call.read()
    await asyncio.sleep(load.seconds)
    await _cancel(call)
    return LoadResult(done=1, message_bytes=load.message_bytes, seconds=load.seconds)


async def _cancel(call: Any) -> None:
    call.cancel()
    await call.code()


async def _hold_at_once(stub: EchoStub, load: Load) -> LoadResult:
    """Make so many calls, so many at once; a refused one makes place for the next."""
    requests = _holds(load)
    tally = Tally(load)

    async def keep_calling() -> None:
        for request in requests:
            try:
                await stub.Hold(request)
            except grpc.aio.AioRpcError as error:
                tally.note(error)
            else:
                tally.note(None)

    await asyncio.gather(*(keep_calling() for _ in range(load.calls_at_once)))
    return tally.result()


async def _hold_map(stub: EchoStub, load: Load) -> LoadResult:
    """Make so many calls, so many at once; a refused one makes place for the next."""
    tally = Tally(load)
    outcomes = stub.Hold.map(_holds(load), ordered=False, limit=load.calls_at_once, return_exceptions=True)
    async for outcome in outcomes:
        tally.note(outcome if isinstance(outcome, grpc.aio.AioRpcError) else None)
    return tally.result()


def _holds(load: Load) -> Iterator[HoldRequest]:
    return repeat(HoldRequest(hold_ms=load.hold_ms, data=bytes(load.message_bytes)), load.calls)


class Tally:
    """How calls ended."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._begun_at = perf_counter()
        self._done = self._refused = self._failed = 0
        self._failure = ""

    def note(self, error: Any) -> None:
        """Count one call."""
        if error is None:
            self._done += 1
            return
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            self._refused += 1
        else:
            self._failed += 1
        self._failure = self._failure or f"{error.code().name}: {error.details()}"

    def result(self) -> LoadResult:
        """Return the counts."""
        return LoadResult(
            done=self._done,
            message_bytes=self._load.message_bytes,
            seconds=perf_counter() - self._begun_at,
            refused=self._refused,
            failed=self._failed,
            failure=self._failure,
        )


_PERFORM: dict[LoadKind, Callable[[EchoStub, Load], Awaitable[LoadResult]]] = {
    LoadKind.ONE_BY_ONE: _one_by_one,
    LoadKind.AT_ONCE: _at_once,
    LoadKind.COMPUTE: _compute,
    LoadKind.MAP: _map,
    LoadKind.DOWNLOAD: _download,
    LoadKind.CHAT: _chat,
    LoadKind.STALLED_DOWNLOAD: _stalled_download,
    LoadKind.HOLD_AT_ONCE: _hold_at_once,
    LoadKind.HOLD_MAP: _hold_map,
}
