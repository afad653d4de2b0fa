"""The store: what it and the engine take for a job, and what a claim costs however many jobs are stored."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bench.report import note
from bench.rows import Measure, Row, at_least, at_most

GROUP = "store"
BYTES = 100
FLAT = 1.5
"""A claim in a large store takes at most so many times what it takes in a small one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything."""

    rounds: int
    jobs: int
    stored: tuple[int, ...]
    """Sizes of stores in which jobs are claimed, the smallest first."""

    claimed: int


FULL = Sizes(rounds=5, jobs=200_000, stored=(1_000, 1_000_000), claimed=5_000)
QUICK = Sizes(rounds=1, jobs=1_000, stored=(1_000, 20_000), claimed=500)
HUGE = 10_000_000
"""Another size, for who has minutes and some gigabytes of disk. Measured once."""


def sizes(rounds: int, *, is_quick: bool, is_huge: bool) -> Sizes:
    """Return how much to measure."""
    chosen = QUICK if is_quick else replace(FULL, rounds=rounds)
    return replace(chosen, stored=(*chosen.stored, HUGE)) if is_huge else chosen


def measure(sizes: Sizes) -> Iterator[Row]:
    """Measure all of it, each in a process of its own."""
    results = []
    for number in range(1, sizes.rounds + 1):
        note(f"round {number} of {sizes.rounds}: engine and store")
        with tempfile.TemporaryDirectory() as folder:
            results.append(_run("rate", folder, sizes.jobs, BYTES))
    case = "a job of 100 B through engine and store, fsync"
    for figure, unit, name, bars in (
        ("rate", "jobs/s", "per_s", (at_least(30_000),)),
        ("CPU for each", "µs", "cpu_us", ()),
        ("disk for each", "B", "file_bytes", ()),
    ):
        values = tuple(result[name] for result in results)
        yield Row(group=GROUP, case=case, contender="SQLite", figure=figure, unit=unit, values=values, bars=bars)
    yield from _claims(sizes, "claim, run and end one of them", sizes.stored, is_scattered=False)
    # What is ready lies on as many pages of the file as there are jobs, each of which is written for one of them.
    yield from _claims(sizes, "the same, scattered among the others", sizes.stored[:2], is_scattered=True)


def _claims(sizes: Sizes, case: str, stores: tuple[int, ...], *, is_scattered: bool) -> Iterator[Row]:
    base: Row | None = None
    for stored in stores:
        results = []
        for number in range(1, sizes.rounds + 1 if stored < HUGE else 2):
            with tempfile.TemporaryDirectory() as folder:
                note(f"round {number}: claims among {stored:,} stored jobs")
                _run("fill", folder, stored, BYTES, int(is_scattered))
                results.append(_run("claim", folder, min(sizes.claimed, stored)))
        contender = f"{stored:,} stored"
        row = Row(
            group=GROUP,
            case=case,
            contender=contender,
            figure="store",
            unit="µs",
            values=tuple(result["us"] for result in results),
            base=base,
            bars=(at_most(FLAT, Measure.RATIO),) if base and not is_scattered else (),
        )
        base = base or row
        yield row
        if is_scattered:
            continue
        for figure, unit, name, scale in (("memory", "MB", "memory_bytes", 1e-6), ("opening", "ms", "open_s", 1e3)):
            values = tuple(result[name] * scale for result in results)
            yield Row(group=GROUP, case=case, contender=contender, figure=figure, unit=unit, values=values)


def _run(what: str, folder: str, *numbers: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.storing", what, folder, *map(str, numbers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result
