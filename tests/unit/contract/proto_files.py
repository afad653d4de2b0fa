"""Files for descriptors: sound ones, and such as could nearly be."""

import zlib

import hypothesis.strategies as st
from google.protobuf.descriptor_pb2 import FileDescriptorProto


def file_of(
    name: str, *imports: str, package: str = "", service: str = "", methods: tuple[str, ...] = ("Do",)
) -> FileDescriptorProto:
    """A file with a message and, if named, a service."""
    file = FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    message = f"M{zlib.crc32(name.encode())}"
    file.message_type.add(name=message)
    if service:
        kind = f".{package}.{message}" if package else f".{message}"
        declared = file.service.add(name=service)
        for method in methods:
            declared.method.add(name=method, input_type=kind, output_type=kind)
    return file


FUZZED_NAMES = st.sampled_from(["a.proto", "b.proto", "c.proto", "google/protobuf/any.proto", "", "\x00", "a" * 600])
FUZZED_TYPES = st.sampled_from([".p.M", ".M", "M", ".google.protobuf.Any", "", "..", ".p", ".\ud7ff"])
FUZZED_WORDS = st.sampled_from(["p", "M", "S", "p.q", "", "1", "S S", "é"])


@st.composite
def fuzzed_files(draw: st.DrawFn) -> FileDescriptorProto:
    """A file that could nearly be one."""
    file = FileDescriptorProto(
        name=draw(FUZZED_NAMES),
        package=draw(FUZZED_WORDS),
        syntax=draw(st.sampled_from(["proto2", "proto3", "", "editions", "proto9"])),
        dependency=draw(st.lists(FUZZED_NAMES, max_size=3)),
        public_dependency=draw(st.lists(st.integers(-1, 3), max_size=1)),
    )
    for name in draw(st.lists(FUZZED_WORDS, max_size=2)):
        field = file.message_type.add(name=name).field.add()
        field.name, field.number = draw(FUZZED_WORDS), draw(st.sampled_from([0, 1, 19_000, 2**29, -1]))
        field.type_name = draw(FUZZED_TYPES)
    for name in draw(st.lists(FUZZED_WORDS, max_size=2)):
        service = file.service.add(name=name)
        for method in draw(st.lists(FUZZED_WORDS, max_size=2)):
            service.method.add(name=method, input_type=draw(FUZZED_TYPES), output_type=draw(FUZZED_TYPES))
    return file
