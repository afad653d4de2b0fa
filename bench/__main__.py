"""Run the benchmarks and print one table: medians over the rounds, spread, ratios, and the bars to clear.

Times depend on the machine and on what else it does; ratios hardly do. Leave the machine alone while it runs.
"""

import argparse
import resource
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench import images, jobs, memory, speed, store
from bench.processes import ChildError
from bench.report import print_table, read_json, run_of, write_json, write_markdown
from bench.rows import Row

ROUNDS = 5
SECONDS = 2.0
QUICK_SECONDS = 0.05

MEMORY: dict[str, Callable[[memory.Sizes], Iterator[Row]]] = {
    "links": memory.measure_links,
    "slow-reader": memory.measure_slow_reader,
    "overload": memory.measure_overload,
}


IMAGE = "image"
"""Measured only when it is asked for: it takes minutes, a registry, and an engine for most of its rows."""


def group_names() -> tuple[str, ...]:
    """Return what is measured unless `--only` says what; that takes IMAGE, too."""
    return (*dict.fromkeys(case.group for case in speed.cases()), *MEMORY, store.GROUP, jobs.GROUP)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, metavar="N", help=f"rounds of each measurement (default {ROUNDS})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"length of one measurement (default {SECONDS:g})")
    parser.add_argument(
        "--only", nargs="+", choices=(*group_names(), IMAGE), metavar="NAME", help=", ".join((*group_names(), IMAGE))
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value to this file")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the tables into the sections of this document"
    )
    parser.add_argument("--from", dest="kept", type=Path, metavar="FILE", help="measure nothing: show what --json kept")
    parser.add_argument("--quick", action="store_true", help="hardly measure: only see that everything runs")
    parser.add_argument("--huge", action="store_true", help="store: also with 10 million jobs, which takes minutes")
    return parser.parse_args(arguments)


def command_of(options: argparse.Namespace) -> str:
    """Return the command that measures the same, without where its figures go."""
    words = ["python", "-m", "bench"]
    if options.only:
        words += ["--only", *options.only]
    for name in ("rounds", "seconds"):
        if getattr(options, name):
            words += [f"--{name}", f"{getattr(options, name):g}"]
    return shlex.join([*words, *(f"--{name}" for name in ("quick", "huge") if getattr(options, name))])


def measure(options: argparse.Namespace) -> list[Row]:
    """Run what was chosen."""
    chosen = options.only or group_names()
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    sizes = memory.QUICK if options.quick else replace(memory.FULL, rounds=min(rounds, memory.FULL.rounds))
    cases = [case for case in speed.cases() if case.group in chosen]
    rows = speed.measure(cases, rounds=rounds, seconds=seconds) if cases else []
    for name, measure_group in MEMORY.items():
        if name in chosen:
            rows += measure_group(sizes)
    if store.GROUP in chosen:
        rows += store.measure(store.sizes(rounds, is_quick=options.quick, is_huge=options.huge))
    if IMAGE in chosen:
        rows += images.measure_images(rounds)
    if jobs.GROUP in chosen:
        rows += jobs.measure(jobs.QUICK if options.quick else replace(jobs.FULL, rounds=rounds))
    return rows


def main(arguments: list[str]) -> int:
    """Run, print, and return the exit code: 0 if everything could be measured, whatever came out."""
    options = parse(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # So that the children are ended in order when the benchmark is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        run = read_json(options.kept) if options.kept else run_of(command_of(options), measure(options))
    except ChildError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print_table(run)
    if options.json:
        write_json(run, options.json)
    if options.markdown:
        try:
            write_markdown(run, options.markdown)
        except ValueError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
