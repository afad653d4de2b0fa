"""Text of declarations: the compiler makes of it what it was made from."""

import contextlib
from importlib import resources
from pathlib import Path

import google.rpc
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from portcall.contract.catalog import Catalog
from portcall.contract.proto_text import ProtoText

ROOT = Path(__file__).parents[3]
BUNDLED = Path(str(resources.files("grpc_tools") / "_proto"))
GOOGLE = Path(google.rpc.__path__[0]).parents[1]
TREES = {
    ROOT / "src" / "portcall" / "protos": "portcall/v1/*.proto",
    ROOT / "tests" / "protos": "*.proto",
    Path(__file__).parent / "protos": "*.proto",
    BUNDLED: "google/protobuf/*.proto",
    GOOGLE: "google/*/*.proto",
}
FILES = [(tree, str(path.relative_to(tree))) for tree, pattern in TREES.items() for path in sorted(tree.glob(pattern))]
HARBOUR = Path(__file__).parent / "protos"


def compiled(tree: Path, name: str, out: Path, *flags: str) -> list[FileDescriptorProto]:
    """What protoc makes of a file and all that it imports."""
    arguments = [f"-I{folder}" for folder in (tree, BUNDLED, GOOGLE)]
    target = out / "set.bin"
    with contextlib.chdir(out):
        code = protoc.main(["protoc", *arguments, *flags, "--include_imports", f"--descriptor_set_out={target}", name])
    assert code == 0, f"protoc refuses {tree / name}:\n{(tree / name).read_text()}"
    return list(FileDescriptorSet.FromString(target.read_bytes()).file)


def catalog_of(files: list[FileDescriptorProto]) -> Catalog:
    catalog = Catalog()
    assert catalog.add(files) == []
    return catalog


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
    catalog = catalog_of(files)
    text = ProtoText(files[-1], catalog).file()
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    again = compiled(tmp_path, name, tmp_path)
    assert in_order(again[-1]) == in_order(files[-1])
