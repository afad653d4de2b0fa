"""Finds what a user names among what a server serves: by its reflection, or in descriptor sets that take its place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import Message

from portcall.cli.connection import unreachable
from portcall.cli.exits import CallError
from portcall.contract.catalog import Catalog, DescriptorError, nearest, read_descriptor_set
from portcall.contract.documents import JsonValue
from portcall.contract.from_json import JsonReader, UnknownTypeError
from portcall.contract.reflection import ReflectionClient
from portcall.contract.to_json import JsonWriter
from portcall.errors import ConfigurationError
from portcall.wire.access import Access
from portcall.wire.diagnosis import REFUSALS, explain

PROTOSET_HINT = (
    "Give descriptors with --protoset FILE, as 'protoc --include_imports --descriptor_set_out=FILE X.proto' writes it"
)


class Directory:
    """Answers by name. `reflection` is None where descriptor sets say it all and no server is asked."""

    def __init__(
        self, access: Access, reflection: ReflectionClient | None, catalog: Catalog, *, emits_defaults: bool = False
    ) -> None:
        self.catalog = catalog
        self._access = access
        self._reflection = reflection
        self._reader = JsonReader(catalog)
        self._emits_defaults = emits_defaults
        self._unknown: set[str] = set()

    async def service_names(self) -> list[str]:
        """Return the names of all services, sorted."""
        if self._reflection is None:
            return self.catalog.service_names
        with self._explained():
            return await self._reflection.services()

    async def service(self, name: str) -> ServiceDescriptor:
        """Return a service.

        Raises:
            ConfigurationError: there is none, or none that is described; the message names the nearest.
        """
        if await self._load(name) and (found := self.catalog.service(name)):
            return found
        names = await self.service_names()
        if name in names:
            raise ConfigurationError(
                f"{self._place} serves {name}, but no descriptors of it: what serves it has none. {PROTOSET_HINT}"
            )
        meant = nearest(name, names)
        hint = f"Did you mean {meant}?" if meant else "See: portcall call --list"
        raise ConfigurationError(f"{self._place} has no service {name}. {hint}")

    async def method(self, text: str) -> MethodDescriptor:
        """Return the method that is named as SERVICE/METHOD or SERVICE.METHOD.

        Raises:
            ConfigurationError: there is none; the message names the nearest, or says what is missing.
        """
        service_name, name = await self._split(text)
        service = await self.service(service_name)
        if name in service.methods_by_name:
            return service.methods_by_name[name]
        meant = nearest(name, service.methods_by_name)
        names = ", ".join(sorted(service.methods_by_name))
        hint = f"Did you mean {service.full_name}/{meant}?" if meant else f"It has {names}"
        raise ConfigurationError(f"{service.full_name} has no method {name}. {hint}")

    async def file_of(self, name: str) -> FileDescriptorProto | None:
        """Return the file that has or declares what is named, or None."""
        if name.endswith(".proto"):
            await self._load_all()
            return self.catalog.file(name)
        await self._load(name)
        return self.catalog.file_declaring(name)

    async def known_names(self) -> list[str]:
        """Return the names of all that can be described."""
        await self._load_all()
        return [*self.catalog.service_names, *self.catalog.type_names]

    async def message(self, value: JsonValue, kind: Descriptor) -> Message:
        """Return the message that a JSON value says; see `JsonReader.read`."""
        while True:
            try:
                return self._reader.read(value, kind)
            except UnknownTypeError as error:
                if not await self._load_type(error.name):
                    raise

    async def json(self, message: Message) -> JsonValue:
        """Return what a message says; see `JsonWriter.write`. Types that an Any names are looked up."""
        while True:
            writer = JsonWriter(self.catalog, emit_defaults=self._emits_defaults)
            value = writer.write(message)
            if not any([await self._load_type(name) for name in sorted(writer.unknown_types)]):
                return value

    async def _split(self, text: str) -> tuple[str, str]:
        """Return the names of a service and a method, of which the catalog need have neither."""
        if "/" not in text and text in await self.service_names():
            found = await self.service(text)
            methods = ", ".join(f"{text}/{method}" for method in sorted(found.methods_by_name))
            raise ConfigurationError(f"{text} is a service; say which of its methods: {methods}")
        service, _, name = text.removeprefix("/").rpartition("/" if "/" in text else ".")
        if not service or not name or "/" in service:
            raise ConfigurationError(
                f"{text!r} names no method of a service: it should be SERVICE/METHOD, as in greet.Greeter/SayHello"
            )
        return service, name

    async def _load_type(self, name: str) -> bool:
        """Look for a message that is not in the catalog; return whether it is now. Each name is looked for once."""
        if name in self._unknown or not name:
            return False
        self._unknown.add(name)
        with suppress(CallError, ConfigurationError):  # nothing that should keep a reply from being shown
            await self._load(name)
        return self.catalog.message(name) is not None or self.catalog.add_installed_type(name)

    async def _load(self, name: str) -> bool:
        """Have what is named in the catalog if the server knows it; return whether it is there."""
        if self.catalog.file_declaring(name) is None and self._reflection is not None:
            with self._explained():
                await self._reflection.load(name, self.catalog)
        return self.catalog.file_declaring(name) is not None

    async def _load_all(self) -> None:
        for name in await self.service_names():
            await self._load(name)

    @property
    def _place(self) -> str:
        return "the descriptor set" if self._reflection is None else f"the server at {self._access.target}"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._explanation(error.code(), error.details() or "") from None
        except DescriptorError as error:
            raise ConfigurationError(f"{self._place} has descriptors that cannot be used: {error}") from None

    def _explanation(self, code: grpc.StatusCode, details: str) -> ConfigurationError | CallError:
        number: int = code.value[0]
        match code:
            case grpc.StatusCode.UNIMPLEMENTED:
                return ConfigurationError(
                    f"{self._place} has no reflection, and cannot say what it serves. {PROTOSET_HINT}"
                )
            case grpc.StatusCode.UNAVAILABLE:
                return CallError(unreachable(self._access, details), number)
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return CallError(
                    f"{self._place} has not said in time what it serves. Give it longer: --timeout", number
                )
            case _ if code in REFUSALS:
                return CallError(explain(self._access, code, details), number)
            case _:
                return CallError(f"{self._place} does not say what it serves: {code.name}: {details}", number)


def catalog_of_files(paths: Sequence[Path]) -> Catalog:
    """Return what descriptor sets declare together.

    Raises:
        ConfigurationError: a file is no descriptor set, or the sets do not fit together or lack an import.
    """
    catalog = Catalog()
    for path in paths:
        try:
            missing = catalog.add(read_descriptor_set(path.read_bytes()))
        except OSError as error:
            raise ConfigurationError(f"descriptor set {path}: it cannot be read: {error.strerror or error}") from None
        except DescriptorError as error:
            raise ConfigurationError(f"descriptor set {path}: {error}") from None
    while missing := catalog.add(()):
        if absent := catalog.add_installed(missing):
            words = f"the descriptor set lacks {', '.join(absent)}, which other files of it import"
            raise ConfigurationError(f"{words}. Have protoc write them with --include_imports")
    return catalog
