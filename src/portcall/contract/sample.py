"""What a message looks like in JSON: one value in every field, of which a person has only to change some."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from portcall.contract.documents import JsonValue
from portcall.contract.from_json import ANY, VALUE, WRAPPERS
from portcall.contract.scalars import KINDS, NULL_VALUE, write_key

DEPTH_MAX: Final = 4
"""How deep messages are filled in; some hundred types that hold each other would fill books."""

SPECIAL: Mapping[str, JsonValue] = MappingProxyType(
    {
        ANY: {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": ""},
        VALUE: None,
        "google.protobuf.Struct": {},
        "google.protobuf.ListValue": [],
        "google.protobuf.Timestamp": "2026-01-31T09:30:00Z",
        "google.protobuf.Duration": "1.5s",
        "google.protobuf.FieldMask": "",
    }
)


def sample(kind: Descriptor, _above: tuple[Descriptor, ...] = ()) -> JsonValue:
    """Return JSON that fits the message. Of a oneof it has the first field; what holds itself is left out."""
    if kind.full_name in SPECIAL:
        return SPECIAL[kind.full_name]
    if kind.full_name in WRAPPERS:
        return _single(kind.fields_by_name["value"], ())
    above = (*_above, kind)
    return {
        field.json_name: _field(field, above)
        for field in kind.fields
        if _is_first_of_its_oneof(field) and not _is_too_deep(field, above)
    }


def _field(field: FieldDescriptor, above: tuple[Descriptor, ...]) -> JsonValue:
    if not field.is_repeated:
        return _single(field, above)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return {_key(key): _single(value, above)}
    return [_single(field, above)]


def _single(field: FieldDescriptor, above: tuple[Descriptor, ...]) -> JsonValue:
    if field.message_type is not None:
        return sample(field.message_type, above)
    if field.enum_type is not None:
        return None if field.enum_type.full_name == NULL_VALUE else field.enum_type.values[0].name
    return KINDS[field.type].sample


def _key(field: FieldDescriptor) -> str:
    value = KINDS[field.type].sample
    assert isinstance(value, str | int)
    return write_key(value)


def _is_first_of_its_oneof(field: FieldDescriptor) -> bool:
    return field.containing_oneof is None or field.containing_oneof.fields[0] is field


def _is_too_deep(field: FieldDescriptor, above: tuple[Descriptor, ...]) -> bool:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        kind = kind.fields_by_name["value"].message_type
    return kind is not None and (kind in above or len(above) > DEPTH_MAX)
