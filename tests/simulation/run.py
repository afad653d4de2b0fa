"""Runs many seeds: `python -m tests.simulation.run --seeds 5000`, or `tests.simulation.jobs.run` for worlds of jobs."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from .world import run_seed

RunSeed = Callable[[int], object]


def try_seed(run: RunSeed, seed: int) -> str | None:
    """Run a seed; return what went wrong, or None."""
    try:
        run(seed)
    except AssertionError:
        return traceback.format_exc()
    return None


def try_seeds(run: RunSeed, seeds: Iterable[int], processes: int) -> list[int]:
    """Run seeds side by side, telling of each that fails; return those."""
    failed = []
    with ProcessPoolExecutor(processes) as pool:
        for seed, failure in zip(seeds, pool.map(partial(try_seed, run), seeds, chunksize=10), strict=True):
            if failure is not None:
                failed.append(seed)
                sys.stderr.write(f"--- seed {seed}\n{failure}\n")
    return failed


def main(run: RunSeed) -> int:
    """Run the seeds that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at once")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    failed = try_seeds(run, seeds, arguments.processes)
    sys.stdout.write(f"{len(seeds)} seeds, {len(failed)} failed{': ' if failed else ''}{failed or ''}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(run_seed))
