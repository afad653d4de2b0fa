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
    path = Path(os.environ.get(HEALTH_VARIABLE, ""))
    if not path.name:
        yield
        return

    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEALTHY if is_healthy() else UNHEALTHY)
        writer.close()

    server = None
    try:
        path.unlink(missing_ok=True)  # of a process before, in the same container
        server = await asyncio.start_unix_server(answer, path)
    except OSError as error:
        logger.warning("Cannot answer health checks at %s: %s", path, error.strerror)
    try:
        yield
    finally:
        if server is not None:
            server.close()
            with suppress(OSError):
                path.unlink()
