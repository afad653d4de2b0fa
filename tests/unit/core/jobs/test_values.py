"""The field of a request by which jobs take turns."""

import pytest
from google.protobuf import descriptor_pb2

from portcall.core.jobs.policy import PolicyError
from portcall.core.jobs.values import VALUE_LENGTH_MAX, UnreadableRequestError, value_reader

METHOD = descriptor_pb2.MethodDescriptorProto
FIELD = descriptor_pb2.FieldDescriptorProto


@pytest.mark.parametrize(
    ("message", "path", "value"),
    [
        (METHOD(name="é"), "name", "é"),
        (METHOD(), "name", ""),
        (METHOD(client_streaming=True), "client_streaming", "True"),
        (METHOD(), "client_streaming", "False"),
        (FIELD(number=-5), "number", "-5"),
        (FIELD(type=FIELD.TYPE_BYTES), "type", "12"),
        (METHOD(options={"deprecated": True}), "options.deprecated", "True"),
        (METHOD(), "options.deprecated", "False"),
        (METHOD(name="x" * 1_000), "name", "x" * VALUE_LENGTH_MAX),
    ],
)
def test_the_value_is_read(message: METHOD | FIELD, path: str, value: str) -> None:
    assert value_reader(message.DESCRIPTOR, path)(message.SerializeToString()) == value


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nome", "by.field is 'nome', but google.protobuf.MethodDescriptorProto has no field 'nome'; it has "),
        ("options.nome", "by.field is 'options.nome', but google.protobuf.MethodOptions has no field 'nome'"),
        ("options", "MethodDescriptorProto.options is not a single string, integer, bool or enum"),
        ("name.part", "MethodDescriptorProto.name is not a single message"),
        ("options.uninterpreted_option.identifier_value", "uninterpreted_option is not a single message"),
        ("", "has no field ''"),
        ("name.", "name is not a single message"),
    ],
)
def test_a_path_that_leads_nowhere(path: str, words: str) -> None:
    with pytest.raises(PolicyError) as refused:
        value_reader(METHOD.DESCRIPTOR, path)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["double_value", "string_value"])
def test_a_field_that_is_nothing_to_go_by(name: str) -> None:
    with pytest.raises(PolicyError, match="is not a single string, integer, bool or enum"):
        value_reader(descriptor_pb2.UninterpretedOption.DESCRIPTOR, name)


def test_a_request_that_is_none_is_refused() -> None:
    read = value_reader(METHOD.DESCRIPTOR, "name")
    with pytest.raises(UnreadableRequestError, match=r"the request is not a google\.protobuf\.MethodDescriptorProto"):
        read(b"\xff")
