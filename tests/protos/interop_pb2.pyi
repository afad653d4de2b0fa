from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EchoStatus(_message.Message):
    __slots__ = ("code", "details")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    code: int
    details: str
    def __init__(self, code: _Optional[int] = ..., details: _Optional[str] = ...) -> None: ...

class UnaryRequest(_message.Message):
    __slots__ = ("body", "reply_bytes", "status")
    BODY_FIELD_NUMBER: _ClassVar[int]
    REPLY_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    reply_bytes: int
    status: EchoStatus
    def __init__(self, body: _Optional[bytes] = ..., reply_bytes: _Optional[int] = ..., status: _Optional[_Union[EchoStatus, _Mapping]] = ...) -> None: ...

class UnaryReply(_message.Message):
    __slots__ = ("body", "request_checksum")
    BODY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    request_checksum: int
    def __init__(self, body: _Optional[bytes] = ..., request_checksum: _Optional[int] = ...) -> None: ...

class StreamRequest(_message.Message):
    __slots__ = ("body", "reply_bytes", "status")
    BODY_FIELD_NUMBER: _ClassVar[int]
    REPLY_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    reply_bytes: _containers.RepeatedScalarFieldContainer[int]
    status: EchoStatus
    def __init__(self, body: _Optional[bytes] = ..., reply_bytes: _Optional[_Iterable[int]] = ..., status: _Optional[_Union[EchoStatus, _Mapping]] = ...) -> None: ...

class StreamReply(_message.Message):
    __slots__ = ("body", "request_checksum")
    BODY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    request_checksum: int
    def __init__(self, body: _Optional[bytes] = ..., request_checksum: _Optional[int] = ...) -> None: ...

class InputReply(_message.Message):
    __slots__ = ("messages", "body_bytes", "requests_checksum")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    BODY_BYTES_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    messages: int
    body_bytes: int
    requests_checksum: int
    def __init__(self, messages: _Optional[int] = ..., body_bytes: _Optional[int] = ..., requests_checksum: _Optional[int] = ...) -> None: ...
