"""From the messages of `portcall.v1.Jobs` to values, checked; and what is wrong with them, in words."""

import math
import re
from collections.abc import Iterable, Sequence

from portcall.core.jobs.effects import Submitted
from portcall.core.jobs.identity import BadJobIdError, first_id_at, id_text, parse_id, parse_ids
from portcall.core.jobs.messages import submission_of
from portcall.core.jobs.policy import KEEP_S_MAX, PolicyError
from portcall.core.jobs.rows import JobFilter
from portcall.core.jobs.states import JobState
from portcall.core.jobs.submissions import PlainSubmissions, Submission, refused
from portcall.core.refusals import FAILED_PRECONDITION, INVALID_ARGUMENT
from portcall.errors import PortcallError
from portcall.hub.jobs.policies import Policies
from portcall.protos.portcall.v1 import jobs_pb2
from portcall.wire.metadata import is_forwarded, is_legal

IDS_MAX = 10_000
JOBS_MAX = 10_000
METHODS_REMEMBERED_MAX = 10_000
PAGE_DEFAULT, PAGE_MAX = 100, 1_000
METADATA_ENTRIES_MAX = 100
TIME_MAX = 253_402_300_800.0
"""The end of the year 9999."""

KEY_PREFIX = "portcall-job-"
"""Begins the metadata keys that make a call a job."""

_METHOD = re.compile(r"/[A-Za-z_][\w.]{0,512}/[A-Za-z_]\w{0,255}", re.ASCII)


_PLAIN_FIELDS, _REQUEST_FIELD = 2, jobs_pb2.Submission.REQUEST_FIELD_NUMBER


class BadRequestError(PortcallError):
    """A request cannot be answered, ever. Blames the caller."""


class Submissions:
    """Turns messages into submissions. A method that is fine is not looked at again until another contract comes."""

    def __init__(self, policies: Policies, message_bytes_max: int) -> None:
        self._policies = policies
        self._bytes_max = message_bytes_max
        self._methods: set[str] = set()
        """Those that are fine."""
        self._version = policies.version

    def read(
        self, messages: Iterable[jobs_pb2.Submission], now: float, parent_attempt: int | None = None
    ) -> list[Submission | Submitted]:
        """Return for each message a submission, or how it is refused."""
        return [self._read(message, now, parent_attempt) for message in messages]

    def read_plain(self, messages: Sequence[jobs_pb2.Submission]) -> PlainSubmissions | None:
        """Return submissions that have one method, which is fine, and nothing but their requests; None for others."""
        if self._version != self._policies.version or len(self._methods) > METHODS_REMEMBERED_MAX:
            self._version = self._policies.version
            self._methods.clear()
        method = messages[0].method if messages else ""
        if method not in self._methods:
            return None
        requests = []
        for message in messages:
            fields = message.ListFields()
            if len(fields) != _PLAIN_FIELDS or fields[1][0].number != _REQUEST_FIELD or fields[0][1] != method:
                return None
            requests.append(fields[1][1])
        return PlainSubmissions(method, requests) if max(map(len, requests)) <= self._bytes_max else None

    def check(self, method: str, request_bytes: int) -> Submitted | None:
        """Return why there can be no job of this method with a request of this size; None if there can."""
        if not _METHOD.fullmatch(method):
            return refused(INVALID_ARGUMENT, f"method is {method[:80]!r}; it should be like /package.Service/Method")
        if request_bytes > self._bytes_max:
            words = f"the request has {request_bytes:,} bytes; at most {self._bytes_max:,} may be (--message-bytes-max)"
            return refused(INVALID_ARGUMENT, words)
        fault = self._policies.fault(method)
        if fault:
            return refused(FAILED_PRECONDITION, fault)
        self._methods.add(method)
        return None

    def _read(self, message: jobs_pb2.Submission, now: float, parent_attempt: int | None) -> Submission | Submitted:
        fault = self.check(message.method, len(message.request))
        if fault is not None:
            return fault
        if words := _fault(message):
            return refused(INVALID_ARGUMENT, words)
        try:
            return submission_of(message, now, parent_attempt if message.parent else None)
        except (BadJobIdError, PolicyError) as error:
            return refused(INVALID_ARGUMENT, str(error))


def _fault(message: jobs_pb2.Submission) -> str:
    """Return what is wrong with a submission that the engine does not look at."""
    if message.HasField("at") and not 0 <= message.at <= TIME_MAX:
        return f"at is {message.at:g}; it should be seconds since 1970"
    if message.HasField("delay_s") and not 0 <= message.delay_s <= KEEP_S_MAX:
        return f"delay_s is {message.delay_s:g}; it must be 0 to {KEEP_S_MAX:,g}"
    return metadata_fault([(entry.key, entry.value) for entry in message.metadata])


def metadata_fault(metadata: Sequence[tuple[str, bytes]]) -> str:
    """Return what is wrong with a job's metadata; empty if nothing is."""
    if len(metadata) > METADATA_ENTRIES_MAX:
        return f"there are {len(metadata)} entries of metadata; at most {METADATA_ENTRIES_MAX} may be"
    for key, value in metadata:
        if not is_legal([(key, value)]) or not is_forwarded(key) or key.startswith(KEY_PREFIX):
            return f"metadata has the key {key[:80]!r}, which cannot be sent to a worker (or its value cannot)"
    return ""


def read_ids(texts: Sequence[str]) -> list[int]:
    """Return the jobs of a request.

    Raises:
        BadRequestError: there are too many.
        BadJobIdError: one of them is no id.
    """
    if len(texts) > IDS_MAX:
        raise BadRequestError(f"{len(texts):,} ids; at most {IDS_MAX:,} may be in a request")
    return parse_ids(texts)


def read_filter(request: jobs_pb2.ListRequest) -> tuple[JobFilter, int | None, int]:
    """Return what to list, below which id, and how much of it at most.

    Raises:
        BadRequestError: a field cannot be as it is.
        BadJobIdError: parent is no id.
    """
    if request.page_size > PAGE_MAX:
        raise BadRequestError(f"page_size is {request.page_size}; at most {PAGE_MAX:,} may be")
    unknown = [state for state in request.states if not JobState.WAITING <= state <= JobState.CANCELLED]
    if unknown:
        raise BadRequestError(f"states has {unknown[0]}, which is no state of a job")
    if request.HasField("label_value") and not request.label:
        raise BadRequestError("label_value needs a label")
    after, before = (_time(request, name) for name in ("submitted_after", "submitted_before"))
    wanted = JobFilter(
        method=request.method or None,
        states=frozenset(map(JobState, request.states)),
        key=request.key or None,
        parent=parse_id(request.parent) if request.parent else None,
        label=request.label or None,
        label_value=request.label_value if request.HasField("label_value") else None,
        id_min=first_id_at(after) if after else 0,
        id_max=max(0, first_id_at(before) - 1) if before else (1 << 63) - 1,
    )
    try:
        below = parse_id(request.page_token) if request.page_token else None
    except BadJobIdError:
        raise BadRequestError("page_token is not one of a reply before") from None
    return wanted, below, request.page_size or PAGE_DEFAULT


def page_token(below: int | None) -> str:
    """Return the token of the next page."""
    return "" if below is None else id_text(below)


def _time(request: jobs_pb2.ListRequest, name: str) -> float:
    value: float = getattr(request, name)
    if math.isnan(value) or not 0 <= value <= TIME_MAX:
        raise BadRequestError(f"{name} is {value:g}; it should be seconds since 1970")
    return value
