"""The numbers of the link. Those of the protocol itself are fixed by `link.proto`; the others each side may choose."""

from dataclasses import dataclass
from typing import Final

PROTOCOL_VERSION: Final = 1

FRAME_MESSAGE_BYTES_MAX: Final = 65_536
"""Most bytes of a message that one frame carries; larger messages are cut. Fixed by the protocol."""

CREDIT_BYTES_INITIAL: Final = 65_536
"""Credit that each direction of a call starts with. Fixed by the protocol."""

FRAME_COST_BYTES_MIN: Final = 64
"""What the smallest message takes from the credit, so that empty messages are not free. Fixed by the protocol."""

CREDIT_BYTES_MAX: Final = 1 << 31
"""Most credit that a call can hold; a grant past it is a protocol error (RFC 9113, 6.9.1 has the same bound)."""

WINDOW_BYTES: Final = 262_144
"""Bytes of one direction of a call that a receiver is ready to hold unread."""

TURN_BYTES_MIN: Final = 4_096
"""Frames with at least this much of a message take turns, call by call; smaller ones go first, in their order."""

BATCH_FRAMES_MAX: Final = 1_024
BATCH_BYTES_MAX: Final = 262_144
"""A batch is closed once it has this many frames that go first, or this many bytes of frames that take turns."""

ACK_BATCHES: Final = 16
ACK_BYTES: Final = 262_144
"""A receiver acknowledges at the latest after this many batches or bytes."""

UNACKED_BYTES_MAX: Final = 4_194_304
"""Bytes that a sender keeps for repetition; past it, it waits for an acknowledgement. Well above `ACK_BYTES`."""

STREAM_BYTES_MAX: Final = 16_777_216
"""Largest batch that a side takes from the stream beneath; well above what `BATCH_FRAMES_MAX` small frames can make."""

MESSAGE_BYTES_MAX: Final = 67_108_864
"""Default of the largest message of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """How often a link proves that it lives, and how long it may be deaf before it is given up, both in seconds."""

    ping_interval_s: float = 10.0
    silence_max_s: float = 30.0


def frame_cost(message_bytes: int) -> int:
    """Return the credit in bytes that a frame with this much of a message takes."""
    return max(FRAME_COST_BYTES_MIN, message_bytes)
