"""Answers the health check of a container; `portcall.wire.health` asks."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from portcall.wire.health import HEALTH_VARIABLE, HEALTHY, UNHEALTHY

logger = logging.getLogger("portcall.cli")


@asynccontextmanager
async def answering_health(is_healthy: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer at the socket that the environment names, if it names one, from the loop whose turning is in question."""
    path = os.environ.get(HEALTH_VARIABLE, "")
    server = await _listen(path, is_healthy) if path else None
    try:
        yield
    finally:
        if server is not None:
            server.close()
            _remove(path)


async def _listen(path: str, is_healthy: Callable[[], bool]) -> asyncio.Server | None:
    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEALTHY if is_healthy() else UNHEALTHY)
        writer.close()

    _remove(path)  # left by a process before, in the same container
    try:
        return await asyncio.start_unix_server(answer, path)
    except OSError as error:
        logger.warning("Cannot answer health checks at %s: %s", path, error.strerror)
        return None


def _remove(path: str) -> None:
    with suppress(OSError):
        Path(path).unlink()
