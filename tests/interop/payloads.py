"""Message bodies in which a byte that is lost, doubled or moved shows."""

import zlib

from interop_pb2 import InputReply, StreamReply, StreamRequest, UnaryReply, UnaryRequest

_PERIOD = bytes(range(251))  # a prime, so that no power of two, as of a chunk's size, is a whole number of periods

# The sizes of gRPC's published cases.
LARGE_REQUEST_BYTES, LARGE_REPLY_BYTES = 271_828, 314_159
STREAM_REQUEST_BYTES = (27_182, 8, 1_828, 45_904)
STREAM_REPLY_BYTES = (31_415, 9, 2_653, 58_979)


def body(size: int, start: int = 0) -> bytes:
    """The `size` bytes of the pattern from `start` on; bodies that start elsewhere differ."""
    start %= len(_PERIOD)
    return (_PERIOD * ((start + size) // len(_PERIOD) + 1))[start : start + size]


def unary_reply(request: UnaryRequest) -> UnaryReply:
    return UnaryReply(body=body(request.reply_bytes), request_checksum=zlib.crc32(request.body))


def stream_replies(request: StreamRequest) -> list[StreamReply]:
    checksum = zlib.crc32(request.body)
    return [StreamReply(body=body(size), request_checksum=checksum) for size in request.reply_bytes]


def input_reply(bodies: list[bytes]) -> InputReply:
    joined = b"".join(bodies)
    return InputReply(messages=len(bodies), body_bytes=len(joined), requests_checksum=zlib.crc32(joined))
