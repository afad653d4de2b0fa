"""The mark of how far a process has come: the id of the last call that it began, in memory shared with its supervisor.

What a process writes there it need not send, so no death can take it away: the supervisor reads the mark when the
process is gone.
"""

import mmap
import os
import tempfile
from contextlib import suppress

MARK_BYTES = 8


class Mark:
    """One number. `mark[0] = call_id` is one store of eight bytes: it is done or it is not."""

    __slots__ = ("_cell", "_memory")

    def __init__(self, file: int) -> None:
        """Map the memory of this file, which may be closed then."""
        self._memory = mmap.mmap(file, MARK_BYTES)
        self._cell = memoryview(self._memory).cast("Q")

    def __getitem__(self, index: int) -> int:
        return self._cell[index]

    def __setitem__(self, index: int, call_id: int) -> None:
        self._cell[index] = call_id

    @property
    def cell(self) -> memoryview:
        """Return the number itself, as what is faster to write to."""
        return self._cell


def create_file() -> int:
    """Return a new file of memory; whoever has it can map the same mark."""
    file = -1
    with suppress(AttributeError, OSError):  # not every system has it, or allows it
        file = os.memfd_create("portcall-mark")
    if file < 0:
        with tempfile.TemporaryFile() as scratch:
            file = os.dup(scratch.fileno())
    os.ftruncate(file, MARK_BYTES)
    return file
