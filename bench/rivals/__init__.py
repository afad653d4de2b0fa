"""Other ways to have jobs done, for comparison: each a script that runs in an environment of its own.

A script is run as `SCRIPT load JOBS BYTES` and says in a line of JSON how long it took from the first submission to
the last result, or with `--one-by-one` how long each took. Its workers are started by its own command line, as its
users do.
"""
