"""The field of a request by whose values jobs take turns and are limited."""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from portcall.core.jobs.batch import UNSORTED
from portcall.core.jobs.policy import PolicyError

VALUE_LENGTH_MAX = 256
"""Longer values are cut: beyond it, values that begin alike share their turns and limits."""

_TYPES = frozenset(
    {
        FieldDescriptor.CPPTYPE_STRING,
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_BOOL,
        FieldDescriptor.CPPTYPE_ENUM,
    }
)


class UnreadableRequestError(PolicyError):
    """A request is not a message of its method. Blames the submitter."""


def value_reader(request: Descriptor, path: str) -> Callable[[bytes], str]:
    """Return what reads the value at a path ("site", "page.site") out of serialised requests.

    A field that is not set has its default value, which is a value like any other. The one value that a store keeps for
    itself (`UNSORTED`) counts as the empty one.

    Raises:
        PolicyError: the message has no such field, or it cannot be one to go by.
        UnreadableRequestError: raised by the reader, for bytes that are no such message.
    """
    names = path.split(".")
    _check_path(request, names)
    *parents, last = names
    message_class = GetMessageClass(request)

    def read(serialised: bytes) -> str:
        message: Any = message_class()
        try:
            message.ParseFromString(serialised)
        except DecodeError:
            raise UnreadableRequestError(f"the request is not a {request.full_name}") from None
        for name in parents:
            message = getattr(message, name)
        value = str(getattr(message, last))[:VALUE_LENGTH_MAX]
        return value if value != UNSORTED else ""

    return read


def _check_path(request: Descriptor, names: list[str]) -> None:
    message: Descriptor | None = request
    for number, name in enumerate(names):
        assert message is not None
        field = message.fields_by_name.get(name)
        if field is None:
            known = ", ".join(sorted(message.fields_by_name)) or "none"
            raise PolicyError(
                f"by.field is {'.'.join(names)!r}, but {message.full_name} has no field {name!r}; it has {known}"
            )
        is_last = number == len(names) - 1
        if field.is_repeated or (not is_last and field.message_type is None):
            raise PolicyError(
                f"by.field is {'.'.join(names)!r}, but {field.full_name} is not a single {_wanted(is_last)}"
            )
        if is_last and (field.cpp_type not in _TYPES or field.type == FieldDescriptor.TYPE_BYTES):
            raise PolicyError(
                f"by.field is {'.'.join(names)!r}, but {field.full_name} is not a single {_wanted(is_last)}"
            )
        message = field.message_type


def _wanted(is_last: bool) -> str:
    return "string, integer, bool or enum" if is_last else "message"
