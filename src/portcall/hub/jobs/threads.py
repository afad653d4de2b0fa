"""A store with the two threads that use it: one writes, one answers questions. Nothing else of the hub blocks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from portcall.core.jobs.batch import Batch, Stored, Written
from portcall.errors import PortcallError
from portcall.store.errors import StoreUnavailableError
from portcall.store.protocol import Reader, Store

Answer = TypeVar("Answer")

QUESTIONS_WAITING_MAX = 1_000
"""Questions to a store that may wait for their turn."""


class TooManyQuestionsError(PortcallError):
    """Too much is asked of a store at once. Blames nobody; ask again a little later."""


class StoreThreads:
    """Opens a store and uses it, each from its own thread.

    `read` may be called as soon as `open` has returned; `close` waits for what is under way, and is idempotent.
    """

    def __init__(self, path: Path, opening: Callable[[Path], Store]) -> None:
        self.path = path
        self._opening = opening
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="portcall-store")
        self._asker = ThreadPoolExecutor(1, thread_name_prefix="portcall-store-reader")
        self._store: Store | None = None
        self._reader: Reader | None = None
        self._questions = 0

    async def open(self) -> Stored:
        """Open the store; return what is in it.

        Raises:
            StoreError: it cannot be opened. The message says why and what to do.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._writer, self._open)
        except BaseException:
            await self.close()
            raise

    def write(self, batch: Batch) -> "asyncio.Future[Written]":
        """Have a batch written; see `Store.write`."""
        assert self._store is not None
        return asyncio.get_running_loop().run_in_executor(self._writer, self._store.write, batch)

    async def read(self, question: Callable[[Reader], Answer]) -> Answer:
        """Ask the store something.

        Raises:
            TooManyQuestionsError: others wait already.
            StoreError: it cannot be read.
        """
        if self._questions >= QUESTIONS_WAITING_MAX:
            raise TooManyQuestionsError(f"{self._questions:,} questions about jobs wait already; ask again later")
        if self._reader is None:
            raise StoreUnavailableError("the hub is shutting down")
        self._questions += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._asker, question, self._reader)
        finally:
            self._questions -= 1

    async def backup(self, target: Path) -> None:
        """Copy the store to a new file, in a thread of its own, since that takes long."""
        assert self._store is not None
        await asyncio.to_thread(self._store.backup, target)

    async def close(self) -> None:
        """Let go of the store and end the threads."""
        reader, self._reader = self._reader, None
        store, self._store = self._store, None
        loop = asyncio.get_running_loop()
        if reader is not None:
            await loop.run_in_executor(self._asker, reader.close)
        if store is not None:
            await loop.run_in_executor(self._writer, store.close)
        for executor in (self._asker, self._writer):
            executor.shutdown(wait=False)

    def _open(self) -> Stored:
        store = self._opening(self.path)
        try:
            stored = store.stored()
            self._reader = store.reader()
        except BaseException:
            store.close()
            raise
        self._store = store
        return stored
