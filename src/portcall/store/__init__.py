"""Where jobs are kept: the `Store` protocol and its SQLite form.

Owns files and databases, and no rule about jobs: what a batch does is defined by `portcall.core.jobs.batch`, and one
conformance suite (`tests/store`) holds every store to it. Imports the core for its types alone.
"""
