"""Text of declarations: the compiler makes of it what it was made from."""

import shutil
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from portcall.contract.catalog import Catalog
from portcall.contract.proto_text import ProtoText

from .compiling import BUNDLED, GOOGLE, PROTOS, compiled, compiled_catalog

ROOT = Path(__file__).parents[3]
TREES = {
    ROOT / "src" / "portcall" / "protos": "portcall/v1/*.proto",
    ROOT / "tests" / "protos": "*.proto",
    PROTOS: "*.proto",
    BUNDLED: "google/protobuf/*.proto",
    GOOGLE: "google/*/*.proto",
}
FILES = [(tree, str(path.relative_to(tree))) for tree, pattern in TREES.items() for path in sorted(tree.glob(pattern))]


def in_order(file: FileDescriptorProto) -> FileDescriptorProto:
    """The file with what has no order put in one: entries of maps stand where the compiler met the map."""

    def sort(message: DescriptorProto) -> None:
        for nested in message.nested_type:
            sort(nested)
        nested = sorted(message.nested_type, key=lambda made: made.name)
        del message.nested_type[:]
        message.nested_type.extend(nested)

    for message in file.message_type:
        sort(message)
    for service in file.service:
        for method in service.method:
            if not method.options.ByteSize():
                method.ClearField("options")
        if not service.options.ByteSize():
            service.ClearField("options")
    return file


@pytest.mark.parametrize(("tree", "name"), FILES, ids=[name for _, name in FILES])
def test_compiler_makes_the_same_of_it(tree: Path, name: str, tmp_path: Path) -> None:
    files = compiled(tree, name, tmp_path)
    catalog = Catalog()
    catalog.add(files)
    text = ProtoText(files[-1], catalog).file()
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    for imported in files[:-1]:
        if (tree / imported.name).exists() and not imported.name.startswith("google/"):
            shutil.copy(tree / imported.name, tmp_path / imported.name)
    again = compiled(tmp_path, name, tmp_path)
    assert in_order(again[-1]) == in_order(files[-1])


def declared(catalog: Catalog, file: str, name: str) -> str | None:
    found = catalog.file(file)
    assert found is not None
    return ProtoText(found, catalog).declaration(name)


def test_comments_come_with_what_they_stand_at(tmp_path: Path) -> None:
    catalog = compiled_catalog(ROOT / "tests" / "protos", "harbour.proto", tmp_path, "--include_source_info")
    assert declared(catalog, "harbour.proto", "harbour.Lighthouse") == (
        "// A service that no worker serves.\n"
        "service Lighthouse {\n"
        "  rpc Blink(harbour.WatchRequest) returns (harbour.Summary);\n"
        "}"
    )
    assert declared(catalog, "harbour.proto", "harbour.Refusal") == (
        "message Refusal {\n"
        "  int32 code = 1;\n"
        "  string details = 2;\n"
        "  // Of a google.rpc.Status; sent as rich details.\n"
        "  repeated google.protobuf.Any status_details = 3;\n"
        "}"
    )
    file = catalog.file("harbour.proto")
    assert file is not None
    assert ProtoText(file, catalog).method("harbour.Port", "Load") == (
        "// Adds up what it is sent.\nrpc Load(stream harbour.Crate) returns (harbour.Summary);"
    )


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("harbour.old.Crate.Lid", "message Lid {"),
        ("harbour.old.Crate.Lid.lid", "extend harbour.old.Crate {"),
        ("harbour.old.Colour", "enum Colour {"),
        ("harbour.old.Store", "service Store {"),
        ("harbour.old.unit", "extend google.protobuf.FieldOptions {"),
    ],
)
def test_everything_is_found_by_its_name(tmp_path: Path, name: str, first: str) -> None:
    catalog = compiled_catalog(PROTOS, "harbour_proto2.proto", tmp_path)
    found = declared(catalog, "harbour_proto2.proto", name)
    assert found is not None
    assert found.startswith(first)


@pytest.mark.parametrize("name", ["", "harbour.old", "harbour.old.Crate.label", "Crate", "harbour.old.Nothing"])
def test_what_is_not_declared_is_not_found(tmp_path: Path, name: str) -> None:
    catalog = compiled_catalog(PROTOS, "harbour_proto2.proto", tmp_path)
    assert declared(catalog, "harbour_proto2.proto", name) is None
