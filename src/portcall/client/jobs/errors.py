"""How jobs and their submission fail: as calls do, with a status."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from portcall.protos.portcall.v1.jobs_pb2 import MetadataEntry
from portcall.wire.metadata import STATUS_DETAILS_KEY, from_frame
from portcall.wire.status import status_code

REASON_DOMAIN = "portcall"
"""Whose reasons these are."""


class _Error(grpc.aio.AioRpcError):
    """Says itself in one line."""

    def __init__(self, code: grpc.StatusCode, details: str, trailers: grpc.aio.Metadata | None = None) -> None:
        super().__init__(code, grpc.aio.Metadata(), trailers or grpc.aio.Metadata(), details)

    def __str__(self) -> str:
        return f"{self.code().name}: {self.details()}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class JobError(_Error):
    """A job has ended with a status that is not OK: its method's own, or CANCELLED, or why it could not run.

    A `grpc.RpcError`, on a blocking channel too: `code()`, `details()` and `trailing_metadata()` are those of the job.
    """

    def __init__(self, job_id: str, status: int, details: str, trailers: Sequence[MetadataEntry] = ()) -> None:
        told = from_frame(trailers)  # type: ignore[arg-type]  # entries of both look alike
        super().__init__(status_code(status), details, grpc.aio.Metadata.from_tuple(told))
        self.job_id = job_id

    def __str__(self) -> str:
        return f"job {self.job_id} ended with {self.code().name}: {self.details()}"

    def __reduce__(self) -> Any:
        """Cross to another process."""
        entries = [MetadataEntry(key=key, value=_bytes(value)) for key, value in self.trailing_metadata()]
        return type(self), (self.job_id, self.code().value[0], self.details(), entries)


class SubmitError(_Error):
    """A job was not submitted, or nobody can know.

    `code()` and `details()` say why. With `submit_many`, `results` has what became of each request, in their order: its
    job, or its `SubmitError`.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        details: str,
        *,
        is_unknown: bool = False,
        reason: str = "",
        results: Sequence[Any] = (),
    ) -> None:
        super().__init__(code, details)
        self.reason = reason
        """Why a hub that could be reached stored nothing: `STORE_FULL`, `STORE_UNAVAILABLE`, `STORE_DAMAGED` or
        `HUB_CLOSING`. Empty if the hub is lost, or the job itself is at fault."""
        self.is_unknown = is_unknown
        """The hub was lost before it answered: the job may be stored or not."""
        self.results = results

    def __reduce__(self) -> Any:
        """Cross to another process, without the jobs: they belong to a channel of this one."""
        return _submit_error, (self.code().value[0], self.details(), self.is_unknown, self.reason)


class HubLostError(_Error):
    """The hub could not be asked, or cannot store now, for the `reason` that it gives.

    `was_sent` tells whether what it was asked may have been done all the same.
    """

    def __init__(self, code: grpc.StatusCode, details: str, *, was_sent: bool, reason: str = "") -> None:
        super().__init__(code, details)
        self.was_sent = was_sent
        self.reason = reason


def reason_told(error: grpc.aio.AioRpcError) -> str:
    """Return the reason that a hub gives in a `google.rpc.ErrorInfo` for not storing now; empty if it gives none."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS_KEY and isinstance(value, bytes):
            return _reason_in(value)
    return ""


def _reason_in(serialised: bytes) -> str:
    try:
        for detail in Status.FromString(serialised).details:
            info = ErrorInfo()
            if detail.Unpack(info) and info.domain == REASON_DOMAIN:
                return str(info.reason)
    except DecodeError:
        pass
    return ""


def _submit_error(status: int, details: str, is_unknown: bool, reason: str) -> SubmitError:
    return SubmitError(status_code(status), details, is_unknown=is_unknown, reason=reason)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
