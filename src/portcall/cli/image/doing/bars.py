"""Bars of progress, for people on a terminal."""

from typing import Self

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from portcall.cli.output import console


class Bars:
    """How far each transfer is."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bars = Progress(*columns, console=console(stderr=True), transient=True)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def step(self, words: str) -> None:
        """Say what begins, above the bars."""
        self._bars.console.print(words)

    def moved(self, what: str, done: int, total: int) -> None:
        """Move a bar; one that is full goes."""
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done)
        if done >= total:
            self._bars.remove_task(self._tasks.pop(what))
