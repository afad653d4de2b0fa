"""The job engine in a world of chance: submitters, workers and a hub that come and go, on a store in memory.

`python -m tests.simulation.jobs.run --seeds 5000` runs many; `PORTCALL_SEED=7 pytest tests/simulation/jobs` runs one
again.
"""
