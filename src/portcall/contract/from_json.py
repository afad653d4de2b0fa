"""Messages from JSON (ProtoJSON), with errors that say which value, what it should be and what it is."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from portcall.contract.catalog import Catalog, nearest
from portcall.contract.documents import JsonValue, encode
from portcall.contract.scalars import NULL_VALUE, read_base64, read_key, read_scalar
from portcall.errors import PortcallError

DEPTH_MAX: Final = 100
"""How deep messages may be nested in JSON; protobuf's own parsers take no more."""

SHOWN_CHARS_MAX: Final = 60
FIELDS_SHOWN: Final = 8

WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)

ANY: Final = "google.protobuf.Any"
VALUE: Final = "google.protobuf.Value"
RAW_KEY: Final = "@value"
"""Where an Any of a type that nobody describes has its bytes, as base64. No field can have this name."""

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "google.protobuf.Timestamp": 'a time, as "2026-01-31T09:30:00Z"',
        "google.protobuf.Duration": 'a duration in seconds, as "1.5s"',
        "google.protobuf.FieldMask": 'names of fields, as "name,homePort.country"',
    }
)
"""The messages that JSON has as text, and what to ask for."""


class JsonMismatchError(PortcallError):
    """JSON that does not fit its message. Blames whoever wrote it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def __str__(self) -> str:
        """Say what is wrong, and where."""
        return self.said_of("the message")

    def said_of(self, subject: str) -> str:
        """Return the same words with another name for the whole."""
        return f"{subject}: {self.path} {self.reason}" if self.path else f"{subject} {self.reason}"

    def within(self, part: str) -> "JsonMismatchError":
        """Return the error as it is known one level further out: in "field", at "[3]" or at '["key"]'."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{part}{dot}{self.path}"
        return self


class UnknownTypeError(JsonMismatchError):
    """An Any says a type that the catalog does not have. A caller may add it and try again."""

    def __init__(self, name: str) -> None:
        super().__init__(f"says a type that nothing describes: {name}")
        self.name = name


class JsonReader:
    """Makes messages of the types in one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._special: Mapping[str, Callable[[Any, JsonValue, int], None]] = {
            ANY: self._fill_any,
            VALUE: self._fill_value,
            "google.protobuf.Struct": self._fill_struct,
            "google.protobuf.ListValue": self._fill_list,
            **dict.fromkeys(WRAPPERS, self._fill_wrapper),
            **dict.fromkeys(TEXTS, self._fill_text),
        }
        self._fields: dict[Descriptor, dict[str, FieldDescriptor]] = {}

    def read(self, value: JsonValue, kind: Descriptor) -> Message:
        """Return the message that the JSON value says.

        Raises:
            UnknownTypeError: an Any has a type that the catalog does not know.
            JsonMismatchError: the value does not fit.
        """
        message: Any = GetMessageClass(kind)()
        self._fill(message, value, 1)
        if not message.IsInitialized():
            names = ", ".join(message.FindInitializationErrors())
            raise JsonMismatchError(f"lacks what {kind.full_name} requires: {names}")
        return cast("Message", message)

    def _fill(self, message: Any, value: JsonValue, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise JsonMismatchError(f"is nested deeper than {DEPTH_MAX} messages")
        fill = self._special.get(message.DESCRIPTOR.full_name, self._fill_fields)
        fill(message, value, depth)

    def _fill_fields(self, message: Any, value: JsonValue, depth: int) -> None:
        kind: Descriptor = message.DESCRIPTOR
        if not isinstance(value, dict):
            raise _mismatch(f"should be an object, a {kind.full_name}", value)
        given: dict[str, str] = {}
        for name, item in value.items():
            field = self._field(kind, name)
            if item is not None:
                _refuse_second(given, field, name)
            try:
                self._set(message, field, item, depth)
            except JsonMismatchError as error:
                raise error.within(name) from None

    def _field(self, kind: Descriptor, name: str) -> FieldDescriptor:
        fields = self._fields.get(kind)
        if fields is None:
            by_name = {field.name: field for field in kind.fields}
            fields = self._fields[kind] = by_name | {field.json_name: field for field in kind.fields}
        if name in fields:
            return fields[name]
        if name.startswith("[") and name.endswith("]"):
            extension = self._catalog.extension(name[1:-1])
            if extension is not None and extension.containing_type is kind:
                return extension
        meant = nearest(name, [field.json_name for field in kind.fields])
        hint = f"; did you mean {json_text(meant)}?" if meant else _fields_there_are(kind)
        raise JsonMismatchError(f"has no field {json_text(name)}, being a {kind.full_name}{hint}")

    def _set(self, message: Any, field: FieldDescriptor, value: JsonValue, depth: int) -> None:
        if value is None and not _takes_null(field):
            return
        if field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._set_map(_value(message, field), field.message_type, value, depth)
        elif field.is_repeated:
            self._set_list(_value(message, field), field, value, depth)
        elif field.message_type is not None:
            inner = _value(message, field)
            inner.SetInParent()
            self._fill(inner, value, depth + 1)
        elif field.is_extension:
            message.Extensions[field] = _scalar(field, value)
        else:
            setattr(message, field.name, _scalar(field, value))

    def _set_list(self, target: Any, field: FieldDescriptor, value: JsonValue, depth: int) -> None:
        if not isinstance(value, list):
            raise _mismatch("should be a list", value)
        for index, item in enumerate(value):
            try:
                if item is None and not _takes_null(field):
                    raise _mismatch("should be no null, which lists cannot hold", item)
                if field.message_type is not None:
                    self._fill(target.add(), item, depth + 1)
                else:
                    target.append(_scalar(field, item))
            except JsonMismatchError as error:
                raise error.within(f"[{index}]") from None

    def _set_map(self, target: Any, entry: Descriptor, value: JsonValue, depth: int) -> None:
        if not isinstance(value, dict):
            raise _mismatch("should be an object, a map", value)
        key_field, value_field = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for key, item in value.items():
            try:
                made = read_key(key_field, key)
            except ValueError as error:
                raise JsonMismatchError(f"has the key {json_text(key)}, which {error}") from None
            try:
                if item is None and not _takes_null(value_field):
                    raise _mismatch("should be no null, which maps cannot hold", item)
                if value_field.message_type is not None:
                    inner = target[made]
                    self._fill(inner, item, depth + 1)
                else:
                    target[made] = _scalar(value_field, item)
            except JsonMismatchError as error:
                raise error.within(f"[{json_text(key)}]") from None

    def _fill_any(self, message: Any, value: JsonValue, depth: int) -> None:
        if value == {}:
            return
        if not isinstance(value, dict) or not isinstance(url := value.get("@type"), str):
            raise _mismatch('should be an object with an "@type", as {"@type": "type.googleapis.com/NAME", ...}', value)
        name = url.rpartition("/")[2]
        if name == url:
            raise JsonMismatchError(f'should say the "@type" as "type.googleapis.com/{name}"')
        rest = {key: item for key, item in value.items() if key != "@type"}
        message.type_url = url
        message.value = self._read_packed(name, rest, depth)

    def _read_packed(self, name: str, rest: dict[str, JsonValue], depth: int) -> bytes:
        """Return the bytes of what an Any holds; `rest` is its JSON without the type."""
        if rest.keys() == {RAW_KEY}:
            try:
                return read_base64(rest[RAW_KEY])
            except ValueError:
                raise _mismatch("should be a string of base64", rest[RAW_KEY]).within(RAW_KEY) from None
        kind = self._catalog.message(name)
        if kind is None:
            raise UnknownTypeError(name)
        inner = GetMessageClass(kind)()
        if name not in self._special:
            self._fill(inner, rest, depth + 1)
        elif rest.keys() == {"value"}:
            try:
                self._fill(inner, rest["value"], depth + 1)
            except JsonMismatchError as error:
                raise error.within("value") from None
        else:
            raise JsonMismatchError(f'should have the {name} as "value", and nothing else')
        return inner.SerializeToString()

    def _fill_wrapper(self, message: Any, value: JsonValue, _: int) -> None:
        message.value = _scalar(message.DESCRIPTOR.fields_by_name["value"], value)

    def _fill_text(self, message: Any, value: JsonValue, _: int) -> None:
        try:
            if not isinstance(value, str):
                raise ValueError(value)  # noqa: TRY004, TRY301  # one error for all that is not such a text
            message.FromJsonString(value)
        except (ValueError, OverflowError):
            raise _mismatch(f"should be {TEXTS[message.DESCRIPTOR.full_name]}", value) from None

    def _fill_value(self, message: Any, value: JsonValue, depth: int) -> None:
        match value:
            case None:
                message.null_value = 0
            case bool():
                message.bool_value = value
            case str():
                message.string_value = _scalar(message.DESCRIPTOR.fields_by_name["string_value"], value)
            case int() | float():
                message.number_value = _scalar(message.DESCRIPTOR.fields_by_name["number_value"], value)
            case list():
                message.list_value.SetInParent()
                self._fill(message.list_value, value, depth + 1)
            case dict():
                message.struct_value.SetInParent()
                self._fill(message.struct_value, value, depth + 1)

    def _fill_struct(self, message: Any, value: JsonValue, depth: int) -> None:
        self._set_map(message.fields, message.DESCRIPTOR.fields_by_name["fields"].message_type, value, depth)

    def _fill_list(self, message: Any, value: JsonValue, depth: int) -> None:
        self._set_list(message.values, message.DESCRIPTOR.fields_by_name["values"], value, depth)


def json_text(value: JsonValue) -> str:
    """Return JSON for an error's words, cut where it is long."""
    text = encode(value)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[: SHOWN_CHARS_MAX - 3]}..."


def _scalar(field: FieldDescriptor, value: JsonValue) -> Any:
    try:
        return read_scalar(field, value)
    except ValueError as error:
        raise _mismatch(str(error), value) from None


def _mismatch(reason: str, value: JsonValue) -> JsonMismatchError:
    return JsonMismatchError(f"{reason}, and is {json_text(value)}")


def _value(message: Any, field: FieldDescriptor) -> Any:
    return message.Extensions[field] if field.is_extension else getattr(message, field.name)


def _takes_null(field: FieldDescriptor) -> bool:
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in {VALUE, NULL_VALUE}


def _refuse_second(given: dict[str, str], field: FieldDescriptor, name: str) -> None:
    """Refuse a field under both of its names, and two of one oneof."""
    choice = field.containing_oneof
    key = field.full_name if choice is None else choice.full_name
    if key in given:
        rule = "are one field" if choice is None else f"exclude each other ({choice.name})"
        raise JsonMismatchError(f"has {json_text(given[key])} and {json_text(name)}, which {rule}")
    given[key] = name


def _fields_there_are(kind: Descriptor) -> str:
    names = [field.json_name for field in kind.fields]
    if not names:
        return ", which has none"
    return f", which has {', '.join(names[:FIELDS_SHOWN])}{', ...' if len(names) > FIELDS_SHOWN else ''}"
