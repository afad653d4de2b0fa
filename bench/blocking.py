"""The process that calls and blocks: `bench.calling` for the blocking API. Calls at once are made by threads.

Run as `python -m bench.blocking grpc|portcall ADDRESS`.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from time import perf_counter
from typing import Any

import grpc

from bench.echo_pb2 import DownloadRequest, Payload
from bench.loads import ENDLESS, Load, LoadKind, LoadResult, Tally, timed, until_then
from bench.service import EchoStub
from bench.serving import say


def open_channel(kind: str, address: str) -> Any:
    """Return grpcio's channel or Portcall's, as anyone would open it."""
    if kind == "grpc":
        return grpc.insecure_channel(address)
    # Imported here, so that a plain gRPC client is one.
    import portcall  # noqa: PLC0415

    return portcall.sync.Channel(address)


def _one_by_one(stub: EchoStub, load: Load) -> LoadResult:
    request = Payload(data=bytes(load.message_bytes))
    latencies: list[float] = []
    until = perf_counter() + load.seconds
    while True:
        begun_at = perf_counter()
        if begun_at >= until and len(latencies) > 1:
            return timed(load, latencies)
        stub.Unary(request)
        latencies.append(perf_counter() - begun_at)


def _at_once(stub: EchoStub, load: Load) -> LoadResult:
    request = Payload(data=bytes(load.message_bytes))
    begun_at = perf_counter()
    until = begun_at + load.seconds

    def keep_calling(_: int) -> int:
        done = 0
        while perf_counter() < until:
            stub.Unary(request)
            done += 1
        return done

    with ThreadPoolExecutor(load.calls_at_once) as threads:
        done = sum(threads.map(keep_calling, range(load.calls_at_once)))
    return LoadResult(done=done, message_bytes=load.message_bytes, seconds=perf_counter() - begun_at)


def _map(stub: EchoStub, load: Load) -> LoadResult:
    tally = Tally(load)
    requests = until_then(perf_counter() + load.seconds, Payload(data=bytes(load.message_bytes)))
    for outcome in stub.Unary.map(requests, return_exceptions=True):
        tally.note(outcome if isinstance(outcome, grpc.RpcError) else None)
    return tally.result()


def _download(stub: EchoStub, load: Load) -> LoadResult:
    begun_at = perf_counter()
    until = begun_at + load.seconds
    done = 0
    call = stub.Download(DownloadRequest(messages=ENDLESS, message_bytes=load.message_bytes))
    for _ in call:
        done += 1
        if perf_counter() >= until:
            break
    seconds = perf_counter() - begun_at
    call.cancel()
    return LoadResult(done=done, message_bytes=load.message_bytes, seconds=seconds)


_PERFORM: dict[LoadKind, Callable[[EchoStub, Load], LoadResult]] = {
    LoadKind.ONE_BY_ONE: _one_by_one,
    LoadKind.AT_ONCE: _at_once,
    LoadKind.MAP: _map,
    LoadKind.DOWNLOAD: _download,
}


def main() -> None:
    """Perform loads until standard input ends."""
    kind, address = sys.argv[1:]
    with open_channel(kind, address) as channel:
        stub = EchoStub(channel)
        say({})
        for line in sys.stdin:
            load = Load(**json.loads(line))
            say(asdict(_PERFORM[LoadKind(load.kind)](stub, load)))


if __name__ == "__main__":
    main()
