"""What changes on the disk: looked for now and then, and told once it has been quiet for a moment.

Looking needs nothing from the system, so it works on every disk there is, those of containers and networks included,
and without a library. A look at a thousand files takes some milliseconds; looks are as far apart as they have to be to
take a twentieth of the time.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from portcall.contract.folders import project_files

LOOK_S = 0.2
"""How far looks are apart at least."""

LOOK_SHARE = 0.05
"""How much of the time looking may take."""

RESTLESS_LOOKS_MAX = 25
"""After so many looks a change is told, though there still are new ones."""

Stamp = tuple[int, int, int]
Snapshot = Mapping[Path, Stamp]


def take_snapshot(folders: Iterable[Path], *suffixes: str) -> Snapshot:
    """Return what is below these folders, as far as it is the project's own."""
    found = {}
    for folder in folders:
        for entry in project_files(folder, *suffixes):
            try:
                seen = entry.stat()
            except FileNotFoundError:
                continue
            found[Path(entry.path)] = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
    return found


class Changes:
    """Compares each snapshot with the one before, and with what was there when a change was last told."""

    def __init__(self, first: Snapshot) -> None:
        self._told = self._last = dict(first)
        self._looks = 0

    def look(self, now: Snapshot) -> frozenset[Path]:
        """Return the files that have changed, come or gone, once the last look has shown nothing new; else nothing."""
        changed = frozenset(path for path in self._told.keys() | now.keys() if self._told.get(path) != now.get(path))
        is_quiet = now == self._last
        self._last = dict(now)
        self._looks = self._looks + 1 if changed else 0
        if not changed or not (is_quiet or self._looks >= RESTLESS_LOOKS_MAX):
            return frozenset()
        self._told, self._looks = self._last, 0
        return changed

    def excuse(self, snapshot: Snapshot) -> None:
        """Take these files as told: whoever watches has written them."""
        self._told = {**self._told, **snapshot}


async def next_changes(changes: Changes, take: Callable[[], Snapshot]) -> frozenset[Path]:
    """Look until something has changed."""
    pause_s = LOOK_S
    while True:
        await asyncio.sleep(pause_s)
        started = time.perf_counter()
        changed = changes.look(await asyncio.to_thread(take))
        if changed:
            return changed
        pause_s = max(LOOK_S, (time.perf_counter() - started) / LOOK_SHARE)
