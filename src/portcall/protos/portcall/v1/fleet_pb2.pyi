from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListWorkersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListWorkersReply(_message.Message):
    __slots__ = ("workers", "refusals")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    refusals: Refusals
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., refusals: _Optional[_Union[Refusals, _Mapping]] = ...) -> None: ...

class Refusals(_message.Message):
    __slots__ = ("unauthenticated", "permission_denied")
    UNAUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    PERMISSION_DENIED_FIELD_NUMBER: _ClassVar[int]
    unauthenticated: int
    permission_denied: int
    def __init__(self, unauthenticated: _Optional[int] = ..., permission_denied: _Optional[int] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("name", "state", "host", "pid", "os", "kernel", "architecture", "python", "slots", "running", "ended", "attached_s", "services")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[WorkerStatus.State]
        STATE_READY: _ClassVar[WorkerStatus.State]
        STATE_DRAINING: _ClassVar[WorkerStatus.State]
        STATE_SUSPENDED: _ClassVar[WorkerStatus.State]
    STATE_UNSPECIFIED: WorkerStatus.State
    STATE_READY: WorkerStatus.State
    STATE_DRAINING: WorkerStatus.State
    STATE_SUSPENDED: WorkerStatus.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_S_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: WorkerStatus.State
    host: str
    pid: int
    os: str
    kernel: str
    architecture: str
    python: str
    slots: int
    running: int
    ended: int
    attached_s: float
    services: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[WorkerStatus.State, str]] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., os: _Optional[str] = ..., kernel: _Optional[str] = ..., architecture: _Optional[str] = ..., python: _Optional[str] = ..., slots: _Optional[int] = ..., running: _Optional[int] = ..., ended: _Optional[int] = ..., attached_s: _Optional[float] = ..., services: _Optional[_Iterable[str]] = ...) -> None: ...
