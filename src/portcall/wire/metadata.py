"""gRPC metadata as it travels in frames, and which of it may travel at all."""

import re
from collections.abc import Iterable, Sequence

from portcall.protos.portcall.v1.link_pb2 import Metadatum
from portcall.wire.tokens import AUTHORIZATION, TOKEN_KEY

MetadataTuple = tuple[tuple[str, str | bytes], ...]

STATUS_DETAILS_KEY = "grpc-status-details-bin"
"""The one reserved key that a program may set: google.rpc.Status, serialised."""

_HOP_KEYS = frozenset({"te", "content-type", "host", "connection", "transfer-encoding", "user-agent", TOKEN_KEY})
_KEY = re.compile(r"[0-9a-z_.\-]+")
_TEXT = re.compile(rb"[\x20-\x7e]*")


def is_forwarded(key: str) -> bool:
    """Whether a key is the application's, and not the transport's own."""
    return key == STATUS_DETAILS_KEY or not (key.startswith((":", "grpc-")) or key in _HOP_KEYS)


def is_legal(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Whether gRPC lets a program send this: core ends a call with other metadata before it begins."""
    return all(
        _KEY.fullmatch(key)
        and (key.endswith("-bin") or _TEXT.fullmatch(value if isinstance(value, bytes) else value.encode()))
        for key, value in metadata
    )


def to_frame(metadata: Iterable[tuple[str, str | bytes]]) -> list[Metadatum]:
    """Return metadata in the form of frames, without what belongs to the transport.

    Raises:
        TypeError: the value of a "-bin" key is text.
    """
    return [Metadatum(key=key, value=_to_bytes(key, value)) for key, value in metadata if is_forwarded(key)]


def to_frame_without_authorization(metadata: Iterable[tuple[str, str | bytes]]) -> list[Metadatum]:
    """Do as `to_frame` does, and leave out the entry that was for the hub: it has held a token."""
    return to_frame((key, value) for key, value in metadata if key != AUTHORIZATION)


def _to_bytes(key: str, value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    if key.endswith("-bin"):
        raise TypeError(f'Binary metadata key="{key}" expected bytes, got {type(value)}')
    return value.encode()


def from_frame(entries: Sequence[Metadatum]) -> MetadataTuple:
    """Return metadata as gRPC gives it to programs. What no gRPC peer could have sent is left out.

    Frames come from other processes, and gRPC's core ends the process at metadata that it holds to be impossible.
    """
    return tuple(
        (entry.key, entry.value if entry.key.endswith("-bin") else entry.value.decode("ascii"))
        for entry in entries
        if is_forwarded(entry.key)
        and _KEY.fullmatch(entry.key)
        and (entry.key.endswith("-bin") or _TEXT.fullmatch(entry.value))
    )
