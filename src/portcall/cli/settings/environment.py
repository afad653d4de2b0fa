"""Judges variables whose names begin as those of our settings do, and that are none. Pure."""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from portcall.cli.settings.setting import PREFIX

KUBERNETES: Final = re.compile(
    rf"{PREFIX}(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes puts into every container for each service whose name begins with "portcall"."""

CUTOFF: Final = 0.8
"""How much of a name has to be that of a setting to be taken for a slip of the pen, by `difflib`'s measure."""


def strangers(environment: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the variables that begin as ours do, and that neither we know nor Kubernetes makes."""
    return sorted(
        name
        for name in environment
        if name.startswith(PREFIX) and name not in known and KUBERNETES.fullmatch(name) is None
    )


def nearest_variable(name: str, known: Collection[str], tables: Sequence[str]) -> str | None:
    """Return the variable that is meant, if one is near: of the same table if the name begins with one.

    Only what follows is compared, since what names have in common by rule makes none a slip of another.
    """
    starts = [f"{PREFIX}{table.upper().replace('.', '_').replace('-', '_')}_" for table in tables]
    start = next((start for start in sorted(starts, key=len, reverse=True) if name.startswith(start)), PREFIX)
    rests = [each.removeprefix(start) for each in known if each.startswith(start)]
    near = difflib.get_close_matches(name.removeprefix(start).upper(), rests, n=1, cutoff=CUTOFF)
    return start + near[0] if near else None


def slip(name: str, near: str) -> str:
    """Say that a variable must be meant to be another."""
    return f"there is no setting {name}, which is in the environment. Did you mean {near}?"
