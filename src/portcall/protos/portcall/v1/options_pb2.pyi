from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
JOB_FIELD_NUMBER: _ClassVar[int]
job: _descriptor.FieldDescriptor

class JobOptions(_message.Message):
    __slots__ = ("attempts", "backoff", "timeout_s", "retry_on", "deaths", "limit", "by", "keep_s", "on_duplicate")
    class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OK: _ClassVar[JobOptions.Code]
        CANCELLED: _ClassVar[JobOptions.Code]
        UNKNOWN: _ClassVar[JobOptions.Code]
        INVALID_ARGUMENT: _ClassVar[JobOptions.Code]
        DEADLINE_EXCEEDED: _ClassVar[JobOptions.Code]
        NOT_FOUND: _ClassVar[JobOptions.Code]
        ALREADY_EXISTS: _ClassVar[JobOptions.Code]
        PERMISSION_DENIED: _ClassVar[JobOptions.Code]
        RESOURCE_EXHAUSTED: _ClassVar[JobOptions.Code]
        FAILED_PRECONDITION: _ClassVar[JobOptions.Code]
        ABORTED: _ClassVar[JobOptions.Code]
        OUT_OF_RANGE: _ClassVar[JobOptions.Code]
        UNIMPLEMENTED: _ClassVar[JobOptions.Code]
        INTERNAL: _ClassVar[JobOptions.Code]
        UNAVAILABLE: _ClassVar[JobOptions.Code]
        DATA_LOSS: _ClassVar[JobOptions.Code]
        UNAUTHENTICATED: _ClassVar[JobOptions.Code]
    OK: JobOptions.Code
    CANCELLED: JobOptions.Code
    UNKNOWN: JobOptions.Code
    INVALID_ARGUMENT: JobOptions.Code
    DEADLINE_EXCEEDED: JobOptions.Code
    NOT_FOUND: JobOptions.Code
    ALREADY_EXISTS: JobOptions.Code
    PERMISSION_DENIED: JobOptions.Code
    RESOURCE_EXHAUSTED: JobOptions.Code
    FAILED_PRECONDITION: JobOptions.Code
    ABORTED: JobOptions.Code
    OUT_OF_RANGE: JobOptions.Code
    UNIMPLEMENTED: JobOptions.Code
    INTERNAL: JobOptions.Code
    UNAVAILABLE: JobOptions.Code
    DATA_LOSS: JobOptions.Code
    UNAUTHENTICATED: JobOptions.Code
    class Duplicate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DUPLICATE_UNSPECIFIED: _ClassVar[JobOptions.Duplicate]
        RETURN: _ClassVar[JobOptions.Duplicate]
        RETRY: _ClassVar[JobOptions.Duplicate]
        REFUSE: _ClassVar[JobOptions.Duplicate]
    DUPLICATE_UNSPECIFIED: JobOptions.Duplicate
    RETURN: JobOptions.Duplicate
    RETRY: JobOptions.Duplicate
    REFUSE: JobOptions.Duplicate
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    RETRY_ON_FIELD_NUMBER: _ClassVar[int]
    DEATHS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    KEEP_S_FIELD_NUMBER: _ClassVar[int]
    ON_DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    backoff: Backoff
    timeout_s: float
    retry_on: _containers.RepeatedScalarFieldContainer[JobOptions.Code]
    deaths: int
    limit: Limit
    by: By
    keep_s: float
    on_duplicate: JobOptions.Duplicate
    def __init__(self, attempts: _Optional[int] = ..., backoff: _Optional[_Union[Backoff, _Mapping]] = ..., timeout_s: _Optional[float] = ..., retry_on: _Optional[_Iterable[_Union[JobOptions.Code, str]]] = ..., deaths: _Optional[int] = ..., limit: _Optional[_Union[Limit, _Mapping]] = ..., by: _Optional[_Union[By, _Mapping]] = ..., keep_s: _Optional[float] = ..., on_duplicate: _Optional[_Union[JobOptions.Duplicate, str]] = ...) -> None: ...

class Backoff(_message.Message):
    __slots__ = ("initial_s", "max_s", "multiplier", "jitter")
    INITIAL_S_FIELD_NUMBER: _ClassVar[int]
    MAX_S_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    initial_s: float
    max_s: float
    multiplier: float
    jitter: float
    def __init__(self, initial_s: _Optional[float] = ..., max_s: _Optional[float] = ..., multiplier: _Optional[float] = ..., jitter: _Optional[float] = ...) -> None: ...

class Limit(_message.Message):
    __slots__ = ("running", "rate")
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    running: int
    rate: Rate
    def __init__(self, running: _Optional[int] = ..., rate: _Optional[_Union[Rate, _Mapping]] = ...) -> None: ...

class Rate(_message.Message):
    __slots__ = ("starts", "per_s", "burst")
    STARTS_FIELD_NUMBER: _ClassVar[int]
    PER_S_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    starts: int
    per_s: float
    burst: int
    def __init__(self, starts: _Optional[int] = ..., per_s: _Optional[float] = ..., burst: _Optional[int] = ...) -> None: ...

class By(_message.Message):
    __slots__ = ("field", "limit")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    field: str
    limit: Limit
    def __init__(self, field: _Optional[str] = ..., limit: _Optional[_Union[Limit, _Mapping]] = ...) -> None: ...

class JobOverrides(_message.Message):
    __slots__ = ("attempts", "backoff", "timeout_s", "keep_s", "on_duplicate")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    KEEP_S_FIELD_NUMBER: _ClassVar[int]
    ON_DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    backoff: Backoff
    timeout_s: float
    keep_s: float
    on_duplicate: JobOptions.Duplicate
    def __init__(self, attempts: _Optional[int] = ..., backoff: _Optional[_Union[Backoff, _Mapping]] = ..., timeout_s: _Optional[float] = ..., keep_s: _Optional[float] = ..., on_duplicate: _Optional[_Union[JobOptions.Duplicate, str]] = ...) -> None: ...
