"""Random messages of any type, for Hypothesis."""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

SECONDS_MAX = 253_402_300_799
"""The last second of the year 9999, after which JSON has no times."""

SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


def messages(kind: Descriptor, *, held: Descriptor, depth: int = 2) -> st.SearchStrategy[Any]:
    """Messages of a type; `held` is what an Any in it holds."""
    if kind.full_name in SPECIAL:
        return SPECIAL[kind.full_name](kind, held)
    fields = {field.name: _field(field, held, depth) for field in kind.fields if depth or field.message_type is None}
    chosen = st.sets(st.sampled_from(sorted(fields)), max_size=6) if fields else st.just(set[str]())
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in names})).map(
        lambda values: _made(kind, values)
    )


def _made(kind: Descriptor, values: dict[str, Any]) -> Message:
    made: Any = GetMessageClass(kind)()
    for name, value in values.items():
        field = kind.fields_by_name[name]
        target = getattr(made, name)
        if field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key, item in value.items():
                if isinstance(item, Message):
                    target[key].CopyFrom(item)
                else:
                    target[key] = item
        elif field.is_repeated:
            target.extend(value)
        elif field.message_type is not None:
            target.CopyFrom(value)
        else:
            setattr(made, name, value)
    return made


def _field(field: FieldDescriptor, held: Descriptor, depth: int) -> st.SearchStrategy[Any]:
    if not field.is_repeated:
        return _single(field, held, depth)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_single(key, held, depth), _single(value, held, depth), max_size=2)
    return st.lists(_single(field, held, depth), max_size=2)


def _single(field: FieldDescriptor, held: Descriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return st.deferred(lambda: messages(field.message_type, held=held, depth=depth - 1))
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=10)
    return SCALARS.get(field.cpp_type, TEXT)


def _any(kind: Descriptor, held: Descriptor) -> st.SearchStrategy[Any]:
    def pack(inner: Message) -> Message:
        made: Any = GetMessageClass(kind)()
        made.Pack(inner)
        return made

    return messages(held, held=held, depth=0).map(pack)


def _spans(low: int, high: int) -> Callable[[Descriptor, Descriptor], st.SearchStrategy[Any]]:
    def spans(kind: Descriptor, _: Descriptor) -> st.SearchStrategy[Any]:
        make: Any = GetMessageClass(kind)
        pairs = st.tuples(st.integers(low, high), st.integers(0, 999_999_999))
        return pairs.map(lambda pair: make(seconds=pair[0], nanos=pair[1] if pair[0] >= low else -pair[1]))

    return spans


def _mask(kind: Descriptor, _: Descriptor) -> st.SearchStrategy[Any]:
    make: Any = GetMessageClass(kind)
    paths = st.lists(st.from_regex(r"[a-z]{1,4}(_[a-z]{1,3})?(\.[a-z]{1,4})?", fullmatch=True), max_size=3)
    return paths.map(lambda names: make(paths=names))


def _parsed(kind: Descriptor, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values.map(lambda value: ParseDict(value, GetMessageClass(kind)()))


SPECIAL: dict[str, Callable[[Descriptor, Descriptor], st.SearchStrategy[Any]]] = {
    "google.protobuf.Any": _any,
    "google.protobuf.Timestamp": _spans(-62_135_596_800, SECONDS_MAX),
    "google.protobuf.Duration": _spans(0, 315_576_000_000),
    "google.protobuf.FieldMask": _mask,
    "google.protobuf.Struct": lambda kind, _: _parsed(kind, st.dictionaries(TEXT, JSON, max_size=3)),
    "google.protobuf.Value": lambda kind, _: _parsed(kind, JSON),
    "google.protobuf.ListValue": lambda kind, _: _parsed(kind, st.lists(JSON, max_size=3)),
}
