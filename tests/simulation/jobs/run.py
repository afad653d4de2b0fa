"""Runs many seeds: `python -m tests.simulation.jobs.run --seeds 5000`."""

import sys

from tests.simulation.run import main

from .world import run_seed

if __name__ == "__main__":
    sys.exit(main(run_seed))
