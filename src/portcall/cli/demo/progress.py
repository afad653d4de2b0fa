"""What the demo shows while it works: bars on a terminal, a line now and then elsewhere, nothing to programs."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

LINES_MAX = 10
"""How many lines of progress a log gets."""


class Show:
    """A context manager around the work, told of each step. This one shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, words: str) -> None:
        """Take a sentence."""

    def begin(self, document_count: int) -> None:
        """Take how many documents there are."""

    def advance(self, worker: str) -> None:
        """Take that one more document is done with; `worker` is empty if none had a part in it."""


class Lines(Show):
    """Plain lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._document_count = 0
        self._done = 0

    def say(self, words: str) -> None:
        """Print it."""
        self._console.print(words)

    def begin(self, document_count: int) -> None:
        """Note it."""
        self._document_count = document_count

    def advance(self, worker: str) -> None:
        """Print a line at each tenth of the way."""
        self._done += 1
        tenths = self._done * LINES_MAX // self._document_count
        if tenths > (self._done - 1) * LINES_MAX // self._document_count:
            self._console.print(f"{self._done} of {self._document_count} documents")


class Bars(Show):
    """One bar for all documents, and one for the share of each worker."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"))
        self._progress = Progress(*columns, console=console)
        self._document_count = 0
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, words: str) -> None:
        """Print it above the bars."""
        self._console.print(words)

    def begin(self, document_count: int) -> None:
        """Show the bar of all documents."""
        self._document_count = document_count
        self._tasks[""] = self._progress.add_task(f"{document_count:,} documents", total=document_count)

    def advance(self, worker: str) -> None:
        """Move the bars on; a worker gets its own with its first document."""
        self._progress.advance(self._tasks[""])
        if worker:
            if worker not in self._tasks:
                self._tasks[worker] = self._progress.add_task(worker, total=self._document_count)
            self._progress.advance(self._tasks[worker])


def show_on(console: Console) -> Show:
    """Return what suits the console."""
    is_lively = console.is_terminal and not console.is_dumb_terminal
    return Bars(console) if is_lively else Lines(console)
