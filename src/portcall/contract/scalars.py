"""The scalar values of protobuf and their JSON forms, both ways, by the ProtoJSON rules and no more leniently.

`google.protobuf.json_format` has the same rules but also takes "1_000" for an integer and drops what is not base64
from bytes without a word; its errors do not say what should have stood there.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from portcall.contract.catalog import nearest
from portcall.contract.documents import JsonValue

Scalar: TypeAlias = "str | bytes | int | float | bool"

NULL_VALUE: Final = "google.protobuf.NullValue"
ENUM_NAMES_SHOWN: Final = 8

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_FLOATS_BY_NAME = MappingProxyType({"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf})
_FLOAT_DIGITS_MIN: Final = 6
_FLOAT_DIGITS_ENOUGH: Final = 9


class ScalarKind(NamedTuple):
    """How a value is read, and what to ask for where it cannot be."""

    read: Callable[[JsonValue], Scalar]
    expected: str
    sample: JsonValue


def read_scalar(field: FieldDescriptor, value: JsonValue) -> Scalar:
    """Return the value of a scalar or enum field (or of one element of it).

    Raises:
        ValueError: it is none; the message says what it should be.
    """
    if field.enum_type is not None:
        return _read_enum(field.enum_type, value)
    kind = KINDS[field.type]
    try:
        return kind.read(value)
    except (ValueError, OverflowError):
        raise ValueError(f"should be {kind.expected}") from None


def read_key(field: FieldDescriptor, key: str) -> Scalar:
    """Return the key of a map, which JSON has as text whatever its type.

    Raises:
        ValueError: it is none; the message says what it should be.
    """
    if field.type == FieldDescriptor.TYPE_BOOL:
        if key not in {"true", "false"}:
            raise ValueError('should be "true" or "false"')
        return key == "true"
    return read_scalar(field, key)


def write_scalar(field: FieldDescriptor, value: Scalar) -> JsonValue:
    """Return the JSON form of a scalar or enum field's value (or of one element of it)."""
    kind = field.type
    if kind in _WIDE_INTEGERS:
        return str(value)
    if field.enum_type is not None:
        return _write_enum(field.enum_type, value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return _write_float(value, is_single=kind == FieldDescriptor.TYPE_FLOAT)
    return value


def write_key(key: Scalar) -> str:
    """Return the key of a map as text."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def read_base64(text: JsonValue) -> bytes:
    """Return the bytes of base64 text, of either alphabet, padded or not.

    Raises:
        ValueError: it is not base64.
    """
    if not isinstance(text, str) or not _BASE64.fullmatch(text):
        raise ValueError(text)
    bare = text.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        raise ValueError(text) from None


def _integer(low: int, high: int) -> Callable[[JsonValue], int]:
    def read(value: JsonValue) -> int:
        number = _number(value)
        if number != math.floor(number) or not low <= number <= high:
            raise ValueError(value)
        return int(number)

    return read


def _number(value: JsonValue) -> int | float:
    """Read a number, or the text of one."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)  # noqa: TRY004  # one error for all that is not a value of the kind
    return value


def _read_double(value: JsonValue) -> float:
    if isinstance(value, str) and value in _FLOATS_BY_NAME:
        return _FLOATS_BY_NAME[value]
    number = float(_number(value))
    if math.isinf(number):  # too large a number, which Python reads as this
        raise ValueError(value)
    return number


def _read_float(value: JsonValue) -> float:
    number = _read_double(value)
    struct.pack("<f", number)  # which refuses what is too large, as native packing ("f") does not
    return number


def _read_bool(value: JsonValue) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004  # as above
    return value


def _read_string(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004  # as above
    value.encode()  # half a surrogate pair, which JSON can write, is no text
    return value


def _read_enum(enum: EnumDescriptor, value: JsonValue) -> int:
    if isinstance(value, str) and value in enum.values_by_name:
        return enum.values_by_name[value].number
    if value is None and enum.full_name == NULL_VALUE:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        is_open = not enum.is_closed and -(2**31) <= value < 2**31
        if is_open or value in enum.values_by_number:
            return value
    names = list(enum.values_by_name)
    meant = nearest(value, names) if isinstance(value, str) else None
    shown = ", ".join(names[:ENUM_NAMES_SHOWN]) + (", ..." if len(names) > ENUM_NAMES_SHOWN else "")
    raise ValueError(f"should be a {enum.full_name} ({f'did you mean {meant}?' if meant else shown})")


def _write_enum(enum: EnumDescriptor, value: Scalar) -> JsonValue:
    if enum.full_name == NULL_VALUE:
        return None
    assert isinstance(value, int)
    known = enum.values_by_number.get(value)
    return known.name if known is not None else value


def _write_float(value: float, *, is_single: bool) -> JsonValue:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if not is_single:
        return value
    bits = struct.pack("<f", value)
    shorter = (float(f"{value:.{digits}g}") for digits in range(_FLOAT_DIGITS_MIN, _FLOAT_DIGITS_ENOUGH))
    return next((number for number in shorter if struct.pack("<f", number) == bits), float(f"{value:.9g}"))


_WIDE_INTEGERS = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)

SAME_IN_JSON = frozenset(
    {
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_FIXED32,
        FieldDescriptor.TYPE_SFIXED32,
    }
)
"""Most fields there are. Their values need no writing."""

_INT32 = ScalarKind(_integer(-(2**31), 2**31 - 1), "a whole number from -2147483648 to 2147483647", 0)
_UINT32 = ScalarKind(_integer(0, 2**32 - 1), "a whole number from 0 to 4294967295", 0)
_INT64 = ScalarKind(_integer(-(2**63), 2**63 - 1), "a whole number of 64 bits", "0")
_UINT64 = ScalarKind(_integer(0, 2**64 - 1), "a whole number of 64 bits, 0 or more", "0")
_A_NUMBER = 'a number, "NaN", "Infinity" or "-Infinity"'

KINDS = MappingProxyType(
    {
        FieldDescriptor.TYPE_INT32: _INT32,
        FieldDescriptor.TYPE_SINT32: _INT32,
        FieldDescriptor.TYPE_SFIXED32: _INT32,
        FieldDescriptor.TYPE_UINT32: _UINT32,
        FieldDescriptor.TYPE_FIXED32: _UINT32,
        FieldDescriptor.TYPE_INT64: _INT64,
        FieldDescriptor.TYPE_SINT64: _INT64,
        FieldDescriptor.TYPE_SFIXED64: _INT64,
        FieldDescriptor.TYPE_UINT64: _UINT64,
        FieldDescriptor.TYPE_FIXED64: _UINT64,
        FieldDescriptor.TYPE_DOUBLE: ScalarKind(_read_double, _A_NUMBER, 0.0),
        FieldDescriptor.TYPE_FLOAT: ScalarKind(_read_float, f"{_A_NUMBER}, within the range of a float", 0.0),
        FieldDescriptor.TYPE_BOOL: ScalarKind(_read_bool, "true or false", False),
        FieldDescriptor.TYPE_STRING: ScalarKind(_read_string, "a string", ""),
        FieldDescriptor.TYPE_BYTES: ScalarKind(read_base64, "a string of base64", ""),
    }
)
