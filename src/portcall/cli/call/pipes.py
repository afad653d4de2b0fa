"""Standard input and output for an event loop that must never wait for them.

Neither is made non-blocking: a terminal is one file for input, output and errors, and for the shell that waits behind
us, and all of them would be. A thread waits instead, one at a time and only where waiting is due. It is a daemon, so a
read that nothing ever answers does not keep the process when the loop is done.
"""

import asyncio
import os
import select
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from threading import Thread
from typing import Final, TypeVar

CHUNK_BYTES: Final = 65_536

T = TypeVar("T")


async def open_to_read(path: str) -> int:
    """Open a file; a named pipe has to wait for whoever writes."""
    return await _in_thread(lambda: os.open(path, os.O_RDONLY))


async def read_chunks(source: int) -> AsyncIterator[bytes]:
    """Yield what comes from a file descriptor, as it comes, and no faster than it is taken."""
    while chunk := await _in_thread(lambda: os.read(source, CHUNK_BYTES)):
        yield chunk


async def write_all(target: int, content: bytes) -> None:
    """Write to a file descriptor; return when all is written. Without a thread where it takes no waiting."""
    rest = memoryview(content)
    if len(rest) <= select.PIPE_BUF and _is_writable(target, wait_ms=0):
        with suppress(BlockingIOError):
            rest = rest[os.write(target, rest) :]
    if rest:
        await _in_thread(lambda: _write_blocking(target, rest))


def _write_blocking(target: int, rest: memoryview) -> None:
    while rest:
        _is_writable(target, wait_ms=None)
        with suppress(BlockingIOError):  # whoever started us has made it non-blocking
            rest = rest[os.write(target, rest) :]


def _is_writable(target: int, *, wait_ms: int | None) -> bool:
    """Whether PIPE_BUF bytes can be written without waiting; so it is, too, when writing would fail."""
    poll = select.poll()
    poll.register(target, select.POLLOUT)
    return bool(poll.poll(wait_ms))


async def _in_thread(function: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: OSError | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # the result is there where no error is

    def run() -> None:
        outcome: tuple[T | None, OSError | None]
        try:
            outcome = function(), None
        except OSError as error:
            outcome = None, error
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    Thread(target=run, name="portcall-pipe", daemon=True).start()
    return await future
