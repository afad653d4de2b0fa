"""The frames that pass through a running call: checked, counted against credit, and sent on under the other id.

Plain functions, one per kind of frame; this is the hottest code of the hub. What breaks the link's rules raises
`ProtocolError`.
"""

from collections.abc import Iterable, MutableSequence

from portcall.core.calls import RUNNING, Call, Port
from portcall.core.refusals import STATUS_CODE_MAX, UNKNOWN
from portcall.errors import ProtocolError
from portcall.protos.link_rules import CREDIT_BYTES_MAX, FRAME_COST_BYTES_MIN, FRAME_MESSAGE_BYTES_MAX, metadata_bytes
from portcall.protos.portcall.v1.link_pb2 import End, Frame, Metadatum

JOB_KEY = "portcall-job-key"
"""The metadata that makes a call a job, of the name that is its value."""


def is_keyed(metadata: Iterable[Metadatum]) -> bool:
    """Return whether a call is to be a job."""
    return any(entry.key == JOB_KEY for entry in metadata)


def message_up(call: Call, frame: Frame) -> int:
    """Count a message of the client; return its size. The caller sends it on or keeps it."""
    size = len(frame.message.data)
    call.up_credit -= max(FRAME_COST_BYTES_MIN, size)
    if call.up_credit < 0 or size > FRAME_MESSAGE_BYTES_MAX:
        raise ProtocolError(f"call {call.client_id}: {size} bytes sent without credit for them")
    if call.is_half_closed:
        raise ProtocolError(f"call {call.client_id}: a message after the half-close")
    return size


def half_close_up(call: Call) -> None:
    """Count the half-close of the client. The caller sends it on or keeps it."""
    if call.is_half_closed:
        raise ProtocolError(f"call {call.client_id}: half-closed twice")
    call.is_half_closed = True


def credit_up(call: Call, frame: Frame) -> None:
    """Count a grant of the client's. The caller sends it on or keeps it."""
    call.down_credit += _granted(call.client_id, frame, call.down_credit)


def message_down(call: Call, frame: Frame) -> None:
    """Pass a message of the worker on."""
    size = len(frame.message.data)
    call.down_credit -= max(FRAME_COST_BYTES_MIN, size)
    if call.state is not RUNNING:
        return
    call.has_headers = True  # none may follow
    if call.down_credit < 0 or size > FRAME_MESSAGE_BYTES_MAX:
        raise ProtocolError(f"call {call.worker_id}: {size} bytes sent without credit for them")
    frame.call_id = call.client_id
    call.client.send(frame, size)


def credit_down(call: Call, frame: Frame) -> None:
    """Pass a grant of the worker's on."""
    call.up_credit += _granted(call.worker_id, frame, call.up_credit)
    if call.state is RUNNING:
        frame.call_id = call.client_id
        call.client.sink.send_ahead(frame)


def _granted(call_id: int, frame: Frame, credit: int) -> int:
    """Return the bytes that a grant adds to this credit."""
    count = frame.credit.bytes
    if count == 0:
        raise ProtocolError(f"call {call_id}: a grant of nothing")
    if credit + count > CREDIT_BYTES_MAX:
        raise ProtocolError(f"call {call_id}: granted more than {CREDIT_BYTES_MAX} bytes")
    return count


def headers_down(call: Call, frame: Frame, metadata_bytes_max: int) -> None:
    """Pass the initial metadata of the reply on."""
    if call.has_headers:
        raise ProtocolError(f"call {call.worker_id}: initial metadata sent twice, or after a message")
    call.has_headers = True
    if call.state is RUNNING:
        size = trim_metadata(frame.headers.metadata, metadata_bytes_max)
        frame.call_id = call.client_id
        call.client.send(frame, size)


def trim_metadata(entries: MutableSequence[Metadatum], bytes_max: int) -> int:
    """Drop a worker's metadata if there is more of it than a client has to take; return the size of what is left.

    It goes whole: half of somebody's metadata would be a lie.
    """
    size = metadata_bytes(entries)
    if size <= bytes_max:
        return size
    del entries[:]
    return 0


def trim_status(end: End, bytes_max: int) -> int:
    """Make a worker's status one that gRPC has, and its details no longer than metadata may be; return their size."""
    if end.status > STATUS_CODE_MAX:
        end.status = UNKNOWN
    if len(end.details) > bytes_max:
        end.details = end.details[:bytes_max]
    return len(end.details)


def check_late(port: Port, call_id: int, kind: str | None) -> None:
    """Let what comes for a finished call go by; refuse what is for a call that never was."""
    if kind is None or not 0 < call_id <= port.id_last:
        raise ProtocolError(f"{kind or 'a frame without an event'} for call {call_id}, which was never opened")
