"""A whole fleet in one process, on a clock that jumps: everything that happens follows from one seed.

Real are the switchboard, the links at both ends, and the senders and receivers of messages. Simulated are the streams
beneath, the shells around and the programs that call and serve: they delay, stall, drop, die, drain, restart and give
up as the seed has it. After every step `invariants` looks at everything that has moved.

    PORTCALL_SEED=1234 pytest tests/simulation           runs one seed again
    python -m tests.simulation.run --seeds 5000          runs many
"""
