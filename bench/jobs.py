"""Jobs: how many a second from submission to result, how long one takes, what a waiting one costs; beside others."""

import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import ANSWER_S, Child, Server
from bench.report import note
from bench.rivals.standing import RIVALS, has_redis, standing
from bench.rows import Row, at_least
from bench.stand import start_worker

GROUP = "jobs"
BYTES = 100
WARM_UP = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything."""

    rounds: int
    jobs: int
    one_by_one: int
    idle: int
    has_rivals: bool
    """Whether others are measured too. They have to be installed for it."""


FULL = Sizes(rounds=5, jobs=60_000, one_by_one=300, idle=100_000, has_rivals=True)
QUICK = Sizes(rounds=1, jobs=500, one_by_one=5, idle=1_000, has_rivals=False)


class Submitting(Child):
    """The process that submits."""

    def __init__(self, address: str) -> None:
        super().__init__("bench.submitting", address)

    def load(self, kind: str, jobs: int) -> dict[str, Any]:
        """Have a load performed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"kind": kind, "jobs": jobs, "bytes": BYTES}).encode() + b"\n")
        self._process.stdin.flush()
        return self.expect(ANSWER_S)


def measure(sizes: Sizes) -> Iterator[Row]:
    """Measure Portcall, and then what there is to compare it with, in the same run."""
    rates: dict[str, list[float]] = {}
    p50s: dict[str, list[float]] = {}
    p99s: dict[str, list[float]] = {}
    for workers in (1, 2):
        name = f"Portcall, {workers} worker{'s' if workers > 1 else ''}, fsync"
        _portcall(name, workers, sizes, rates, p50s, p99s)
    for rival in RIVALS if sizes.has_rivals else ():
        if rival.needs_redis and not has_redis():
            note(f"{rival.name}: left out, since there is no redis-server; install it with: apt install redis-server")
            continue
        for processes in (1, 2):
            name = f"{rival.name}, {processes} process{'es' if processes > 1 else ''}"
            with standing(rival, processes) as stand:
                stand.jobs_per_s(100, BYTES)
                for number in range(1, sizes.rounds + 1):
                    note(f"round {number} of {sizes.rounds}: {name}")
                    rates.setdefault(name, []).append(stand.jobs_per_s(rival.jobs, BYTES))
                    if processes == 1:
                        p50, p99 = stand.latency_ms(sizes.one_by_one, BYTES)
                        p50s.setdefault(name, []).append(p50)
                        p99s.setdefault(name, []).append(p99)
    yield from _rows("jobs, 100 B, submitted at once", "rate", "jobs/s", rates, is_bar=True)
    yield from _rows("one job at a time, 100 B", "p50", "ms", p50s)
    yield from _rows("one job at a time, 100 B", "p99", "ms", p99s)
    yield from _idle(sizes)


def _portcall(
    name: str,
    workers: int,
    sizes: Sizes,
    rates: dict[str, list[float]],
    p50s: dict[str, list[float]],
    p99s: dict[str, list[float]],
) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as exits:
        hub = exits.enter_context(start_hub(Path(folder) / "jobs.db"))
        for _ in range(workers):
            exits.enter_context(start_worker(hub))
        submitting = exits.enter_context(Submitting(hub.address))
        submitting.load("many", min(WARM_UP, sizes.jobs))
        for number in range(1, sizes.rounds + 1):
            note(f"round {number} of {sizes.rounds}: {name}")
            rates.setdefault(name, []).append(sizes.jobs / submitting.load("many", sizes.jobs)["seconds"])
            times = sorted(submitting.load("one by one", sizes.one_by_one)["times"])
            p50s.setdefault(name, []).append(statistics.median(times) * 1e3)
            p99s.setdefault(name, []).append(times[int(len(times) * 0.99)] * 1e3)


def _idle(sizes: Sizes) -> Iterator[Row]:
    """Measure what a job that waits for its time costs the hub."""
    memory, disk = [], []
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "jobs.db"
        with start_hub(store) as hub, Submitting(hub.address) as submitting:
            submitting.load("idle", WARM_UP)
            before_memory, before_disk = hub.rss_bytes, _size(store)
            submitting.load("idle", sizes.idle)
            memory.append((hub.rss_bytes - before_memory) / sizes.idle)
            disk.append((_size(store) - before_disk) / sizes.idle)
    case = f"a waiting job of 100 B, of {sizes.idle:,}"
    yield Row(group=GROUP, case=case, contender="hub", figure="memory", unit="B", values=tuple(memory))
    yield Row(group=GROUP, case=case, contender="hub", figure="disk", unit="B", values=tuple(disk))


def _size(store: Path) -> int:
    return sum(file.stat().st_size for file in store.parent.iterdir())


def _rows(case: str, figure: str, unit: str, values: dict[str, list[float]], *, is_bar: bool = False) -> Iterator[Row]:
    base: Row | None = None
    for contender, found in values.items():
        bars = (at_least(30_000),) if is_bar and contender.startswith("Portcall") else ()
        row = Row(
            group=GROUP,
            case=case,
            contender=contender,
            figure=figure,
            unit=unit,
            values=tuple(found),
            base=base,
            bars=bars,
        )
        base = base or row
        yield row


def start_hub(store: Path) -> Server:
    """Start a hub that keeps its jobs in this file, with its default settings."""
    return Server("portcall", "hub", "--listen", "127.0.0.1:0", "--json", "--store", str(store))
