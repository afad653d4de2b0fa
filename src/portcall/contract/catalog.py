"""What a set of `.proto` files declares, by full name, in a descriptor pool of its own.

Files come in any order and from anywhere: a server's reflection, a descriptor set on disk. Those that everybody has
(google.protobuf, google.rpc) are taken from the installed packages where nobody brings them.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from portcall.errors import PortcallError

INSTALLED: Final = ("google/api/", "google/protobuf/", "google/rpc/", "google/type/")
"""Folders of files whose generated code is installed with protobuf and googleapis-common-protos."""

WELL_KNOWN: Final = tuple(
    f"google/protobuf/{name}.proto"
    for name in ("any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")
)
"""Files whose messages JSON writes in ways of their own. They are the installed ones whoever brings others."""

INSTALLED_TYPES: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "google.rpc": ("google/rpc/error_details.proto", "google/rpc/status.proto"),
        "google.protobuf": WELL_KNOWN,
    }
)
"""By package, the installed files with the messages that an Any may hold though no contract mentions them."""

FILES_MAX: Final = 10_000


class DescriptorError(PortcallError):
    """Descriptors do not fit together, or one is not there. Blames whoever brought them; the message names the file."""


class Catalog:
    """Services, methods, messages and enums by name. Files that wait for others to come declare nothing yet."""

    def __init__(self) -> None:
        self._pool = DescriptorPool()
        self._files: dict[str, FileDescriptorProto] = {}
        self._waiting: dict[str, FileDescriptorProto] = {}

    @property
    def pool(self) -> DescriptorPool:
        """Return the pool, for libraries that ask for one."""
        return self._pool

    def add(self, files: Iterable[FileDescriptorProto]) -> list[str]:
        """Add files that are not known yet; return the names of those that they need and that nobody has brought.

        Raises:
            DescriptorError: a file contradicts another or itself, or there are more than `FILES_MAX`.
        """
        self._waiting.update((file.name, _checked(file)) for file in files if file.name not in self._files)
        if len(self._waiting) + len(self._files) > FILES_MAX:
            raise DescriptorError(f"more than {FILES_MAX} files")
        while ready := [file for file in self._waiting.values() if self._files.keys() >= set(file.dependency)]:
            for file in ready:
                self._build(self._waiting.pop(file.name))
        needed = {name for file in self._waiting.values() for name in file.dependency}
        missing = sorted(needed - self._files.keys() - self._waiting.keys())
        if self._waiting and not missing:
            raise DescriptorError(f"files that import each other: {', '.join(sorted(self._waiting))}")
        return missing

    def add_installed(self, names: Iterable[str]) -> list[str]:
        """Add installed files, with all that they need; return the names of those that are not installed."""
        absent = []
        for name in names:
            file = _installed(name)
            if file is None:
                absent.append(name)
            else:
                self.add_installed(set(file.dependency) - self._files.keys())
                self.add([file])
        return absent

    def add_installed_type(self, name: str) -> bool:
        """Add the installed files that may have a message of this name; return whether one has."""
        self.add_installed(INSTALLED_TYPES.get(name.rpartition(".")[0], ()))
        return self.message(name) is not None

    def service(self, name: str) -> ServiceDescriptor | None:
        """Return a service."""
        with suppress(KeyError):
            return self._pool.FindServiceByName(name)
        return None

    def message(self, name: str) -> Descriptor | None:
        """Return a message's descriptor."""
        with suppress(KeyError):
            return self._pool.FindMessageTypeByName(name)
        return None

    def extension(self, name: str) -> FieldDescriptor | None:
        """Return an extension."""
        with suppress(KeyError):
            return self._pool.FindExtensionByName(name)
        return None

    def file_declaring(self, name: str) -> FileDescriptorProto | None:
        """Return the file that declares a service, message, enum or extension."""
        with suppress(KeyError):
            return self._files[self._pool.FindFileContainingSymbol(name).name]
        return None

    def file(self, name: str) -> FileDescriptorProto | None:
        """Return a file as it came."""
        return self._files.get(name)

    @property
    def files(self) -> list[FileDescriptorProto]:
        """Return all files that are built, in an order in which each comes after those that it needs."""
        return list(self._files.values())

    @property
    def service_names(self) -> list[str]:
        """Return the names of all services, sorted."""
        return sorted(_full(file, service.name) for file in self._files.values() for service in file.service)

    @property
    def type_names(self) -> list[str]:
        """Return the names of all messages and enums, sorted."""
        return sorted(name for file in self._files.values() for name in _types(file))

    def _build(self, file: FileDescriptorProto) -> None:
        try:
            self._pool.Add(file)
        except TypeError as error:
            reason = str(error).removeprefix("Couldn't build proto file into descriptor pool: ")
            raise DescriptorError(f"{file.name} does not fit the other files: {reason}") from None
        self._files[file.name] = file


def read_descriptor_set(content: bytes) -> list[FileDescriptorProto]:
    """Return the files of a serialised `google.protobuf.FileDescriptorSet`, as `protoc --descriptor_set_out` writes it.

    Raises:
        DescriptorError: it is something else.
    """
    try:
        files = list(FileDescriptorSet.FromString(content).file)
    except DecodeError:
        files = []
    if not files or not all(file.name for file in files):
        raise DescriptorError("this is not a descriptor set; protoc --descriptor_set_out writes one")
    return files


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant, if any is near: by spelling, or for its last part alone."""
    names = list(known)
    folded = {known_name.lower(): known_name for known_name in names}
    if found := get_close_matches(name.lower(), folded, n=1, cutoff=0.7):
        return folded[found[0]]
    last = name.rpartition(".")[2].lower()
    by_last = {folded_name.rpartition(".")[2]: known_name for folded_name, known_name in folded.items()}
    found = get_close_matches(last, by_last, n=1, cutoff=0.8)
    return by_last[found[0]] if found else None


def _checked(file: FileDescriptorProto) -> FileDescriptorProto:
    """Return the file to build; refuse what the pool would take and those who read of it could not bear."""
    if not all(isinstance(name, str) for name in (file.name, *file.dependency)):  # bytes are what is not UTF-8
        raise DescriptorError(f"a file with a name that is not UTF-8: {file.name!r}")
    if file.name in WELL_KNOWN and (installed := _installed(file.name)) is not None:
        return installed
    for message in file.message_type:
        _check_message(file.name, message)
    return file


def _check_message(file: str, message: DescriptorProto) -> None:
    if not all(isinstance(field.json_name, str) for field in message.field):
        raise DescriptorError(f"{file} has a JSON name in {message.name} that is not UTF-8")
    if message.options.map_entry and [field.name for field in message.field] != ["key", "value"]:
        raise DescriptorError(f"{file} has a map with entries other than key and value: {message.name}")
    for nested in message.nested_type:
        _check_message(file, nested)


def _installed(name: str) -> FileDescriptorProto | None:
    if not name.startswith(INSTALLED):
        return None
    try:
        module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    except ImportError:
        return None
    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def _full(file: FileDescriptorProto, name: str) -> str:
    return f"{file.package}.{name}" if file.package else name


def _types(file: FileDescriptorProto) -> Iterator[str]:
    yield from (_full(file, enum.name) for enum in file.enum_type)
    for message in file.message_type:
        yield from _types_of(_full(file, message.name), message)


def _types_of(name: str, message: DescriptorProto) -> Iterator[str]:
    yield name
    yield from (f"{name}.{enum.name}" for enum in message.enum_type)
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from _types_of(f"{name}.{nested.name}", nested)
