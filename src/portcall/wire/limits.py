"""The numbers of the link that each side may choose for itself. Those of the protocol are in `protos.link_rules`."""

from dataclasses import dataclass
from typing import Final

WINDOW_BYTES: Final = 262_144
"""Bytes of one direction of a call that a receiver is ready to hold unread."""

TURN_BYTES_MIN: Final = 4_096
"""Frames with at least this much of a message take turns, call by call; smaller ones go first, in their order."""

BATCH_BYTES_MAX: Final = 262_144
"""A batch is closed once it has this many bytes of small frames; it takes in as much again of frames that take turns.
A small frame counts 256 bytes beside its message, so that is about a thousand of them at most."""

GATHER_BYTES: Final = 24_576
GATHER_S: Final = 0.002
BUSY_TURN_S: Final = 0.000_05
"""A batch of less than that gathers for GATHER_S while the one before is not acknowledged and the event loop is busy: a
turn of it takes longer than BUSY_TURN_S. A batch costs as much as fifty frames, and a busy loop has better to
do than to send single ones. One caller at a time never waits for this, nor does an idle loop."""

ACK_BATCHES: Final = 16
ACK_BYTES: Final = 262_144
"""A receiver acknowledges at the latest after this many batches or bytes."""

UNACKED_BYTES_MAX: Final = 4_194_304
"""Bytes that a sender keeps for repetition; past it, it waits for an acknowledgement. Well above `ACK_BYTES`."""

LINK_BYTES_MAX: Final = 268_435_456
"""Bytes that a side keeps for another that does not read; past it, a link whose other side still sends is ended."""

STREAM_BYTES_MAX: Final = 16_777_216
"""Largest batch that a side takes from the stream beneath; well above what `BATCH_FRAMES_MAX` small frames can make."""

MESSAGE_BYTES_MAX: Final = 67_108_864
"""Default of the largest message of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """How a link proves that it lives. The hub decides, and says so in its welcome; whoever dials follows."""

    ping_interval_s: float = 10.0
    """After this long without a frame, a side asks for one."""

    pings_missed_max: int = 3
    """After as many pings in a row without an answer, a link is taken for deaf."""
