"""What the commands of `portcall image` do. Needs `portcall[image]`, which the commands and their options do not.

So `--help`, completion and `portcall config` work without it, and a `portcall.toml` with a table `[image]` can be read
in a container, which has no use for the extra.
"""
