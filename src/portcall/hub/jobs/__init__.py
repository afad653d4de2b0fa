"""Durable jobs at the hub: the shell round `portcall.core.jobs`.

Owns the clock, the store's threads, the way of attempts to workers, and all who submit, wait and watch. `keeper` drives
the engine; every decision about a job is the engine's. Imports the core, the store, the contracts, and the board.
"""
