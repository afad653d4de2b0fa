"""What `link.proto` fixes beside its messages: the numbers that both ends of a link have to share."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from portcall.protos.portcall.v1.link_pb2 import End, Ends, Frame, Metadatum, Open, Opens

PROTOCOL_VERSION: Final = 1

FRAME_MESSAGE_BYTES_MAX: Final = 65_536
"""Most bytes of a message that one frame carries; larger messages are cut."""

CREDIT_BYTES_INITIAL: Final = 65_536
"""Credit that each direction of a call starts with."""

FRAME_COST_BYTES_MIN: Final = 64
"""What the smallest message takes from the credit, so that empty messages are not free."""

CREDIT_BYTES_MAX: Final = 16_777_216
"""Most credit that a call can hold; a grant past it is a protocol error. What a peer may make the hub keep for it."""

MANY_CALLS_MAX: Final = 4_096
MANY_BYTES_MAX: Final = 1_048_576
"""Most calls that one frame opens or ends, and most bytes of their messages together."""


CHECKPOINT_BYTES_MAX: Final = 1_048_576
"""Largest checkpoint of an attempt."""

NOTE_BYTES_MAX: Final = 16_384
"""Largest progress or line of a log, as a message."""


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


def many_opens(
    shared: Open,
    call_ids: Sequence[int],
    messages: Sequence[bytes],
    jobs: Sequence[int] = (),
    attempts: Sequence[int] = (),
) -> Frame:
    """Return the frame that opens these calls; with `jobs` and `attempts`, as attempts at these."""
    frame = Frame()
    opens = frame.opens
    opens.shared.CopyFrom(shared)
    opens.call_ids.extend(call_ids)
    opens.messages.extend(messages)
    if jobs:
        opens.jobs.extend(jobs)
        opens.attempts.extend(attempts)
    return frame


def many_ends(call_ids: Sequence[int], messages: Sequence[bytes]) -> Frame:
    """Return the frame that ends these calls OK, with these replies."""
    return Frame(ends=Ends(call_ids=call_ids, messages=messages))


def single_open(shared: Open, call_id: int, message: bytes) -> Frame:
    """Return the frame that opens one call of an `Opens` by itself."""
    frame = Frame(call_id=call_id)
    opening = frame.open
    opening.CopyFrom(shared)
    opening.message = message
    opening.half_close = True
    return frame


def singly(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield frames with those of many calls taken apart, as far as both of their columns go."""
    for frame in frames:
        if frame.call_id:
            yield frame
        elif frame.HasField("opens"):
            yield from _single_opens(frame.opens)
        elif frame.HasField("ends"):
            for call_id, message in zip(frame.ends.call_ids, frame.ends.messages, strict=False):
                yield Frame(call_id=call_id, end=End(message=message))
        else:
            yield frame


def _single_opens(opens: Opens) -> Iterator[Frame]:
    jobs = zip_longest(opens.jobs, opens.attempts, fillvalue=0)
    for call_id, message in zip(opens.call_ids, opens.messages, strict=False):
        frame = single_open(opens.shared, call_id, message)
        job, attempt = next(jobs, (0, 0))
        if job:
            frame.open.attempt.job, frame.open.attempt.number = job, attempt
        yield frame


def fault_of_attempts(opens: Opens) -> str:
    """Return in words what is wrong with the columns that make calls attempts; nothing if they are right."""
    count = len(opens.call_ids)
    if len(opens.jobs) != count or len(opens.attempts) != count:
        return f"a frame of {count} calls with {len(opens.jobs)} jobs and {len(opens.attempts)} attempts"
    if opens.shared.HasField("attempt"):
        return "a frame of many attempts that says of all of them which attempt they are"
    if not (all(opens.jobs) and all(opens.attempts)):
        return "an attempt at job 0, or number 0: both begin at 1"
    return ""


def fault_of_many(event: Opens | Ends) -> str:
    """Return in words what is wrong with the columns of an event of many calls; nothing if they are right."""
    count, messages = len(event.call_ids), event.messages
    if not 0 < count <= MANY_CALLS_MAX or len(messages) != count:
        return f"a frame of {count} calls with {len(messages)} messages; it should be 1 to {MANY_CALLS_MAX} of both"
    sizes = list(map(len, messages))
    if sum(sizes) > MANY_BYTES_MAX:
        return f"a frame of {count} calls with {sum(sizes)} bytes of messages, over {MANY_BYTES_MAX}"
    if max(sizes) > FRAME_MESSAGE_BYTES_MAX:
        return f"a frame of {count} calls with a message of {max(sizes)} bytes, over {FRAME_MESSAGE_BYTES_MAX}"
    return ""
