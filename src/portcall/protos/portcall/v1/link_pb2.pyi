from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Compression(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPRESSION_NONE: _ClassVar[Compression]
    COMPRESSION_DEFLATE: _ClassVar[Compression]
    COMPRESSION_GZIP: _ClassVar[Compression]
COMPRESSION_NONE: Compression
COMPRESSION_DEFLATE: Compression
COMPRESSION_GZIP: Compression

class Frames(_message.Message):
    __slots__ = ("frames", "seq", "ack")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    seq: int
    ack: int
    def __init__(self, frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ..., seq: _Optional[int] = ..., ack: _Optional[int] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("call_id", "open", "headers", "message", "half_close", "end", "cancel", "credit", "hello", "welcome", "slots", "drain", "ping", "pong", "goodbye")
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HALF_CLOSE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    call_id: int
    open: Open
    headers: Headers
    message: Message
    half_close: HalfClose
    end: End
    cancel: Cancel
    credit: Credit
    hello: Hello
    welcome: Welcome
    slots: Slots
    drain: Drain
    ping: Ping
    pong: Pong
    goodbye: Goodbye
    def __init__(self, call_id: _Optional[int] = ..., open: _Optional[_Union[Open, _Mapping]] = ..., headers: _Optional[_Union[Headers, _Mapping]] = ..., message: _Optional[_Union[Message, _Mapping]] = ..., half_close: _Optional[_Union[HalfClose, _Mapping]] = ..., end: _Optional[_Union[End, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., credit: _Optional[_Union[Credit, _Mapping]] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., slots: _Optional[_Union[Slots, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ...) -> None: ...

class Metadatum(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("method", "metadata", "timeout_us", "message", "half_close", "wait_for_ready", "peer")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HALF_CLOSE_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_READY_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    method: str
    metadata: _containers.RepeatedCompositeFieldContainer[Metadatum]
    timeout_us: int
    message: bytes
    half_close: bool
    wait_for_ready: bool
    peer: str
    def __init__(self, method: _Optional[str] = ..., metadata: _Optional[_Iterable[_Union[Metadatum, _Mapping]]] = ..., timeout_us: _Optional[int] = ..., message: _Optional[bytes] = ..., half_close: _Optional[bool] = ..., wait_for_ready: _Optional[bool] = ..., peer: _Optional[str] = ...) -> None: ...

class Headers(_message.Message):
    __slots__ = ("metadata", "compression")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    metadata: _containers.RepeatedCompositeFieldContainer[Metadatum]
    compression: Compression
    def __init__(self, metadata: _Optional[_Iterable[_Union[Metadatum, _Mapping]]] = ..., compression: _Optional[_Union[Compression, str]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("data", "more")
    DATA_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    more: bool
    def __init__(self, data: _Optional[bytes] = ..., more: _Optional[bool] = ...) -> None: ...

class HalfClose(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class End(_message.Message):
    __slots__ = ("status", "details", "trailers", "message")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    TRAILERS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    status: int
    details: str
    trailers: _containers.RepeatedCompositeFieldContainer[Metadatum]
    message: bytes
    def __init__(self, status: _Optional[int] = ..., details: _Optional[str] = ..., trailers: _Optional[_Iterable[_Union[Metadatum, _Mapping]]] = ..., message: _Optional[bytes] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Credit(_message.Message):
    __slots__ = ("bytes",)
    BYTES_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    def __init__(self, bytes: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "session", "received", "worker", "agent", "is_probe")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    IS_PROBE_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    session: bytes
    received: int
    worker: WorkerHello
    agent: str
    is_probe: bool
    def __init__(self, protocol: _Optional[int] = ..., session: _Optional[bytes] = ..., received: _Optional[int] = ..., worker: _Optional[_Union[WorkerHello, _Mapping]] = ..., agent: _Optional[str] = ..., is_probe: _Optional[bool] = ...) -> None: ...

class WorkerHello(_message.Message):
    __slots__ = ("name", "slots", "contract", "environment")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    slots: int
    contract: Contract
    environment: Environment
    def __init__(self, name: _Optional[str] = ..., slots: _Optional[int] = ..., contract: _Optional[_Union[Contract, _Mapping]] = ..., environment: _Optional[_Union[Environment, _Mapping]] = ...) -> None: ...

class Contract(_message.Message):
    __slots__ = ("services", "files")
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[Service]
    files: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, services: _Optional[_Iterable[_Union[Service, _Mapping]]] = ..., files: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ("name", "methods")
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    name: str
    methods: _containers.RepeatedCompositeFieldContainer[Method]
    def __init__(self, name: _Optional[str] = ..., methods: _Optional[_Iterable[_Union[Method, _Mapping]]] = ...) -> None: ...

class Method(_message.Message):
    __slots__ = ("name", "client_streaming", "server_streaming")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_STREAMING_FIELD_NUMBER: _ClassVar[int]
    SERVER_STREAMING_FIELD_NUMBER: _ClassVar[int]
    name: str
    client_streaming: bool
    server_streaming: bool
    def __init__(self, name: _Optional[str] = ..., client_streaming: _Optional[bool] = ..., server_streaming: _Optional[bool] = ...) -> None: ...

class Environment(_message.Message):
    __slots__ = ("host", "pid", "os", "kernel", "architecture", "python")
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    host: str
    pid: int
    os: str
    kernel: str
    architecture: str
    python: str
    def __init__(self, host: _Optional[str] = ..., pid: _Optional[int] = ..., os: _Optional[str] = ..., kernel: _Optional[str] = ..., architecture: _Optional[str] = ..., python: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol", "session", "resumed", "received", "grace_ms", "message_bytes_max", "agent", "ping_interval_ms")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    GRACE_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    PING_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    session: bytes
    resumed: bool
    received: int
    grace_ms: int
    message_bytes_max: int
    agent: str
    ping_interval_ms: int
    def __init__(self, protocol: _Optional[int] = ..., session: _Optional[bytes] = ..., resumed: _Optional[bool] = ..., received: _Optional[int] = ..., grace_ms: _Optional[int] = ..., message_bytes_max: _Optional[int] = ..., agent: _Optional[str] = ..., ping_interval_ms: _Optional[int] = ...) -> None: ...

class Slots(_message.Message):
    __slots__ = ("slots",)
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    slots: int
    def __init__(self, slots: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Ping(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "details")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Goodbye.Reason]
        REASON_DONE: _ClassVar[Goodbye.Reason]
        REASON_PROTOCOL_ERROR: _ClassVar[Goodbye.Reason]
        REASON_REFUSED: _ClassVar[Goodbye.Reason]
        REASON_SUPERSEDED: _ClassVar[Goodbye.Reason]
        REASON_NOT_READING: _ClassVar[Goodbye.Reason]
    REASON_UNSPECIFIED: Goodbye.Reason
    REASON_DONE: Goodbye.Reason
    REASON_PROTOCOL_ERROR: Goodbye.Reason
    REASON_REFUSED: Goodbye.Reason
    REASON_SUPERSEDED: Goodbye.Reason
    REASON_NOT_READING: Goodbye.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    reason: Goodbye.Reason
    details: str
    def __init__(self, reason: _Optional[_Union[Goodbye.Reason, str]] = ..., details: _Optional[str] = ...) -> None: ...
