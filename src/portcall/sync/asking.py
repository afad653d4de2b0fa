"""Coroutines of the engine's loop that a thread waits for."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import grpc

from portcall.client.jobs.errors import HubLostError
from portcall.sync.calls import CLOSED
from portcall.sync.engine import Engine

T = TypeVar("T")


class Question(Generic[T]):
    """A coroutine, made and run on the loop, in the context of the thread that asks. It begins at once."""

    def __init__(self, engine: Engine, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._engine = engine
        self._answer: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        context = copy_context()
        engine.calls.add(self)
        engine.post(lambda: context.run(self._begin, make))

    def result(self, timeout_s: float | None = None) -> T:
        """Wait for the result; whatever keeps the thread from waiting cancels the coroutine.

        Raises:
            TimeoutError: there is none in time.
        """
        try:
            result, error = self._answer.get(timeout=None if timeout_s is None else max(0.0, timeout_s))
        except Empty:
            self.cancel()
            raise TimeoutError(f"no result within {timeout_s:g} s") from None
        except BaseException:
            self.cancel()
            raise
        if error is not None:
            raise error
        found: T = result
        return found

    def cancel(self) -> None:
        """Give it up."""
        self._engine.post(self._cancel)

    def renew(self) -> None:
        """Nothing here is ever held."""

    def lose(self, details: str) -> None:
        """End it where there is no loop to end it on."""
        self._engine.calls.discard(self)
        self._answer.put((None, HubLostError(grpc.StatusCode.CANCELLED, details, was_sent=True)))

    # --- on the loop --------------------------------------------------------------------------------------------------

    def _begin(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        if self._engine.is_over:
            self.lose(self._engine.over_because)
        elif not self._is_cancelled:
            self._task = self._engine.spawn(self._run(make))

    def _cancel(self) -> None:
        self._is_cancelled = True
        self._engine.calls.discard(self)
        if self._task is not None and not self._engine.is_over:
            self._task.cancel()

    async def _run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        try:
            self._answer.put((await make(), None))
        except asyncio.CancelledError:
            self.lose(CLOSED)
        except StopAsyncIteration as end:
            self._answer.put((None, end))
        except Exception as error:  # noqa: BLE001  # it is raised where the result is due
            self._answer.put((None, error))
        self._engine.calls.discard(self)


def iterate(engine: Engine, generator: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Yield what an asynchronous generator yields on the loop, no faster than it is taken."""
    try:
        while True:
            try:
                item = Question(engine, lambda: _next(generator)).result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        Question(engine, lambda: _close(generator))


async def _next(generator: AsyncGenerator[T, None]) -> T:
    return await anext(generator)


async def _close(generator: AsyncGenerator[T, None]) -> None:
    await generator.aclose()
