"""What is built where nobody says otherwise. Imports nothing that is in an extra, so that help can tell it."""

from typing import Final

BASE_DEFAULT: Final = "python:3.13-slim"

BASES_LOCK: Final = "portcall-image.lock"
"""Beside the project's lock: which digest a base's tag had when it was first used."""

PYLOCK: Final = "pylock.toml"
UV_LOCK: Final = "uv.lock"
REQUIREMENTS: Final = "requirements.txt"
LOCKS: Final = (PYLOCK, UV_LOCK, REQUIREMENTS)
"""What is looked for, the first one first."""

HUB_ADDRESS: Final = "127.0.0.1:7070"
"""Where the hub of a compose file listens."""
