"""The files below a folder that are a project's own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDERS_OF_OTHERS: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


def project_files(folder: Path, *suffixes: str) -> Iterator[os.DirEntry[str]]:
    """Return the files below a folder whose names end so, in no order; a folder that is not there has none.

    Hidden folders, virtual environments and what package managers have installed are left out, and links to folders are
    not followed.
    """
    top = str(folder)
    waiting = [top]
    while waiting:
        place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        if place != top and any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in FOLDERS_OF_OTHERS:
                    waiting.append(entry.path)
            elif entry.name.endswith(suffixes) and entry.is_file():
                yield entry
