from portcall.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_WAITING: _ClassVar[JobState]
    JOB_STATE_SCHEDULED: _ClassVar[JobState]
    JOB_STATE_READY: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_CANCELLING: _ClassVar[JobState]
    JOB_STATE_SUCCEEDED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_WAITING: JobState
JOB_STATE_SCHEDULED: JobState
JOB_STATE_READY: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_CANCELLING: JobState
JOB_STATE_SUCCEEDED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState

class MetadataEntry(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class MetadataEntries(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[MetadataEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[MetadataEntry, _Mapping]]] = ...) -> None: ...

class Submission(_message.Message):
    __slots__ = ("method", "request", "key", "at", "delay_s", "priority", "after", "parent", "step", "labels", "metadata", "overrides")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    DELAY_S_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    method: str
    request: bytes
    key: str
    at: float
    delay_s: float
    priority: int
    after: _containers.RepeatedScalarFieldContainer[str]
    parent: str
    step: str
    labels: _containers.ScalarMap[str, str]
    metadata: _containers.RepeatedCompositeFieldContainer[MetadataEntry]
    overrides: _options_pb2.JobOverrides
    def __init__(self, method: _Optional[str] = ..., request: _Optional[bytes] = ..., key: _Optional[str] = ..., at: _Optional[float] = ..., delay_s: _Optional[float] = ..., priority: _Optional[int] = ..., after: _Optional[_Iterable[str]] = ..., parent: _Optional[str] = ..., step: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., metadata: _Optional[_Iterable[_Union[MetadataEntry, _Mapping]]] = ..., overrides: _Optional[_Union[_options_pb2.JobOverrides, _Mapping]] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Submission]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Submission, _Mapping]]] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Submitted]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Submitted, _Mapping]]] = ...) -> None: ...

class Submitted(_message.Message):
    __slots__ = ("id", "state", "existed", "status", "details")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: JobState
    existed: bool
    status: int
    details: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., existed: _Optional[bool] = ..., status: _Optional[int] = ..., details: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "method", "state", "key", "parent", "step", "labels", "priority", "value", "attempt", "failures", "deaths", "submitted_at", "due_at", "started_at", "ended_at", "expires_at", "status", "details", "worker", "reason", "reply", "trailers", "request", "replies", "pending")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    DEATHS_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    TRAILERS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    id: str
    method: str
    state: JobState
    key: str
    parent: str
    step: str
    labels: _containers.ScalarMap[str, str]
    priority: int
    value: str
    attempt: int
    failures: int
    deaths: int
    submitted_at: float
    due_at: float
    started_at: float
    ended_at: float
    expires_at: float
    status: int
    details: str
    worker: str
    reason: str
    reply: bytes
    trailers: _containers.RepeatedCompositeFieldContainer[MetadataEntry]
    request: bytes
    replies: int
    pending: int
    def __init__(self, id: _Optional[str] = ..., method: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., key: _Optional[str] = ..., parent: _Optional[str] = ..., step: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., priority: _Optional[int] = ..., value: _Optional[str] = ..., attempt: _Optional[int] = ..., failures: _Optional[int] = ..., deaths: _Optional[int] = ..., submitted_at: _Optional[float] = ..., due_at: _Optional[float] = ..., started_at: _Optional[float] = ..., ended_at: _Optional[float] = ..., expires_at: _Optional[float] = ..., status: _Optional[int] = ..., details: _Optional[str] = ..., worker: _Optional[str] = ..., reason: _Optional[str] = ..., reply: _Optional[bytes] = ..., trailers: _Optional[_Iterable[_Union[MetadataEntry, _Mapping]]] = ..., request: _Optional[bytes] = ..., replies: _Optional[int] = ..., pending: _Optional[int] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("ids", "with_requests", "with_attempts")
    IDS_FIELD_NUMBER: _ClassVar[int]
    WITH_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    WITH_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    with_requests: bool
    with_attempts: bool
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., with_requests: _Optional[bool] = ..., with_attempts: _Optional[bool] = ...) -> None: ...

class GetReply(_message.Message):
    __slots__ = ("jobs", "attempts")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("job", "number", "started_at", "ended_at", "outcome", "status", "details", "worker")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[Attempt.Outcome]
        OUTCOME_SUCCEEDED: _ClassVar[Attempt.Outcome]
        OUTCOME_FAILED: _ClassVar[Attempt.Outcome]
        OUTCOME_DIED: _ClassVar[Attempt.Outcome]
        OUTCOME_LOST: _ClassVar[Attempt.Outcome]
        OUTCOME_HANDED_BACK: _ClassVar[Attempt.Outcome]
    OUTCOME_UNSPECIFIED: Attempt.Outcome
    OUTCOME_SUCCEEDED: Attempt.Outcome
    OUTCOME_FAILED: Attempt.Outcome
    OUTCOME_DIED: Attempt.Outcome
    OUTCOME_LOST: Attempt.Outcome
    OUTCOME_HANDED_BACK: Attempt.Outcome
    JOB_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    job: str
    number: int
    started_at: float
    ended_at: float
    outcome: Attempt.Outcome
    status: int
    details: str
    worker: str
    def __init__(self, job: _Optional[str] = ..., number: _Optional[int] = ..., started_at: _Optional[float] = ..., ended_at: _Optional[float] = ..., outcome: _Optional[_Union[Attempt.Outcome, str]] = ..., status: _Optional[int] = ..., details: _Optional[str] = ..., worker: _Optional[str] = ...) -> None: ...

class WaitRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("jobs",)
    class From(_message.Message):
        __slots__ = ("id", "after")
        ID_FIELD_NUMBER: _ClassVar[int]
        AFTER_FIELD_NUMBER: _ClassVar[int]
        id: str
        after: int
        def __init__(self, id: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[WatchRequest.From]
    def __init__(self, jobs: _Optional[_Iterable[_Union[WatchRequest.From, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("job", "number", "at", "attempt", "state", "progress", "log", "attempt_ended", "status", "details")
    JOB_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ENDED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    job: str
    number: int
    at: float
    attempt: int
    state: JobState
    progress: Progress
    log: LogLine
    attempt_ended: Attempt
    status: int
    details: str
    def __init__(self, job: _Optional[str] = ..., number: _Optional[int] = ..., at: _Optional[float] = ..., attempt: _Optional[int] = ..., state: _Optional[_Union[JobState, str]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., log: _Optional[_Union[LogLine, _Mapping]] = ..., attempt_ended: _Optional[_Union[Attempt, _Mapping]] = ..., status: _Optional[int] = ..., details: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done", "total", "note")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    done: float
    total: float
    note: str
    def __init__(self, done: _Optional[float] = ..., total: _Optional[float] = ..., note: _Optional[str] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("level", "text")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    level: int
    text: str
    def __init__(self, level: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class ReadRepliesRequest(_message.Message):
    __slots__ = ("id", "offset", "follow")
    ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    id: str
    offset: int
    follow: bool
    def __init__(self, id: _Optional[str] = ..., offset: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class StoredReply(_message.Message):
    __slots__ = ("offset", "attempt", "message")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    offset: int
    attempt: int
    message: bytes
    def __init__(self, offset: _Optional[int] = ..., attempt: _Optional[int] = ..., message: _Optional[bytes] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("method", "states", "key", "parent", "label", "label_value", "submitted_after", "submitted_before", "page_size", "page_token", "with_replies", "with_requests")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABEL_VALUE_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AFTER_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    WITH_REPLIES_FIELD_NUMBER: _ClassVar[int]
    WITH_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    method: str
    states: _containers.RepeatedScalarFieldContainer[JobState]
    key: str
    parent: str
    label: str
    label_value: str
    submitted_after: float
    submitted_before: float
    page_size: int
    page_token: str
    with_replies: bool
    with_requests: bool
    def __init__(self, method: _Optional[str] = ..., states: _Optional[_Iterable[_Union[JobState, str]]] = ..., key: _Optional[str] = ..., parent: _Optional[str] = ..., label: _Optional[str] = ..., label_value: _Optional[str] = ..., submitted_after: _Optional[float] = ..., submitted_before: _Optional[float] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., with_replies: _Optional[bool] = ..., with_requests: _Optional[bool] = ...) -> None: ...

class ListReply(_message.Message):
    __slots__ = ("jobs", "page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., page_token: _Optional[str] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelReply(_message.Message):
    __slots__ = ("states", "children")
    STATES_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[JobState]
    children: int
    def __init__(self, states: _Optional[_Iterable[_Union[JobState, str]]] = ..., children: _Optional[int] = ...) -> None: ...

class RetryRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RetryReply(_message.Message):
    __slots__ = ("states",)
    STATES_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[JobState]
    def __init__(self, states: _Optional[_Iterable[_Union[JobState, str]]] = ...) -> None: ...

class PurgeRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PurgeReply(_message.Message):
    __slots__ = ("purged",)
    PURGED_FIELD_NUMBER: _ClassVar[int]
    purged: int
    def __init__(self, purged: _Optional[int] = ...) -> None: ...

class ScheduleSpec(_message.Message):
    __slots__ = ("cron", "time_zone", "every_s", "overlap", "catch_up", "is_paused", "job")
    class Overlap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OVERLAP_UNSPECIFIED: _ClassVar[ScheduleSpec.Overlap]
        SKIP: _ClassVar[ScheduleSpec.Overlap]
        ALLOW: _ClassVar[ScheduleSpec.Overlap]
        REPLACE: _ClassVar[ScheduleSpec.Overlap]
    OVERLAP_UNSPECIFIED: ScheduleSpec.Overlap
    SKIP: ScheduleSpec.Overlap
    ALLOW: ScheduleSpec.Overlap
    REPLACE: ScheduleSpec.Overlap
    class CatchUp(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CATCH_UP_UNSPECIFIED: _ClassVar[ScheduleSpec.CatchUp]
        ONCE: _ClassVar[ScheduleSpec.CatchUp]
        NONE: _ClassVar[ScheduleSpec.CatchUp]
        ALL: _ClassVar[ScheduleSpec.CatchUp]
    CATCH_UP_UNSPECIFIED: ScheduleSpec.CatchUp
    ONCE: ScheduleSpec.CatchUp
    NONE: ScheduleSpec.CatchUp
    ALL: ScheduleSpec.CatchUp
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    EVERY_S_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_FIELD_NUMBER: _ClassVar[int]
    IS_PAUSED_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    cron: str
    time_zone: str
    every_s: float
    overlap: ScheduleSpec.Overlap
    catch_up: ScheduleSpec.CatchUp
    is_paused: bool
    job: Submission
    def __init__(self, cron: _Optional[str] = ..., time_zone: _Optional[str] = ..., every_s: _Optional[float] = ..., overlap: _Optional[_Union[ScheduleSpec.Overlap, str]] = ..., catch_up: _Optional[_Union[ScheduleSpec.CatchUp, str]] = ..., is_paused: _Optional[bool] = ..., job: _Optional[_Union[Submission, _Mapping]] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("name", "spec", "next_at", "last_at", "last_job")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    NEXT_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_JOB_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: ScheduleSpec
    next_at: float
    last_at: float
    last_job: str
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[ScheduleSpec, _Mapping]] = ..., next_at: _Optional[float] = ..., last_at: _Optional[float] = ..., last_job: _Optional[str] = ...) -> None: ...

class PutScheduleRequest(_message.Message):
    __slots__ = ("name", "spec")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: ScheduleSpec
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[ScheduleSpec, _Mapping]] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSchedulesReply(_message.Message):
    __slots__ = ("schedules",)
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[Schedule]
    def __init__(self, schedules: _Optional[_Iterable[_Union[Schedule, _Mapping]]] = ...) -> None: ...

class TriggerScheduleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteScheduleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteScheduleReply(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: _Optional[bool] = ...) -> None: ...
