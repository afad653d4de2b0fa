import datetime

from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import wrappers_pb2 as _wrappers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Flag(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLAG_UNSPECIFIED: _ClassVar[Flag]
    FLAG_QUEBEC: _ClassVar[Flag]
    FLAG_YANKEE: _ClassVar[Flag]
FLAG_UNSPECIFIED: Flag
FLAG_QUEBEC: Flag
FLAG_YANKEE: Flag

class Crate(_message.Message):
    __slots__ = ("label", "weight_kg")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_KG_FIELD_NUMBER: _ClassVar[int]
    label: str
    weight_kg: int
    def __init__(self, label: _Optional[str] = ..., weight_kg: _Optional[int] = ...) -> None: ...

class Manifest(_message.Message):
    __slots__ = ("double_value", "float_value", "int32_value", "int64_value", "uint32_value", "uint64_value", "sint32_value", "sint64_value", "fixed32_value", "fixed64_value", "sfixed32_value", "sfixed64_value", "bool_value", "string_value", "bytes_value", "flag", "note", "stowage", "numbers", "flags", "stowages", "counts", "names", "crates", "person", "company", "nobody", "inner", "extra", "extras", "when", "stay", "mask", "remarks", "value", "list", "wrapped_int64", "wrapped_string", "wrapped_bytes", "wrapped_bool", "wrapped_float", "values", "value_list", "named_otherwise")
    class Stowage(_message.Message):
        __slots__ = ("bay", "crates")
        BAY_FIELD_NUMBER: _ClassVar[int]
        CRATES_FIELD_NUMBER: _ClassVar[int]
        bay: str
        crates: _containers.RepeatedCompositeFieldContainer[Crate]
        def __init__(self, bay: _Optional[str] = ..., crates: _Optional[_Iterable[_Union[Crate, _Mapping]]] = ...) -> None: ...
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class NamesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: str
        def __init__(self, key: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...
    class CratesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: bool
        value: Crate
        def __init__(self, key: _Optional[bool] = ..., value: _Optional[_Union[Crate, _Mapping]] = ...) -> None: ...
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
    DOUBLE_VALUE_FIELD_NUMBER: _ClassVar[int]
    FLOAT_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT32_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT64_VALUE_FIELD_NUMBER: _ClassVar[int]
    UINT32_VALUE_FIELD_NUMBER: _ClassVar[int]
    UINT64_VALUE_FIELD_NUMBER: _ClassVar[int]
    SINT32_VALUE_FIELD_NUMBER: _ClassVar[int]
    SINT64_VALUE_FIELD_NUMBER: _ClassVar[int]
    FIXED32_VALUE_FIELD_NUMBER: _ClassVar[int]
    FIXED64_VALUE_FIELD_NUMBER: _ClassVar[int]
    SFIXED32_VALUE_FIELD_NUMBER: _ClassVar[int]
    SFIXED64_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    BYTES_VALUE_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    STOWAGE_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    STOWAGES_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    CRATES_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    NOBODY_FIELD_NUMBER: _ClassVar[int]
    INNER_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    EXTRAS_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    STAY_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    REMARKS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_INT64_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_STRING_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_BOOL_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_FLOAT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    VALUE_LIST_FIELD_NUMBER: _ClassVar[int]
    NAMED_OTHERWISE_FIELD_NUMBER: _ClassVar[int]
    double_value: float
    float_value: float
    int32_value: int
    int64_value: int
    uint32_value: int
    uint64_value: int
    sint32_value: int
    sint64_value: int
    fixed32_value: int
    fixed64_value: int
    sfixed32_value: int
    sfixed64_value: int
    bool_value: bool
    string_value: str
    bytes_value: bytes
    flag: Flag
    note: str
    stowage: Manifest.Stowage
    numbers: _containers.RepeatedScalarFieldContainer[int]
    flags: _containers.RepeatedScalarFieldContainer[Flag]
    stowages: _containers.RepeatedCompositeFieldContainer[Manifest.Stowage]
    counts: _containers.ScalarMap[str, int]
    names: _containers.ScalarMap[int, str]
    crates: _containers.MessageMap[bool, Crate]
    person: str
    company: Crate
    nobody: _struct_pb2.NullValue
    inner: Manifest
    extra: _any_pb2.Any
    extras: _containers.RepeatedCompositeFieldContainer[_any_pb2.Any]
    when: _timestamp_pb2.Timestamp
    stay: _duration_pb2.Duration
    mask: _field_mask_pb2.FieldMask
    remarks: _struct_pb2.Struct
    value: _struct_pb2.Value
    list: _struct_pb2.ListValue
    wrapped_int64: _wrappers_pb2.Int64Value
    wrapped_string: _wrappers_pb2.StringValue
    wrapped_bytes: _wrappers_pb2.BytesValue
    wrapped_bool: _wrappers_pb2.BoolValue
    wrapped_float: _wrappers_pb2.FloatValue
    values: _containers.MessageMap[str, _struct_pb2.Value]
    value_list: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    named_otherwise: str
    def __init__(self, double_value: _Optional[float] = ..., float_value: _Optional[float] = ..., int32_value: _Optional[int] = ..., int64_value: _Optional[int] = ..., uint32_value: _Optional[int] = ..., uint64_value: _Optional[int] = ..., sint32_value: _Optional[int] = ..., sint64_value: _Optional[int] = ..., fixed32_value: _Optional[int] = ..., fixed64_value: _Optional[int] = ..., sfixed32_value: _Optional[int] = ..., sfixed64_value: _Optional[int] = ..., bool_value: _Optional[bool] = ..., string_value: _Optional[str] = ..., bytes_value: _Optional[bytes] = ..., flag: _Optional[_Union[Flag, str]] = ..., note: _Optional[str] = ..., stowage: _Optional[_Union[Manifest.Stowage, _Mapping]] = ..., numbers: _Optional[_Iterable[int]] = ..., flags: _Optional[_Iterable[_Union[Flag, str]]] = ..., stowages: _Optional[_Iterable[_Union[Manifest.Stowage, _Mapping]]] = ..., counts: _Optional[_Mapping[str, int]] = ..., names: _Optional[_Mapping[int, str]] = ..., crates: _Optional[_Mapping[bool, Crate]] = ..., person: _Optional[str] = ..., company: _Optional[_Union[Crate, _Mapping]] = ..., nobody: _Optional[_Union[_struct_pb2.NullValue, str]] = ..., inner: _Optional[_Union[Manifest, _Mapping]] = ..., extra: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., extras: _Optional[_Iterable[_Union[_any_pb2.Any, _Mapping]]] = ..., when: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., remarks: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., list: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., wrapped_int64: _Optional[_Union[_wrappers_pb2.Int64Value, _Mapping]] = ..., wrapped_string: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., wrapped_bytes: _Optional[_Union[_wrappers_pb2.BytesValue, _Mapping]] = ..., wrapped_bool: _Optional[_Union[_wrappers_pb2.BoolValue, _Mapping]] = ..., wrapped_float: _Optional[_Union[_wrappers_pb2.FloatValue, _Mapping]] = ..., values: _Optional[_Mapping[str, _struct_pb2.Value]] = ..., value_list: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., named_otherwise: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("count", "padding_bytes")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PADDING_BYTES_FIELD_NUMBER: _ClassVar[int]
    count: int
    padding_bytes: int
    def __init__(self, count: _Optional[int] = ..., padding_bytes: _Optional[int] = ...) -> None: ...

class Sighting(_message.Message):
    __slots__ = ("number", "text")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    number: int
    text: str
    def __init__(self, number: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("crates", "weight_kg")
    CRATES_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_KG_FIELD_NUMBER: _ClassVar[int]
    crates: int
    weight_kg: int
    def __init__(self, crates: _Optional[int] = ..., weight_kg: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("code", "details", "status_details")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    STATUS_DETAILS_FIELD_NUMBER: _ClassVar[int]
    code: int
    details: str
    status_details: _containers.RepeatedCompositeFieldContainer[_any_pb2.Any]
    def __init__(self, code: _Optional[int] = ..., details: _Optional[str] = ..., status_details: _Optional[_Iterable[_Union[_any_pb2.Any, _Mapping]]] = ...) -> None: ...
