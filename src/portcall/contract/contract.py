"""A contract: the services that a worker serves, and a fingerprint that is equal for equal contracts."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from portcall.errors import ProtocolError
from portcall.protos.portcall.v1 import link_pb2

METHODS_MAX = 10_000
FILES_MAX = 2_000

_SERVICE_NAME = re.compile(r"(?!.{513})[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_METHOD_NAME = re.compile(r"[A-Za-z_]\w{0,255}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodKind:
    """Which of gRPC's four kinds of call a method takes."""

    client_streaming: bool
    server_streaming: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSpec:
    """One method as a server registers it."""

    service: str
    name: str
    kind: MethodKind


@dataclass(frozen=True, slots=True)
class Contract:
    """What a worker serves: kinds by path ("/package.Service/Method"), and the descriptors of the files behind them."""

    kinds: dict[str, MethodKind]
    services: tuple[str, ...]
    files: tuple[FileDescriptorProto, ...]
    fingerprint: str


def describe_methods(methods: Iterable[MethodSpec]) -> link_pb2.Contract:
    """Return the contract of these methods as a worker sends it.

    Descriptors come from protobuf's default pool, where generated code puts them; a service that is not there (one
    with handlers written by hand) is described by its methods alone.
    """
    specs = tuple(methods)
    files: dict[str, bytes] = {}
    for name in sorted({spec.service for spec in specs}):
        _collect_files(name, files)
    return contract_message(specs, files.values())


def contract_message(methods: Iterable[MethodSpec], files: Iterable[bytes]) -> link_pb2.Contract:
    """Return a contract as a worker sends it: these methods, in the order that makes equal contracts equal in bytes.

    The files are those of the services in the order of their names, each behind all that it imports.
    """
    by_service: dict[str, list[MethodSpec]] = {}
    for method in methods:
        by_service.setdefault(method.service, []).append(method)
    services = [
        link_pb2.Service(
            name=name,
            methods=[
                link_pb2.Method(
                    name=spec.name,
                    client_streaming=spec.kind.client_streaming,
                    server_streaming=spec.kind.server_streaming,
                )
                for spec in sorted(by_service[name], key=lambda spec: spec.name)
            ],
        )
        for name in sorted(by_service)
    ]
    return link_pb2.Contract(services=services, files=files)


def _collect_files(service: str, files: dict[str, bytes]) -> None:
    try:
        descriptor = descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        return
    _collect_file(descriptor.file, files)


def _collect_file(file: FileDescriptor, files: dict[str, bytes]) -> None:
    if file.name in files:
        return
    for dependency in file.dependencies:
        _collect_file(dependency, files)
    files[file.name] = file.serialized_pb


def parse_contract(message: link_pb2.Contract) -> Contract:
    """Check a contract that another process sent.

    Raises:
        ProtocolError: it names nothing, too much, or something that cannot be a gRPC name; the message says what.
    """
    kinds: dict[str, MethodKind] = {}
    for service in message.services:
        if not _SERVICE_NAME.fullmatch(service.name):
            raise ProtocolError(f"a contract names a service {service.name[:80]!r}, which cannot be one")
        for method in service.methods:
            if not _METHOD_NAME.fullmatch(method.name):
                raise ProtocolError(f"a contract names a method {method.name[:80]!r}, which cannot be one")
            kinds[f"/{service.name}/{method.name}"] = MethodKind(
                client_streaming=method.client_streaming, server_streaming=method.server_streaming
            )
    if not kinds:
        raise ProtocolError("a contract without methods; add a servicer to the worker before it attaches")
    if len(kinds) > METHODS_MAX:
        raise ProtocolError(f"a contract of {len(kinds)} methods; at most {METHODS_MAX} may be")
    if len(message.files) > FILES_MAX:
        raise ProtocolError(f"a contract of {len(message.files)} files; at most {FILES_MAX} may be")
    return Contract(
        kinds=kinds,
        services=tuple(sorted({service.name for service in message.services})),
        files=_parse_files(message.files),
        fingerprint=fingerprint(message),
    )


def _parse_files(files: Iterable[bytes]) -> tuple[FileDescriptorProto, ...]:
    try:
        return tuple(FileDescriptorProto.FromString(file) for file in files)
    except DecodeError:
        raise ProtocolError("a contract holds a file that is not a google.protobuf.FileDescriptorProto") from None


def fingerprint(message: link_pb2.Contract) -> str:
    """Return the contract's fingerprint: SHA-256 of its serialised form, whose order `describe_methods` fixes."""
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
