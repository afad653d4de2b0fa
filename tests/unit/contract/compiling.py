"""Descriptors as protoc makes them."""

import contextlib
from importlib import resources
from pathlib import Path

import google.rpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from portcall.contract.catalog import Catalog

BUNDLED = Path(str(resources.files("grpc_tools") / "_proto"))
GOOGLE = Path(google.rpc.__path__[0]).parents[1]
PROTOS = Path(__file__).parent / "protos"


def compiled(tree: Path, name: str, out: Path, *flags: str) -> list[FileDescriptorProto]:
    """What protoc makes of a file and all that it imports; the file itself comes last."""
    arguments = [f"-I{folder}" for folder in (tree, BUNDLED, GOOGLE)]
    target = out / "set.bin"
    with contextlib.chdir(out):
        code = protoc.main(["protoc", *arguments, *flags, "--include_imports", f"--descriptor_set_out={target}", name])
    assert code == 0, f"protoc refuses {tree / name}:\n{(tree / name).read_text()}"
    return list(FileDescriptorSet.FromString(target.read_bytes()).file)


def compiled_catalog(tree: Path, name: str, out: Path, *flags: str) -> Catalog:
    """The catalog of a file and all that it imports."""
    catalog = Catalog()
    assert catalog.add(compiled(tree, name, out, *flags)) == []
    return catalog
