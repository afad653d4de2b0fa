"""Descriptors from anywhere, in any order."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import any_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from portcall.contract.catalog import Catalog, DescriptorError, nearest, read_descriptor_set
from portcall.contract.from_json import JsonMismatchError, JsonReader
from portcall.contract.proto_text import ProtoText
from portcall.contract.sample import sample
from portcall.contract.to_json import JsonWriter

from .compiling import compiled


def file(name: str, *needs: str, messages: tuple[str, ...] = ()) -> FileDescriptorProto:
    made = FileDescriptorProto(name=name, package="p", dependency=needs, syntax="proto3")
    for message in messages:
        made.message_type.add(name=message)
    return made


def test_files_may_come_in_any_order() -> None:
    catalog = Catalog()
    assert catalog.add([file("a", "b", "c", messages=("A",))]) == ["b", "c"]
    assert catalog.message("p.A") is None
    assert catalog.add([file("b", "c")]) == ["c"]
    assert catalog.add([file("c")]) == []
    assert catalog.message("p.A") is not None
    assert catalog.type_names == ["p.A"]


def test_file_that_is_known_is_not_added_again() -> None:
    catalog = Catalog()
    catalog.add([file("a", messages=("A",))])
    assert catalog.add([file("a", messages=("B",))]) == []
    assert catalog.message("p.B") is None


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([file("a", "b"), file("b", "a")], "files that import each other: a, b"),
        ([file("a", messages=("A",)), file("b", messages=("A",))], "b does not fit the other files: duplicate symbol"),
        ([file("a", messages=("A", "A"))], "a does not fit the other files: duplicate symbol"),
    ],
)
def test_what_does_not_fit_together_is_named(files: list[FileDescriptorProto], words: str) -> None:
    with pytest.raises(DescriptorError, match=f"^{words}"):
        Catalog().add(files)


def test_too_many_files_are_refused() -> None:
    with pytest.raises(DescriptorError, match=r"^more than 10000 files$"):
        Catalog().add(file(f"{number}", "missing") for number in range(10_001))


def test_files_that_everybody_has_need_not_be_brought() -> None:
    catalog = Catalog()
    missing = catalog.add([file("a", "google/rpc/status.proto", "nobody/has.proto")])
    assert catalog.add_installed(missing) == ["nobody/has.proto"]
    assert catalog.message("google.protobuf.Any") is not None


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("google.rpc.ErrorInfo", True),
        ("google.protobuf.Empty", True),
        ("google.protobuf.Nothing", False),
        ("google.cloud.Nothing", False),
        ("Nothing", False),
    ],
)
def test_types_that_everybody_has_are_found(name: str, is_known: bool) -> None:
    catalog = Catalog()
    assert catalog.add_installed_type(name) is is_known
    assert (catalog.message(name) is not None) is is_known


def test_file_of_a_name_is_found(harbour: Catalog) -> None:
    for name in ("harbour.Port", "harbour.Manifest", "harbour.Manifest.Stowage", "harbour.Flag"):
        found = harbour.file_declaring(name)
        assert found is not None
        assert found.name == "harbour.proto"
    assert harbour.file_declaring("harbour.Nothing") is None
    assert harbour.service_names == ["harbour.Lighthouse", "harbour.Port"]


def test_descriptor_set_is_read(tmp_path: Path) -> None:
    files = compiled(Path(__file__).parents[2] / "protos", "harbour.proto", tmp_path)
    assert read_descriptor_set(FileDescriptorSet(file=files).SerializeToString()) == files


@pytest.mark.parametrize("content", [b"", b"\xff", b"hello", any_pb2.Any(type_url="x").SerializeToString()])
def test_what_is_no_descriptor_set_is_refused(content: bytes) -> None:
    with pytest.raises(DescriptorError, match="not a descriptor set"):
        read_descriptor_set(content)


def test_well_known_types_keep_their_methods() -> None:
    catalog = Catalog()
    catalog.add_installed(["google/protobuf/timestamp.proto"])
    kind = catalog.message("google.protobuf.Timestamp")
    assert kind is not None
    assert kind is not timestamp_pb2.Timestamp.DESCRIPTOR


KNOWN = ["greet.Greeter", "harbour.Port", "harbour.Lighthouse", "grpc.health.v1.Health"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("greet.Greter", "greet.Greeter"),
        ("Greeter", "greet.Greeter"),
        ("GREET.GREETER", "greet.Greeter"),
        ("harbor.Port", "harbour.Port"),
        ("some.where.else.Lighthous", "harbour.Lighthouse"),
        ("xyz", None),
        ("", None),
    ],
)
def test_nearest_name_is_by_spelling_or_by_its_last_part(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN) == meant


EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4)


@given(edits=EDITS)
def test_descriptors_that_were_tampered_with_are_refused_or_of_use(harbour: Catalog, edits: list[Any]) -> None:
    """At places counted from the end, where the harbour's own file is, some bytes are put in place of others."""
    content = FileDescriptorSet(file=harbour.files).SerializeToString()
    for place, new, old_bytes in edits:
        at = len(content) - place % len(content) - 1
        content = content[:at] + new + content[at + old_bytes :]
    catalog = Catalog()
    try:
        catalog.add_installed(catalog.add(read_descriptor_set(content)))
        catalog.add(())
    except DescriptorError as error:
        assert str(error)  # noqa: PT017  # refusing is one of the two right answers
        return
    for file in catalog.files:
        assert ProtoText(file, catalog).file()
    for name in catalog.type_names:
        if (kind := catalog.message(name)) is not None:
            try:
                message = JsonReader(catalog).read(sample(kind), kind)
            except JsonMismatchError:  # two fields may have one JSON name now
                continue
            JsonWriter(catalog, emit_defaults=True).write(message)


def test_well_known_files_are_the_installed_ones_whoever_brings_others() -> None:
    catalog = Catalog()
    false = FileDescriptorProto(name="google/protobuf/any.proto", package="google.protobuf", syntax="proto3")
    false.message_type.add(name="Any")
    catalog.add([false])
    kind = catalog.message("google.protobuf.Any")
    assert kind is not None
    assert [field.name for field in kind.fields] == ["type_url", "value"]
