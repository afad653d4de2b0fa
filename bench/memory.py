"""How much memory the hub takes: idle links, a client that does not read, and far more calls than it has room for.

What a process has once taken it seldom gives back, so every measurement has a new hub.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from bench.loads import Load, LoadKind, LoadResult
from bench.processes import Caller, Growth, Server
from bench.report import note
from bench.rows import Measure, Row, at_most
from bench.stand import Route, start_hub, start_server, start_worker
from portcall.core.limits import CallLimits
from portcall.worker.server import SLOTS_DEFAULT

MESSAGE_BYTES = 65_536

LINK_KB_MAX = 64

STALLED_MB_MAX = 8
"""What counts as flat under a slow reader: one stream's window, what a link and gRPC itself hold, and a reserve."""

OVERLOAD_MB_MAX = 64
"""What counts as flat under overload: ten times the calls take this much more than one time, a quarter of what calls
that wait may hold."""

HOLD_MS = 100
"""How long a call holds its slot when the hub is overloaded, so that the worker and not the hub is what is too slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much to offer."""

    rounds: int
    links: int
    settle_s: float
    """How long to wait before a look at a process that should be at rest."""

    stalled_messages: int
    stalled_s: float
    room_share: float
    """How much of a hub's room for calls the load of 1x fills: all, unless only to see that everything runs."""


FULL = Sizes(rounds=3, links=2_000, settle_s=1.0, stalled_messages=16_384, stalled_s=5.0, room_share=1.0)
QUICK = Sizes(rounds=1, links=10, settle_s=0.1, stalled_messages=256, stalled_s=0.2, room_share=0.01)


# --- idle links -------------------------------------------------------------------------------------------------------


def measure_links(sizes: Sizes) -> Iterator[Row]:
    """Attach idle workers to a hub, and open as many idle streams to a gRPC server."""
    case = f"memory for each of {sizes.links:,} idle links"
    plain, attached = [], []
    for number in range(1, sizes.rounds + 1):
        note(f"round {number} of {sizes.rounds}: {case}")
        plain.append(_kb_per_link("grpc", start_server, sizes))
        attached.append(_kb_per_link("portcall", start_hub, sizes))
    row = partial(Row, group="links", case=case, figure="resident", unit="KB")
    base = row(contender="grpc.aio server, idle streams", values=tuple(plain))
    yield base
    yield row(contender="hub, idle workers", values=tuple(attached), base=base, bars=(at_most(LINK_KB_MAX),))


def _kb_per_link(kind: str, start: Callable[[], Server], sizes: Sizes) -> float:
    # The first link brings in what all of them share.
    with start() as server, Server("bench.attaching", kind, server.address, "1"):
        time.sleep(sizes.settle_s)
        before = server.rss_bytes
        with Server("bench.attaching", kind, server.address, str(sizes.links)):
            time.sleep(sizes.settle_s)
            return (server.rss_bytes - before) / sizes.links / 1e3


# --- a slow reader ----------------------------------------------------------------------------------------------------


def measure_slow_reader(sizes: Sizes) -> Iterator[Row]:
    """Offer a long stream to a client that reads one message of it."""
    load = Load(
        kind=LoadKind.STALLED_DOWNLOAD,
        message_bytes=MESSAGE_BYTES,
        calls=sizes.stalled_messages,
        seconds=sizes.stalled_s,
    )
    case = f"{load.calls * MESSAGE_BYTES / 1e6:,.0f} MB streamed to a client that stops reading"
    grown: dict[Route, list[float]] = {Route.NATIVE: [], Route.CHANNEL: []}
    for number in range(1, sizes.rounds + 1):
        for route, values in grown.items():
            note(f"round {number} of {sizes.rounds}: {case}: {route}")
            _, growth = _run_on_new_hub(route, load)
            values.append(growth.grown_mb)
    row = partial(Row, group="slow-reader", case=case, figure="hub's growth", unit="MB")
    for route, values in grown.items():
        yield row(contender=route, values=tuple(values), bars=(at_most(STALLED_MB_MAX),))


# --- overload ---------------------------------------------------------------------------------------------------------


Outcomes = list[tuple[LoadResult, Growth]]


def measure_overload(sizes: Sizes) -> Iterator[Row]:
    """Offer a hub as many calls at once as it has room for, and ten times as many."""
    for message_bytes, size in ((100, "100 B"), (MESSAGE_BYTES, "64 KiB")):
        for route in (Route.NATIVE, Route.CHANNEL):
            yield from _overload_rows(f"overload, {size}, {route}", *_overload(route, message_bytes, sizes))


def _overload(route: Route, message_bytes: int, sizes: Sizes) -> tuple[Outcomes, Outcomes]:
    """Return what came of offering all at once what a hub has room for, and what came of ten times that."""
    once, tenfold = (_load(route, message_bytes, factor, sizes) for factor in (1, 10))
    outcomes: dict[Load, Outcomes] = {once: [], tenfold: []}
    for number in range(1, sizes.rounds + 1):
        for load, outcome in outcomes.items():
            note(f"round {number} of {sizes.rounds}: {load.calls:,} calls of {message_bytes:,} bytes at once: {route}")
            result, growth = _run_on_new_hub(route, load)
            outcome.append((result, growth))
            if result.failed:
                note(f"  {result.failed:,} ended with an error that is no refusal; the first error: {result.failure}")
    return outcomes[once], outcomes[tenfold]


def _load(route: Route, message_bytes: int, factor: int, sizes: Sizes) -> Load:
    """Return so many times the calls that one worker's slots and the hub's queue have room for, all at once."""
    limits = CallLimits()
    queue = min(limits.calls_waiting_max, limits.bytes_waiting_max // message_bytes)
    calls = int(factor * sizes.room_share * (SLOTS_DEFAULT + queue))
    kind = LoadKind.HOLD_MAP if route is Route.CHANNEL else LoadKind.HOLD_AT_ONCE
    return Load(kind=kind, message_bytes=message_bytes, calls=calls, calls_at_once=calls, hold_ms=HOLD_MS)


def _overload_rows(case: str, once: Outcomes, tenfold: Outcomes) -> Iterator[Row]:
    none, flat = at_most(0), at_most(OVERLOAD_MB_MAX, Measure.DIFFERENCE)
    grown = partial(Row, group="overload", case=case, figure="hub's growth", unit="MB")
    calls = partial(Row, group="overload", case=case, unit="calls")
    base = grown(contender="1x its room", values=tuple(growth.grown_mb for _, growth in once))
    yield base
    not_done = tuple(result.errors for result, _ in once)
    yield calls(contender="1x its room", figure="not done", values=not_done, bars=(none,))

    values = tuple(growth.grown_mb for _, growth in tenfold)
    yield grown(contender="10x its room", values=values, base=base, bars=(flat,))
    results = [result for result, _ in tenfold]
    calls = partial(calls, contender="10x its room")
    yield calls(figure="done", values=tuple(result.done for result in results))
    yield calls(figure="refused", values=tuple(result.refused for result in results))
    yield calls(figure="ended otherwise", values=tuple(result.failed for result in results), bars=(none,))


# --- what they share --------------------------------------------------------------------------------------------------


def _run_on_new_hub(route: Route, load: Load) -> tuple[LoadResult, Growth]:
    """Run a load on a hub with one worker, both new but for a few calls."""
    with ExitStack() as exits:
        hub = exits.enter_context(start_hub())
        exits.enter_context(start_worker(hub))
        caller = exits.enter_context(Caller("portcall" if route is Route.CHANNEL else "grpc", hub.address))
        caller.run(Load(kind=LoadKind.ONE_BY_ONE, message_bytes=load.message_bytes, seconds=0.1))
        return caller.run_beside(load, hub)
