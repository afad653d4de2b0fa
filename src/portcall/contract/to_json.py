"""JSON (ProtoJSON) from messages: equal text for equal messages, since maps are sorted by their keys.

An Any whose type is not known keeps its bytes instead of spoiling all the rest.
"""

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from portcall.contract.catalog import Catalog
from portcall.contract.documents import JsonValue
from portcall.contract.from_json import ANY, RAW_KEY, TEXTS, VALUE, WRAPPERS
from portcall.contract.scalars import SAME_IN_JSON, write_key, write_scalar
from portcall.errors import PortcallError


class JsonWriteError(PortcallError):
    """A message that has no JSON form, such as a time after the year 9999. Blames whoever sent it."""


class JsonWriter:
    """Writes messages; what an Any holds is looked up in one catalog."""

    def __init__(self, catalog: Catalog, *, emit_defaults: bool = False) -> None:
        self._catalog = catalog
        self._emits_defaults = emit_defaults
        self._special: Mapping[str, Callable[[Any], JsonValue]] = {
            ANY: self._any,
            VALUE: self._value,
            "google.protobuf.Struct": self._struct,
            "google.protobuf.ListValue": self._list,
            **dict.fromkeys(WRAPPERS, self._wrapper),
            **dict.fromkeys(TEXTS, self._text),
        }
        self.unknown_types: set[str] = set()
        """Types that some Any had and the catalog did not. A caller may add them and write again."""

    def write(self, message: Message) -> JsonValue:
        """Return what the message says.

        Raises:
            JsonWriteError: it has a value for which JSON has no form.
        """
        try:
            return self._message(message)
        except ValueError as error:
            raise JsonWriteError(f"a {message.DESCRIPTOR.full_name} that JSON cannot say: {error}") from None

    def _message(self, message: Any) -> JsonValue:
        write = self._special.get(message.DESCRIPTOR.full_name)
        return write(message) if write is not None else self._fields(message)

    def _fields(self, message: Any) -> dict[str, JsonValue]:
        pairs = message.ListFields()
        if self._emits_defaults:
            given = {field.number for field, _ in pairs}
            absent = [
                field for field in message.DESCRIPTOR.fields if not field.has_presence and field.number not in given
            ]
            pairs = sorted([*pairs, *((field, getattr(message, field.name)) for field in absent)], key=_number)
        return {
            f"[{field.full_name}]" if field.is_extension else field.json_name: self._field(field, value)
            for field, value in pairs
        }

    def _field(self, field: FieldDescriptor, value: Any) -> JsonValue:
        if not field.is_repeated:
            return self._single(field, value)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value_field = field.message_type.fields_by_name["value"]
            return {write_key(key): self._single(value_field, value[key]) for key in sorted(value)}
        return [self._single(field, item) for item in value]

    def _single(self, field: FieldDescriptor, value: Any) -> JsonValue:
        if field.type in SAME_IN_JSON:
            return cast("JsonValue", value)
        return self._message(value) if field.message_type is not None else write_scalar(field, value)

    def _any(self, message: Any) -> JsonValue:
        if not message.type_url and not message.value:
            return {}
        made: dict[str, JsonValue] = {"@type": message.type_url}
        name = message.type_url.rpartition("/")[2]
        inner = self._unpacked(name, message.value)
        if inner is None:
            return made | {RAW_KEY: base64.b64encode(message.value).decode()}
        if name in self._special:
            return made | {"value": self._message(inner)}
        return made | self._fields(inner)

    def _unpacked(self, name: str, content: bytes) -> Message | None:
        kind = self._catalog.message(name)
        if kind is None:
            self.unknown_types.add(name)
            return None
        try:
            inner: Message = GetMessageClass(kind).FromString(content)
        except DecodeError:
            return None
        return inner

    def _wrapper(self, message: Any) -> JsonValue:
        return write_scalar(message.DESCRIPTOR.fields_by_name["value"], message.value)

    def _text(self, message: Any) -> JsonValue:
        text: str = message.ToJsonString()
        return text

    def _value(self, message: Any) -> JsonValue:
        which = message.WhichOneof("kind")
        if which is None:
            return None
        if which == "number_value" and not math.isfinite(message.number_value):
            raise ValueError(f"{message.number_value} in a google.protobuf.Value")
        return self._single(message.DESCRIPTOR.fields_by_name[which], getattr(message, which))

    def _struct(self, message: Any) -> JsonValue:
        return {key: self._value(message.fields[key]) for key in sorted(message.fields)}

    def _list(self, message: Any) -> JsonValue:
        return [self._value(item) for item in message.values]


def _number(pair: tuple[FieldDescriptor, Any]) -> int:
    return pair[0].number
