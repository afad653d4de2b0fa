"""Settings: what the environment and `portcall.toml` can say in place of an option; and `portcall config`, to show it.

A setting is declared once, as an option of a command (`setting` in `cli/options.py`); its place in the file and its
variable follow from its name. click merges: an option, else the environment, else the file (its `default_map`), else
the default. This package finds and reads the file, judges it and the environment, and hands click what it says. Owned
by the CLI: programs that use the library read arguments and the environment alone. `setting.py` imports click alone, so
that `portcall --help` is fast.
"""
