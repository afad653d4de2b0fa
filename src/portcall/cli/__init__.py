"""The `portcall` command: reads what is asked for, has the packages below do it, prints what came of it.

Owns words, tables, progress bars and exit codes; decides nothing else. May import every other package. `main` imports
a command's module only when that command is run, so that `--help` is fast and gRPC finds its settings in place.
"""
