"""The contract of an application, read out of its generated code without running it."""

import ast
from collections.abc import Iterable, Iterator, Mapping

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from portcall.contract.contract import MethodKind, MethodSpec, contract_message, fingerprint
from portcall.image.layers import Copied, Entry, Text

_REGISTERING = "AddSerializedFile"


def contract_fingerprint(tree: Mapping[str, Entry]) -> str:
    """Return the fingerprint of all services whose code is in the tree, "" if there are none.

    It is equal to the one that the worker's hub sees if the worker serves all of them.
    """
    files = dict(_descriptors(tree))
    methods = [
        MethodSpec(
            service=f"{file.package}.{service.name}".lstrip("."),
            name=method.name,
            kind=MethodKind(client_streaming=method.client_streaming, server_streaming=method.server_streaming),
        )
        for _, file in sorted(files.values(), key=lambda found: found[1].name)
        for service in file.service
        for method in service.method
    ]
    if not methods:
        return ""
    return fingerprint(contract_message(methods, _in_order(methods, files).values()))


def _descriptors(tree: Mapping[str, Entry]) -> Iterator[tuple[str, tuple[bytes, FileDescriptorProto]]]:
    for path in sorted(tree):
        if path.endswith("_pb2.py"):
            for content in _serialised(_text(tree[path])):
                try:
                    file = FileDescriptorProto.FromString(content)
                except DecodeError:
                    continue
                yield file.name, (content, file)


def _text(entry: Entry) -> bytes:
    match entry.content:
        case Text(content):
            return content
        case Copied():
            return entry.content.path.read_bytes()
        case _:
            return b""


def _serialised(code: bytes) -> Iterator[bytes]:
    try:
        module = ast.parse(code)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == _REGISTERING:
            argument = node.args[0] if node.args else None
            if isinstance(argument, ast.Constant) and isinstance(argument.value, bytes):
                yield argument.value


def _in_order(
    methods: Iterable[MethodSpec], files: Mapping[str, tuple[bytes, FileDescriptorProto]]
) -> dict[str, bytes]:
    """Return the files in the order that workers send them in: by service, each behind what it imports."""
    homes = {
        f"{file.package}.{service.name}".lstrip("."): name
        for name, (_, file) in files.items()
        for service in file.service
    }
    ordered: dict[str, bytes] = {}
    for service in sorted({method.service for method in methods}):
        _collect(homes[service], files, ordered)
    return ordered


def _collect(name: str, files: Mapping[str, tuple[bytes, FileDescriptorProto]], ordered: dict[str, bytes]) -> None:
    if name in ordered:
        return
    if name in files:
        content, file = files[name]
        dependencies = list(file.dependency)
    else:
        try:
            known = descriptor_pool.Default().FindFileByName(name)
        except KeyError:
            return
        content, dependencies = known.serialized_pb, [dependency.name for dependency in known.dependencies]
    for dependency in dependencies:
        _collect(dependency, files, ordered)
    ordered[name] = content
