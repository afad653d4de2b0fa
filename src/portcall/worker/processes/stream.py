"""Batches on a socket between a process and its supervisor: each behind its length, four bytes.

Reading and writing know nothing of each other. What a process wrote before it died is in the socket still, and has to
be read even if a write to the process fails first; an asyncio transport that does both is closed by that failure.
"""

import asyncio
import socket
from contextlib import suppress

from portcall.errors import ProtocolError
from portcall.wire.limits import STREAM_BYTES_MAX, Liveness

PATIENT = Liveness(ping_interval_s=86_400.0, pings_missed_max=1 << 30)
"""For the pumps of such a stream, which do not judge whether the other side lives: the socket says that it is gone, the
crew that it is blocked."""

READ_BYTES = 1_048_576
"""What is read from the socket at once, at most about twice that."""


class BatchStream:
    """A stream as `portcall.wire.pump` wants one. Made by `open_stream`."""

    __slots__ = ("_loop", "_out", "_reader", "_transport", "batches_read")

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.StreamWriter, out: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = reader
        self._transport = transport
        """Of the reader; nothing is written to it."""
        self._out = out
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
        """Send one message; return when the socket has taken it. Whether the other side is gone, `read` says."""
        with suppress(OSError):
            await self._loop.sock_sendall(self._out, len(message).to_bytes(4) + message)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._transport.close()
        self._out.close()


async def open_stream(end: socket.socket) -> BatchStream:
    """Return the stream on one end of a pair of sockets."""
    end.setblocking(False)
    out = end.dup()  # since no transport may have what `sock_sendall` writes to
    return BatchStream(*await asyncio.open_unix_connection(sock=end, limit=READ_BYTES), out)
