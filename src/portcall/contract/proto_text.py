"""Declarations as `.proto` text: what a person wrote, from what a compiler made of it.

All names of types are full ones, so that each can be asked for in turn. Comments are there if the descriptors have
them, which those of a running server rarely do. The compiler makes the same descriptors of the text again, but for the
order of what is nested, and for custom options whose files are not known.
"""

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Any, Final

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    Edition,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.text_encoding import CEscape

from portcall.contract.catalog import Catalog

Lines = Iterator[str]
Path = tuple[int, ...]

FIELD_NUMBER_END: Final = 536_870_912
ENUM_NUMBER_MAX: Final = 2_147_483_647

# The numbers of the fields that a path through a FileDescriptorProto is made of.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE, FILE_EXTENSION = 4, 5, 6, 7
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM, MESSAGE_EXTENSION, MESSAGE_ONEOF = 2, 3, 4, 6, 8
ENUM_VALUE = SERVICE_METHOD = 2

TYPES = MappingProxyType(
    {
        number: name.removeprefix("TYPE_").lower()
        for name, number in FieldDescriptorProto.Type.items()
        if name not in {"TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP"}
    }
)
TEXT_TYPES = frozenset({FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BYTES})


class ProtoText:
    """Writes what one file declares. Custom options are written if the catalog knows them."""

    def __init__(self, file: FileDescriptorProto, catalog: Catalog) -> None:
        self._file = file
        self._catalog = catalog
        self._comments = {tuple(location.path): location for location in file.source_code_info.location}
        self._is_proto2 = file.syntax in {"", "proto2"}

    def file(self) -> str:
        """Return the whole file."""
        file = self._file
        kinds = dict.fromkeys(file.public_dependency, "public ") | dict.fromkeys(file.weak_dependency, "weak ")
        parts = [
            [f'edition = "{Edition.Name(file.edition).removeprefix("EDITION_")}";']
            if file.syntax == "editions"
            else [f'syntax = "{file.syntax or "proto2"}";'],
            [f"package {file.package};"] if file.package else [],
            [f'import {kinds.get(index, "")}"{name}";' for index, name in enumerate(file.dependency)],
            [f"option {option};" for option in self._options(file.options)],
            *self._declarations(),
        ]
        return "\n\n".join("\n".join(part) for part in parts if part)

    def declaration(self, name: str) -> str | None:
        """Return a message, enum, service or extension by its full name, or None if the file does not declare it."""
        for full_name, lines in self._named(self._file, self._file.package, ()):
            if full_name == name:
                return "\n".join(lines)
        return None

    def method(self, service: str, name: str) -> str | None:
        """Return one method of a service."""
        prefix = f"{self._file.package}." if self._file.package else ""
        for index, declared in enumerate(self._file.service):
            for number, method in enumerate(declared.method):
                if prefix + declared.name == service and method.name == name:
                    return "\n".join(self._method(method, (FILE_SERVICE, index, SERVICE_METHOD, number)))
        return None

    def _declarations(self) -> Iterator[list[str]]:
        file = self._file
        yield from ([*self._enum(enum, (FILE_ENUM, index))] for index, enum in enumerate(file.enum_type))
        yield from ([*self._message(made, (FILE_MESSAGE, index))] for index, made in enumerate(file.message_type))
        yield from ([*self._service(made, (FILE_SERVICE, index))] for index, made in enumerate(file.service))
        yield list(self._extensions(file.extension, (FILE_EXTENSION,)))

    def _named(
        self, scope: FileDescriptorProto | DescriptorProto, name: str, path: Path
    ) -> Iterator[tuple[str, Lines]]:
        """Yield all declarations in a scope with their full names. Lines are made when they are asked for."""
        prefix = f"{name}." if name else ""
        if isinstance(scope, FileDescriptorProto):
            messages, enums, extensions = (*path, FILE_MESSAGE), (*path, FILE_ENUM), (*path, FILE_EXTENSION)
        else:
            messages, enums, extensions = (*path, MESSAGE_NESTED), (*path, MESSAGE_ENUM), (*path, MESSAGE_EXTENSION)
        for index, enum in enumerate(scope.enum_type):
            yield prefix + enum.name, self._enum(enum, (*enums, index))
        for index, message in enumerate(_messages(scope)):
            yield prefix + message.name, self._message(message, (*messages, index))
            yield from self._named(message, prefix + message.name, (*messages, index))
        for extension in scope.extension:
            yield prefix + extension.name, self._extensions([extension], extensions)
        if isinstance(scope, FileDescriptorProto):
            for index, service in enumerate(scope.service):
                yield prefix + service.name, self._service(service, (FILE_SERVICE, index))

    def _message(self, message: DescriptorProto, path: Path) -> Lines:
        yield from self._comment(path)
        yield f"message {message.name} {{"
        yield from _indented(self._body(message, path))
        yield "}"

    def _body(self, message: DescriptorProto, path: Path) -> Lines:
        yield from (f"option {option};" for option in self._options(message.options, "map_entry"))
        groups = {
            field.type_name.rpartition(".")[2] for field in (*message.field, *message.extension) if _is_group(field)
        }
        for index, enum in enumerate(message.enum_type):
            yield from self._enum(enum, (*path, MESSAGE_ENUM, index))
        for index, nested in enumerate(message.nested_type):
            if not nested.options.map_entry and nested.name not in groups:
                yield from self._message(nested, (*path, MESSAGE_NESTED, index))
        yield from self._fields(message, path)
        yield from self._ranges(message)
        yield from _reserved(
            [(entry.start, entry.end - 1) for entry in message.reserved_range],
            message.reserved_name,
            FIELD_NUMBER_END - 1,
            is_quoted=self._file.syntax != "editions",
        )
        yield from self._extensions(message.extension, (*path, MESSAGE_EXTENSION), message)

    def _fields(self, message: DescriptorProto, path: Path) -> Lines:
        begun: set[int] = set()
        for index, field in enumerate(message.field):
            if not _is_choice(field):
                yield from self._field(field, (*path, MESSAGE_FIELD, index), message)
            elif field.oneof_index not in begun:
                begun.add(field.oneof_index)
                yield from self._oneof(message, field.oneof_index, path)

    def _oneof(self, message: DescriptorProto, number: int, path: Path) -> Lines:
        oneof = message.oneof_decl[number]
        yield from self._comment((*path, MESSAGE_ONEOF, number))
        yield f"oneof {oneof.name} {{"
        yield from (f"  option {option};" for option in self._options(oneof.options))
        for index, field in enumerate(message.field):
            if _is_choice(field) and field.oneof_index == number:
                yield from _indented(self._field(field, (*path, MESSAGE_FIELD, index), message))
        yield "}"

    def _field(self, field: FieldDescriptorProto, path: Path, scope: DescriptorProto | None) -> Lines:
        yield from self._comment(path)
        beside = list(_messages(self._file if scope is None else scope))
        index, made = next(
            ((index, nested) for index, nested in enumerate(beside) if nested.name == _last(field.type_name)), (0, None)
        )
        tail = f" = {field.number}{_bracketed(self._field_options(field))}"
        if _is_group(field) and made is not None:
            yield f"{self._label(field)}group {made.name}{tail} {{"
            place = (*path[:-2], FILE_MESSAGE if scope is None else MESSAGE_NESTED, index)
            yield from _indented(self._body(made, place))
            yield "}"
        elif made is not None and made.options.map_entry and field.type_name.count(".") > 1:
            key, value = made.field
            yield f"map<{_type(key)}, {_type(value)}> {field.name}{tail};"
        else:
            yield f"{self._label(field)}{_type(field)} {field.name}{tail};"

    def _label(self, field: FieldDescriptorProto) -> str:
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return "repeated "
        if field.label == FieldDescriptorProto.LABEL_REQUIRED:
            return "required "
        return "optional " if field.proto3_optional or (self._is_proto2 and not _is_choice(field)) else ""

    def _field_options(self, field: FieldDescriptorProto) -> Lines:
        if field.HasField("default_value"):
            yield f"default = {_default(field)}"
        if field.json_name not in {"", _camel_case(field.name)}:
            yield f"json_name = {_quoted(field.json_name)}"
        yield from self._options(field.options)

    def _extensions(
        self, extensions: Iterable[FieldDescriptorProto], path: Path, scope: DescriptorProto | None = None
    ) -> Lines:
        extendee = ""
        for index, field in enumerate(extensions):
            if field.extendee != extendee:
                if extendee:
                    yield "}"
                extendee = field.extendee
                yield f"extend {extendee.removeprefix('.')} {{"
            yield from _indented(self._field(field, (*path, index), scope))
        if extendee:
            yield "}"

    def _ranges(self, message: DescriptorProto) -> Lines:
        for entry in message.extension_range:
            span = _span(entry.start, entry.end - 1, FIELD_NUMBER_END - 1)
            yield f"extensions {span}{_bracketed(self._options(entry.options))};"

    def _enum(self, enum: EnumDescriptorProto, path: Path) -> Lines:
        yield from self._comment(path)
        yield f"enum {enum.name} {{"
        yield from (f"  option {option};" for option in self._options(enum.options))
        for index, value in enumerate(enum.value):
            yield from _indented(self._comment((*path, ENUM_VALUE, index)))
            yield f"  {value.name} = {value.number}{_bracketed(self._options(value.options))};"
        ranges = [(entry.start, entry.end) for entry in enum.reserved_range]
        is_quoted = self._file.syntax != "editions"
        yield from _indented(_reserved(ranges, enum.reserved_name, ENUM_NUMBER_MAX, is_quoted=is_quoted))
        yield "}"

    def _service(self, service: ServiceDescriptorProto, path: Path) -> Lines:
        yield from self._comment(path)
        yield f"service {service.name} {{"
        yield from (f"  option {option};" for option in self._options(service.options))
        for index, method in enumerate(service.method):
            yield from _indented(self._method(method, (*path, SERVICE_METHOD, index)))
        yield "}"

    def _method(self, method: MethodDescriptorProto, path: Path) -> Lines:
        yield from self._comment(path)
        request = f"{'stream ' if method.client_streaming else ''}{method.input_type.removeprefix('.')}"
        reply = f"{'stream ' if method.server_streaming else ''}{method.output_type.removeprefix('.')}"
        options = [f"  option {option};" for option in self._options(method.options)]
        yield f"rpc {method.name}({request}) returns ({reply}){' {' if options else ';'}"
        if options:
            yield from options
            yield "}"

    def _comment(self, path: Path) -> Lines:
        location = self._comments.get(path)
        if location is not None:
            for text in (location.leading_comments, location.trailing_comments):
                yield from (f"//{line.rstrip()}" for line in text.removesuffix("\n").split("\n") if text)

    def _options(self, options: Message, *without: str) -> Lines:
        """Yield options as they are set: "name = value"."""
        kind = self._catalog.message(options.DESCRIPTOR.full_name)
        if kind is not None:  # the catalog's own, which knows the options that its files add
            options = GetMessageClass(kind).FromString(options.SerializeToString())
        for field, value in options.ListFields():
            name = f"({field.full_name})" if field.is_extension else field.name
            if name not in without:
                yield from (f"{name} = {_constant(field, one)}" for one in (value if field.is_repeated else [value]))


def _indented(lines: Iterable[str]) -> Lines:
    return (f"  {line}" for line in lines)


def _bracketed(options: Iterable[str]) -> str:
    joined = ", ".join(options)
    return f" [{joined}]" if joined else ""


def _quoted(value: str | bytes) -> str:
    text = value if isinstance(value, bytes) else value.encode()
    return f'"{CEscape(text, as_utf8=isinstance(value, str))}"'


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _messages(scope: FileDescriptorProto | DescriptorProto) -> Iterable[DescriptorProto]:
    return scope.message_type if isinstance(scope, FileDescriptorProto) else scope.nested_type


def _is_group(field: FieldDescriptorProto) -> bool:
    return field.type == FieldDescriptorProto.TYPE_GROUP


def _is_choice(field: FieldDescriptorProto) -> bool:
    """Whether a field belongs to a oneof that somebody wrote; one of `optional` alone nobody did."""
    return field.HasField("oneof_index") and not field.proto3_optional


def _type(field: FieldDescriptorProto) -> str:
    return field.type_name.removeprefix(".") or TYPES[field.type]


def _default(field: FieldDescriptorProto) -> str:
    if field.type == FieldDescriptorProto.TYPE_STRING:
        return _quoted(field.default_value)
    return f'"{field.default_value}"' if field.type == FieldDescriptorProto.TYPE_BYTES else field.default_value


def _constant(field: FieldDescriptor, value: Any) -> str:
    if field.message_type is not None:
        text = text_format.MessageToString(value, as_one_line=True)
        return f"{{ {text} }}" if text else "{}"
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    if field.type in TEXT_TYPES:
        return _quoted(value)
    return str(value).lower()


def _reserved(ranges: Iterable[tuple[int, int]], names: Iterable[str], end: int, *, is_quoted: bool) -> Lines:
    spans = ", ".join(_span(first, last, end) for first, last in ranges)
    shown = ", ".join(f'"{name}"' if is_quoted else name for name in names)
    yield from (f"reserved {entries};" for entries in (spans, shown) if entries)


def _span(first: int, last: int, end: int) -> str:
    return str(first) if first == last else f"{first} to {'max' if last == end else last}"


def _camel_case(name: str) -> str:
    """Return the JSON name that protoc gives a field."""
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)
