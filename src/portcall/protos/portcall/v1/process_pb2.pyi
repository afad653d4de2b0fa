from portcall.protos.portcall.v1 import link_pb2 as _link_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProcessHello(_message.Message):
    __slots__ = ("worker", "hub")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    HUB_FIELD_NUMBER: _ClassVar[int]
    worker: _link_pb2.WorkerHello
    hub: str
    def __init__(self, worker: _Optional[_Union[_link_pb2.WorkerHello, _Mapping]] = ..., hub: _Optional[str] = ...) -> None: ...
