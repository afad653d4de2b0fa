"""Gzip whose bytes are the same on any machine, by never compressing anything.

Theory of operation. What zlib makes of the same input differs from release to release, and differs entirely where
zlib-ng stands in for it; so a layer that this process compressed would have another digest elsewhere. But nearly all of
a layer comes out of wheels, and a wheel is a zip: its files are compressed already, by whoever published it, and fixed
by the hash in the lock. So a layer is a row of gzip members (RFC 1952, section 2.2, lets a file be many): a file of a
wheel is a member around the bytes as they are in the wheel; what lies between, the headers of the tar and the files
that do not come from wheels, is a member of stored blocks. Every engine and registry reads that: images in the
eStargz format are built of members as well. Cheap, too: what is not compressed takes no time.

Rejected: tar without gzip (three times the size to pull), zstd (Docker before 23 cannot read it, and its library's
output is as little fixed as zlib's), a compressor of our own in Python (a minute for a large environment).
"""

import zlib
from collections.abc import Callable, Iterable

HEADER = bytes.fromhex("1f8b08000000000000ff")
"""Deflate; no name, no time, no level, no operating system."""

STORED_MAX = 0xFFFF
"""Bytes of a stored block."""

_SIZE = 1 << 32


class GzipMembers:
    """Writes members to a sink."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._held = bytearray()

    def plain(self, content: bytes) -> None:
        """Write bytes as they are."""
        self._held += content
        while len(self._held) >= STORED_MAX:
            self._flush(STORED_MAX)

    def deflated(self, pieces: Iterable[bytes], *, crc: int, size: int) -> None:
        """Write a whole stream that somebody else has deflated, and of which checksum and size are known."""
        self._flush(len(self._held))
        self._write(HEADER)
        for piece in pieces:
            self._write(piece)
        self._write(_trailer(crc, size))

    def close(self) -> None:
        """Write what is held; the sink stays open."""
        self._flush(len(self._held))

    def _flush(self, length: int) -> None:
        if not length:
            return
        content = bytes(self._held[:length])
        del self._held[:length]
        block = b"\x01" + length.to_bytes(2, "little") + (length ^ STORED_MAX).to_bytes(2, "little")
        self._write(HEADER + block + content + _trailer(zlib.crc32(content), length))


def _trailer(crc: int, size: int) -> bytes:
    return crc.to_bytes(4, "little") + (size % _SIZE).to_bytes(4, "little")
