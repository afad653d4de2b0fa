"""What `link.proto` fixes beside its messages: the numbers that both ends of a link have to share."""

from collections.abc import Sequence
from typing import Final

from portcall.protos.portcall.v1.link_pb2 import Frame, Metadatum

PROTOCOL_VERSION: Final = 1

FRAME_MESSAGE_BYTES_MAX: Final = 65_536
"""Most bytes of a message that one frame carries; larger messages are cut."""

CREDIT_BYTES_INITIAL: Final = 65_536
"""Credit that each direction of a call starts with."""

FRAME_COST_BYTES_MIN: Final = 64
"""What the smallest message takes from the credit, so that empty messages are not free."""

CREDIT_BYTES_MAX: Final = 16_777_216
"""Most credit that a call can hold; a grant past it is a protocol error. What a peer may make the hub keep for it."""


def frame_cost(message_bytes: int) -> int:
    """Return the credit in bytes that a frame with this much of a message takes."""
    return message_bytes if message_bytes > FRAME_COST_BYTES_MIN else FRAME_COST_BYTES_MIN  # noqa: FURB136  # hot


def metadata_bytes(entries: Sequence[Metadatum]) -> int:
    """Return the size of metadata as HTTP/2 counts it (RFC 9113, 6.5.2: 32 bytes for each entry)."""
    return sum(len(entry.key) + len(entry.value) + 32 for entry in entries)


def detached(frame: Frame) -> Frame:
    """Return a copy that stands alone, for a frame that is kept: a parsed one keeps its whole batch in memory."""
    copy = Frame()
    copy.CopyFrom(frame)
    return copy
