"""Batches on a socket between a process and its supervisor: each behind its length, four bytes."""

import asyncio
import socket

from portcall.errors import ProtocolError
from portcall.wire.limits import STREAM_BYTES_MAX, Liveness
from portcall.wire.pump import StreamLostError

PATIENT = Liveness(ping_interval_s=86_400.0, pings_missed_max=1 << 30)
"""For the pumps of such a stream, which do not judge whether the other side lives: the socket says that it is gone, the
crew that it is blocked."""

READ_BYTES = 1_048_576
"""What is read from the socket at once, at most about twice that."""


class BatchStream:
    """A stream as `portcall.wire.pump` wants one."""

    __slots__ = ("_reader", "_writer", "batches_read")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.batches_read = 0

    async def read(self) -> bytes | None:
        """Return the next message, or None at the end.

        Raises:
            ProtocolError: it is larger than any should be.
        """
        try:
            size = int.from_bytes(await self._reader.readexactly(4))
            if size > STREAM_BYTES_MAX:
                raise ProtocolError(f"a batch of {size} bytes; at most {STREAM_BYTES_MAX} may be")
            batch = await self._reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError):
            return None
        self.batches_read += 1
        return batch

    async def write(self, message: bytes) -> None:
        """Send one message; return when the next may be sent.

        Raises:
            StreamLostError: the other side is gone.
        """
        try:
            self._writer.writelines((len(message).to_bytes(4), message))
            await self._writer.drain()
        except OSError as error:
            raise StreamLostError(str(error) or type(error).__name__) from None

    def close(self) -> None:
        """Close the socket; what was written before still goes. Idempotent."""
        self._writer.close()


async def open_stream(end: socket.socket) -> BatchStream:
    """Return the stream on one end of a pair of sockets."""
    return BatchStream(*await asyncio.open_unix_connection(sock=end, limit=READ_BYTES))
