"""How fast: latency, calls and messages each second."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from bench.loads import Load, LoadKind, LoadResult
from bench.report import note
from bench.rows import Bar, Measure, Row, at_least, at_most
from bench.stand import Route, Stand

SMALL_BYTES = 100
MEDIUM_BYTES = 10_000
LARGE_BYTES = 65_536
MANY = 100
"""Calls at once, where there are many."""

FEW = 8
"""Calls at once, where each takes a core."""

COMPUTE_MS = 5

THREADS = 50
"""Threads that call at once, where they block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number to be read from a result."""

    name: str
    unit: str
    read: Callable[[LoadResult], float]


P50 = Figure(name="p50", unit="µs", read=lambda result: result.p50_us)
P99 = Figure(name="p99", unit="µs", read=lambda result: result.p99_us)
CALLS = Figure(name="rate", unit="calls/s", read=lambda result: result.per_s)
MESSAGES = Figure(name="rate", unit="messages/s", read=lambda result: result.per_s)
VOLUME = Figure(name="rate", unit="MB/s", read=lambda result: result.mb_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to do what a case asks for."""

    route: Route
    load: Load
    name: str = ""
    """How the table calls it, if not by the route."""

    bars: tuple[Bar, ...] = ()
    """For the first figure of the case."""

    @property
    def label(self) -> str:
        """Return how the table calls it."""
        return self.name or self.route


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Contenders that take turns, round by round. The first is the one that the others are compared with."""

    group: str
    name: str
    figures: tuple[Figure, ...]
    contenders: tuple[Contender, ...]


def cases() -> Iterator[Case]:
    """Return every case."""
    yield _latency()
    yield _unary()
    yield _map(SMALL_BYTES, bars=(at_least(100_000), at_least(15, Measure.RATIO)))
    yield _map(MEDIUM_BYTES, bars=())
    for kind, name in ((LoadKind.DOWNLOAD, "server-streaming"), (LoadKind.CHAT, "bidirectional")):
        yield _stream(f"{name}, 100 B", kind, SMALL_BYTES, MESSAGES)
        yield _stream(f"{name}, 64 KiB", kind, LARGE_BYTES, VOLUME)
    yield _processes("one at a time", LoadKind.ONE_BY_ONE, P50, calls_at_once=1)
    yield _processes(f"{MANY} at once", LoadKind.AT_ONCE, CALLS, calls_at_once=MANY)
    yield _processes("map", LoadKind.MAP, CALLS, calls_at_once=1)
    yield _processes(f"{COMPUTE_MS} ms of computing", LoadKind.COMPUTE, CALLS, calls_at_once=FEW)
    yield from _sync()
    yield from _sidecar()


def _latency() -> Case:
    load = Load(kind=LoadKind.ONE_BY_ONE, message_bytes=SMALL_BYTES)
    return Case(
        group="latency",
        name="unary, 100 B, one at a time",
        figures=(P50, P99),
        contenders=(
            Contender(route=Route.DIRECT, load=load),
            Contender(route=Route.NATIVE, load=load, bars=(at_most(2, Measure.RATIO),)),
            Contender(route=Route.CHANNEL, load=load),
        ),
    )


def _unary() -> Case:
    load = Load(kind=LoadKind.AT_ONCE, message_bytes=SMALL_BYTES, calls_at_once=MANY)
    return Case(
        group="unary",
        name=f"unary, 100 B, {MANY} at once",
        figures=(CALLS,),
        contenders=(
            Contender(route=Route.DIRECT, load=load),
            Contender(route=Route.NATIVE, load=load, bars=(at_least(0.6, Measure.RATIO),)),
            Contender(route=Route.CHANNEL, load=load),
        ),
    )


def _map(message_bytes: int, bars: tuple[Bar, ...]) -> Case:
    unary = Load(kind=LoadKind.AT_ONCE, message_bytes=message_bytes, calls_at_once=MANY)
    mapped = Load(kind=LoadKind.MAP, message_bytes=message_bytes)
    size = "100 B" if message_bytes == SMALL_BYTES else "10 KB"
    return Case(
        group="map",
        name=f"many unary calls, {size}",
        figures=(CALLS,),
        contenders=(
            Contender(route=Route.DIRECT, load=unary, name=f"{Route.DIRECT}, {MANY} at once"),
            Contender(route=Route.CHANNEL, load=mapped, name="map, 1 worker", bars=bars),
            Contender(route=Route.CHANNEL_TWO_WORKERS, load=mapped, name="map, 2 workers"),
        ),
    )


def _stream(name: str, kind: LoadKind, message_bytes: int, figure: Figure) -> Case:
    load = Load(kind=kind, message_bytes=message_bytes)
    return Case(
        group="streams",
        name=name,
        figures=(figure,),
        contenders=tuple(Contender(route=route, load=load) for route in (Route.DIRECT, Route.NATIVE, Route.CHANNEL)),
    )


def _processes(name: str, kind: LoadKind, figure: Figure, *, calls_at_once: int) -> Case:
    load = Load(kind=kind, message_bytes=SMALL_BYTES, calls_at_once=calls_at_once, hold_ms=COMPUTE_MS)
    names = {
        Route.CHANNEL: "no supervisor",
        Route.CHANNEL_ONE_PROCESS: "--processes 1",
        Route.CHANNEL_TWO_PROCESSES: "--processes 2",
    }
    return Case(
        group="processes",
        name=f"worker with a supervisor, 100 B, {name}",
        figures=(figure,),
        contenders=tuple(Contender(route=route, load=load, name=name) for route, name in names.items()),
    )


def _sync() -> Iterator[Case]:
    """Return what a program that blocks can do, beside grpcio's blocking channel."""
    routes = (Route.SYNC_DIRECT, Route.SYNC_NATIVE, Route.SYNC_CHANNEL)
    one_by_one = Load(kind=LoadKind.ONE_BY_ONE, message_bytes=SMALL_BYTES)
    at_once = Load(kind=LoadKind.AT_ONCE, message_bytes=SMALL_BYTES, calls_at_once=THREADS)
    download = Load(kind=LoadKind.DOWNLOAD, message_bytes=SMALL_BYTES)
    mapped = Contender(
        route=Route.SYNC_CHANNEL,
        load=Load(kind=LoadKind.MAP, message_bytes=SMALL_BYTES),
        name=f"{Route.SYNC_CHANNEL}, map",
    )
    for name, figures, load, more in (
        ("blocking unary, 100 B, one at a time", (P50, P99), one_by_one, ()),
        (f"blocking unary, 100 B, {THREADS} threads", (CALLS,), at_once, (mapped,)),
        ("blocking server-streaming, 100 B", (MESSAGES,), download, ()),
    ):
        contenders = tuple(Contender(route=route, load=load) for route in routes)
        yield Case(group="sync", name=name, figures=figures, contenders=(*contenders, *more))


def _sidecar() -> Iterator[Case]:
    """What a sidecar costs, beside a worker that serves by itself."""
    unary = Load(kind=LoadKind.AT_ONCE, message_bytes=SMALL_BYTES, calls_at_once=MANY)
    loads = {
        "unary, 100 B, one at a time": (P50, Load(kind=LoadKind.ONE_BY_ONE, message_bytes=SMALL_BYTES)),
        f"unary, 100 B, {MANY} at once": (CALLS, unary),
        "server-streaming, 64 KiB": (VOLUME, Load(kind=LoadKind.DOWNLOAD, message_bytes=LARGE_BYTES)),
    }
    for name, (figure, load) in loads.items():
        routes = (Route.DIRECT, Route.NATIVE, Route.SIDECAR)
        contenders = tuple(Contender(route=route, load=load) for route in routes)
        yield Case(group="sidecar", name=name, figures=(figure,), contenders=contenders)


Results = dict[tuple[Case, Contender], list[LoadResult]]


def measure(chosen: Iterable[Case], *, rounds: int, seconds: float) -> list[Row]:
    """Run the cases, each contender of a case after the other in every round, and return their rows."""
    turns = [(case, contender) for case in chosen for contender in case.contenders]
    results: Results = {turn: [] for turn in turns}
    with Stand() as stand:
        for _, contender in turns:
            _run(stand, contender, seconds / 4)
        for number in range(1, rounds + 1):
            for case, contender in turns:
                note(f"round {number} of {rounds}: {case.name}: {contender.label}")
                results[case, contender].append(_run(stand, contender, seconds))
    return [row for case in dict.fromkeys(case for case, _ in turns) for row in _rows(case, results)]


def _run(stand: Stand, contender: Contender, seconds: float) -> LoadResult:
    result = stand.caller(contender.route).run(replace(contender.load, seconds=seconds))
    if result.errors:
        note(f"  {result.errors:,} of {result.done + result.errors:,} calls failed; the first error: {result.failure}")
    return result


def _rows(case: Case, results: Results) -> list[Row]:
    rows = []
    for figure in case.figures:
        base: Row | None = None
        for contender in case.contenders:
            row = Row(
                group=case.group,
                case=case.name,
                contender=contender.label,
                figure=figure.name,
                unit=figure.unit,
                values=tuple(figure.read(result) for result in results[case, contender]),
                errors=sum(result.errors for result in results[case, contender]),
                base=base,
                bars=contender.bars if figure is case.figures[0] else (),
            )
            base = base or row
            rows.append(row)
    return rows
