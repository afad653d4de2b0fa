"""What the end of a call says of the attempt that it was."""

from collections.abc import Sequence

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from portcall.core.jobs.batch import AttemptOutcome
from portcall.core.jobs.verdicts import Ending
from portcall.core.refusals import INTERNAL
from portcall.protos.portcall.v1.jobs_pb2 import MetadataEntries, MetadataEntry
from portcall.protos.portcall.v1.link_pb2 import End, Metadatum
from portcall.wire.metadata import STATUS_DETAILS_KEY

SUCCEEDED, FAILED = AttemptOutcome.SUCCEEDED, AttemptOutcome.FAILED


def ending_of(end: End, reply: bytes | None, worker: str, *, is_streaming: bool) -> Ending:
    """Return how an attempt has ended; `reply` is what came as its reply, if anything did."""
    trailers = stored_metadata(end.trailers)
    if end.status:
        return Ending(
            FAILED, end.status, end.details, worker, trailers=trailers, retry_delay_s=retry_delay_s(end.trailers)
        )
    if reply is None and not is_streaming:
        return Ending(FAILED, INTERNAL, "The worker ended a unary call without a reply", worker)
    return Ending(SUCCEEDED, worker=worker, reply=None if is_streaming else reply, trailers=trailers)


def stored_metadata(entries: Sequence[Metadatum]) -> bytes | None:
    """Return metadata as it is stored, None for none."""
    if not entries:
        return None
    kept = [MetadataEntry(key=entry.key, value=entry.value) for entry in entries]
    return MetadataEntries(entries=kept).SerializeToString()


def frame_metadata(stored: bytes | None) -> list[Metadatum]:
    """Return stored metadata as frames have it."""
    if stored is None:
        return []
    return [Metadatum(key=entry.key, value=entry.value) for entry in MetadataEntries.FromString(stored).entries]


def retry_delay_s(trailers: Sequence[Metadatum]) -> float | None:
    """Return how long a handler wants the next attempt to wait, if its rich status says so."""
    for entry in trailers:
        if entry.key == STATUS_DETAILS_KEY:
            return _retry_info(entry.value)
    return None


def _retry_info(serialised: bytes) -> float | None:
    try:
        for detail in Status.FromString(serialised).details:
            if detail.Is(RetryInfo.DESCRIPTOR):
                info = RetryInfo()
                detail.Unpack(info)
                delay_s: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                return max(0.0, delay_s)
    except DecodeError:
        pass
    return None
