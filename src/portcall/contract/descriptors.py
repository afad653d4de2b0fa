"""Descriptors that come from elsewhere: a server's reflection, or a descriptor set in a file.

They are checked, and made into a contract, without protobuf's default pool, which belongs to the code of this process
and where a name can mean one thing only. Nothing of them is trusted: whatever they hold, the result is a contract or a
`ConfigurationError` that begins with where they came from.
"""

from collections.abc import Iterable

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto
from google.protobuf.message import DecodeError

from portcall.contract.contract import FILES_MAX, MethodKind, MethodSpec, contract_message, parse_contract
from portcall.errors import ConfigurationError, ProtocolError
from portcall.protos.portcall.v1 import link_pb2

FILES_BYTES_MAX = 8_388_608
"""Most bytes of descriptors in a contract. It goes to the hub in one batch, which may have twice as many."""

SHOWN_CHARACTERS_MAX = 400

WELL_KNOWN_FILES: dict[str, bytes] = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2,
        api_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        type_pb2,
        wrappers_pb2,
    )
}
"""protobuf's own files, which everybody has, and which some leave out for that reason."""


class DescriptorFiles:
    """Files by name, as they were given, and the services that they declare.

    Args:
        origin: where they come from, as errors shall begin.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._files: dict[str, FileDescriptorProto] = {}
        self._serialized: dict[str, bytes] = {}
        self._services: dict[str, ServiceDescriptorProto] = {}
        self._places: dict[str, str] = {}
        self._missing: set[str] = set()
        self._bytes = 0

    @property
    def services(self) -> list[str]:
        """Return the names of all services in the files, sorted."""
        return sorted(self._services)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def add_set(self, serialized: bytes) -> None:
        """Add the files of a `google.protobuf.FileDescriptorSet`.

        Raises:
            ConfigurationError: it is none, or one of its files cannot be added.
        """
        try:
            files = FileDescriptorSet.FromString(serialized).file
        except DecodeError:
            raise self.error("this is not a descriptor set; protoc --descriptor_set_out writes one") from None
        for file in files:
            file.ClearField("source_code_info")  # comments and lines, which reflection does not give either
            self._add(file, file.SerializeToString())

    def add(self, serialized: bytes) -> None:
        """Add a `google.protobuf.FileDescriptorProto`. The same file may come again.

        Raises:
            ConfigurationError: it is none, it is another than the one that has its name already, or it is too much.
        """
        try:
            file = FileDescriptorProto.FromString(serialized)
        except DecodeError:
            raise self.error("a file in it is not a google.protobuf.FileDescriptorProto") from None
        self._add(file, serialized)

    def missing(self) -> list[str]:
        """Return the names of the files that others import and that are not here, sorted."""
        return sorted(self._missing)

    def add_well_known(self) -> None:
        """Add those of protobuf's own files that are missing."""
        while known := [name for name in self.missing() if name in WELL_KNOWN_FILES]:
            for name in known:
                self.add(WELL_KNOWN_FILES[name])

    def contract(self, services: Iterable[str]) -> link_pb2.Contract:
        """Return the contract of these services, with their files and all that those import.

        Raises:
            ConfigurationError: a service is not here or has no methods, an import is missing or leads back to where it
                began, or the files do not fit together.
        """
        chosen = sorted(set(services))
        specs = [spec for name in chosen for spec in self._methods(name)]
        if not specs:
            raise self.error(f"there are no methods in {', '.join(map(shown, chosen)) or 'it'}")
        ordered = self._in_order([self._places[name] for name in chosen])
        self._check(ordered)
        message = contract_message(specs, [self._serialized[name] for name in ordered])
        try:
            parse_contract(message)
        except ProtocolError as error:
            raise self.error(shown(str(error))) from None
        return message

    def error(self, words: str) -> ConfigurationError:
        """Return an error that says where the files come from."""
        return ConfigurationError(f"{self.origin}: {words}")

    def _add(self, file: FileDescriptorProto, serialized: bytes) -> None:
        known = self._serialized.get(file.name)
        if known == serialized:
            return
        if not file.name:
            raise self.error("a file in it has no name")
        if known is not None:
            raise self.error(f"it has two different files by the name of {shown(file.name)}")
        self._bytes += len(serialized)
        if len(self._files) >= FILES_MAX or self._bytes > FILES_BYTES_MAX:
            raise self.error(f"it is too large: at most {FILES_MAX} files and {FILES_BYTES_MAX} bytes may be")
        self._files[file.name], self._serialized[file.name] = file, serialized
        self._missing.discard(file.name)
        self._missing.update(name for name in file.dependency if name not in self._files)
        prefix = f"{file.package}." if file.package else ""
        for service in file.service:
            name = prefix + service.name
            place = self._places.setdefault(name, file.name)
            if place != file.name:
                raise self.error(f"service {shown(name)} is in {shown(place)} and in {shown(file.name)}")
            self._services[name] = service

    def _methods(self, service: str) -> list[MethodSpec]:
        found = self._services.get(service)
        if found is None:
            raise self.error(f"no file in it declares a service {shown(service)}")
        return [
            MethodSpec(
                service=service,
                name=method.name,
                kind=MethodKind(client_streaming=method.client_streaming, server_streaming=method.server_streaming),
            )
            for method in found.method
        ]

    def _in_order(self, names: Iterable[str]) -> list[str]:
        """Return these files and all that they import, each behind its own imports.

        A walk in depth with a stack of its own: a chain of imports may be longer than Python's stack.
        """
        done: dict[str, None] = {}
        for root in names:
            path = {} if root in done else {root: iter(self._imports(root))}
            while path:
                name, imports = next(reversed(path.items()))
                wanted = next((each for each in imports if each not in done), None)
                if wanted is None:
                    del path[name]
                    done[name] = None
                elif wanted in path:
                    raise self.error(f"{shown(wanted)} imports itself, by way of {shown(name)}")
                else:
                    path[wanted] = iter(self._imports(wanted))
        return list(done)

    def _imports(self, name: str) -> Iterable[str]:
        names = self._files[name].dependency
        for each in names:
            if each not in self._files:
                raise self.error(f"{shown(name)} imports {shown(each)}, which is not there")
        return names

    def _check(self, ordered: Iterable[str]) -> None:
        """Have protobuf itself say whether the files fit together."""
        pool = descriptor_pool.DescriptorPool()
        for name in ordered:
            try:
                pool.AddSerializedFile(self._serialized[name])
            except Exception as error:  # noqa: BLE001  # whatever its parser makes of it, it is the file that is bad
                words = str(error).removeprefix("Couldn't build proto file into descriptor pool: ")
                raise self.error(f"{shown(name)} is not sound: {shown(words)}") from None


def shown(text: str) -> str:
    """Return what came from outside as a message can show it: in one line, and not too long."""
    line = " ".join(text.split())
    line = line if line.isprintable() else repr(line)
    return line if len(line) <= SHOWN_CHARACTERS_MAX else f"{line[:SHOWN_CHARACTERS_MAX]}…"
