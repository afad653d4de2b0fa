"""The ends that the switchboard itself gives to calls: in words that say what happened and what to do."""

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from portcall.core.limits import CallLimits
from portcall.protos.portcall.v1.link_pb2 import End, Metadatum

# Codes of google.rpc.Code; the core does not import grpc.
OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
STATUS_CODE_MAX = 16

REASON_DOMAIN = "portcall"
"""Whose reasons these are, in `google.rpc.ErrorInfo`."""

STORE_FULL = "STORE_FULL"
STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
STORE_DAMAGED = "STORE_DAMAGED"
HUB_CLOSING = "HUB_CLOSING"
"""Reasons why a hub that can be reached keeps no jobs now. None of them leaves a doubt: nothing was stored."""


def refusal(status: int, details: str) -> End:
    """Return an end without trailers."""
    return End(status=status, details=details)


def overload(details: str, retry_delay_s: float) -> End:
    """Return RESOURCE_EXHAUSTED with a `google.rpc.RetryInfo`, as rich errors of gRPC carry it."""
    return _rich(RESOURCE_EXHAUSTED, details, _retry_info(retry_delay_s))


def explained(status: int, details: str, reason: str, retry_delay_s: float | None = None) -> End:
    """Return an end with a `google.rpc.ErrorInfo` that says why for programs, and perhaps when to try again."""
    delays = [] if retry_delay_s is None else [_retry_info(retry_delay_s)]
    return _rich(status, details, *delays, ErrorInfo(reason=reason, domain=REASON_DOMAIN))


def _retry_info(retry_delay_s: float) -> RetryInfo:
    delay = Duration()
    delay.FromNanoseconds(int(retry_delay_s * 1e9))
    return RetryInfo(retry_delay=delay)


def _rich(status: int, details: str, *infos: Message) -> End:
    packed = []
    for info in infos:
        packed.append(Any())
        packed[-1].Pack(info)
    rich = Status(code=status, message=details, details=packed)
    return End(
        status=status,
        details=details,
        trailers=[Metadatum(key="grpc-status-details-bin", value=rich.SerializeToString())],
    )


def turned_away(limits: CallLimits, metadata_bytes: int, *, is_closing: bool) -> End:
    """Return the end of a call that a hub will not take, whatever its workers could."""
    if is_closing:
        return refusal(UNAVAILABLE, "The hub is shutting down")
    if metadata_bytes > limits.metadata_bytes_max:
        details = f"Received {metadata_bytes} bytes of metadata; at most {limits.metadata_bytes_max} may be"
        return refusal(RESOURCE_EXHAUSTED, details)
    return overload("The client does not read its replies; read them before calling again", limits.retry_delay_s)


def never_brought(method: str) -> End:
    """Return the end of a call of a method that nobody has brought in the hub's first seconds."""
    return refusal(UNIMPLEMENTED, f"Method not found! No worker has brought {method}")


def none_came(method: str, limits: CallLimits) -> End:
    """Return the end of a call that has waited for a worker for as long as it may."""
    return refusal(UNAVAILABLE, f"No worker serves {method} now, and none came in {limits.worker_wait_max_s:g} s")


def lost(worker: str) -> End:
    """Return the end of a call whose worker is gone."""
    return refusal(UNAVAILABLE, f"Worker {worker} was lost while it ran this call")
