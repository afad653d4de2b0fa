"""The kinds of store that there are. A new one is added to `STORES` and runs every test here but those of `sqlite/`."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from portcall.store.protocol import Store
from portcall.store.sqlite.store import SQLiteStore

from .model import ModelStore


class Place(Protocol):
    """Where a store is: opening it again gives what the one before has written."""

    def open(self) -> Store:
        """Open it; the one before is closed."""


class ModelPlace:
    """In memory; the model is never closed."""

    def __init__(self, folder: Path) -> None:
        self._store = ModelStore()

    def open(self) -> Store:
        return self._store


class SQLitePlace:
    """In a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "jobs.db"

    def open(self) -> Store:
        return SQLiteStore(self.path)


STORES: dict[str, Callable[[Path], Place]] = {"model": ModelPlace, "sqlite": SQLitePlace}
