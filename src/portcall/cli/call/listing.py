"""`portcall call --list` and `--describe`: what there is to call, and how."""

from dataclasses import dataclass, replace

from google.protobuf.descriptor import Descriptor, MethodDescriptor

from portcall.cli.call.directory import Directory
from portcall.contract.catalog import nearest
from portcall.contract.documents import JsonValue, encode
from portcall.contract.proto_text import ProtoText
from portcall.contract.sample import sample
from portcall.errors import ConfigurationError


async def list_services(directory: Directory, *, is_json: bool) -> str:
    """Return the names of all services, a line each."""
    names = await directory.service_names()
    return encode({"services": list(names)}, is_pretty=True) if is_json else "\n".join(names)


async def list_methods(directory: Directory, service: str, *, is_json: bool) -> str:
    """Return the methods of a service, a line each, as `portcall call` takes them."""
    methods = (await directory.service(service)).methods
    if is_json:
        return encode({"service": service, "methods": [_as_json(method) for method in methods]}, is_pretty=True)
    return "\n".join(f"{service}/{method.name}" for method in methods)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is said of a name. The sample is JSON for the message, or for what the method is sent."""

    name: str
    file: str
    proto: str
    sample: JsonValue = None
    sample_of: str = ""

    def text(self) -> str:
        """Return it for people: `.proto` text, all that is no declaration in comments."""
        parts = [f"// {self.name}, in {self.file}\n{self.proto}" if self.name != self.file else self.proto]
        if self.sample_of:
            lines = encode(self.sample, is_pretty=True).replace("\n", "\n// ")
            parts.append(f"// {self.sample_of} as JSON:\n// {lines}")
        return "\n\n".join(parts)

    def json(self) -> str:
        """Return it for programs."""
        made: dict[str, JsonValue] = {"name": self.name, "file": self.file, "proto": self.proto}
        return encode(made | ({"sample": self.sample} if self.sample_of else {}), is_pretty=True)


async def describe(directory: Directory, name: str) -> Description:
    """Return the description of a service, method, message, enum, extension or file.

    Raises:
        ConfigurationError: there is no such name; the message has the nearest.
    """
    if "/" in name and not name.endswith(".proto"):
        return _method(directory, await directory.method(name))
    file = await directory.file_of(name)
    if file is not None and file.name == name:
        return Description(name=name, file=name, proto=ProtoText(file, directory.catalog).file())
    declared = ProtoText(file, directory.catalog).declaration(name) if file is not None else None
    if file is not None and declared is not None:
        described = Description(name=name, file=file.name, proto=declared)
        kind = directory.catalog.message(name)
        return described if kind is None else replace(described, sample=sample(kind), sample_of=name)
    service, _, last = name.rpartition(".")
    if (found := directory.catalog.service(service)) is not None and last in found.methods_by_name:
        return _method(directory, found.methods_by_name[last])
    raise await _unknown(directory, name)


def _method(directory: Directory, method: MethodDescriptor) -> Description:
    service = method.containing_service
    file = directory.catalog.file(service.file.name)
    assert file is not None
    parts = [
        ProtoText(file, directory.catalog).method(service.full_name, method.name),
        *(_message(directory, kind) for kind in dict.fromkeys((method.input_type, method.output_type))),
    ]
    return Description(
        name=f"{service.full_name}/{method.name}",
        file=file.name,
        proto="\n\n".join(part for part in parts if part),
        sample=sample(method.input_type),
        sample_of=method.input_type.full_name,
    )


def _message(directory: Directory, kind: Descriptor) -> str:
    file = directory.catalog.file(kind.file.name)
    assert file is not None
    declared = ProtoText(file, directory.catalog).declaration(kind.full_name)
    return f"// {kind.full_name}, in {file.name}\n{declared}"


async def _unknown(directory: Directory, name: str) -> ConfigurationError:
    if name in await directory.service_names():
        await directory.service(name)  # which says why there is no more to say
    meant = nearest(name, await directory.known_names())
    hint = f"Did you mean {meant}?" if meant else "See: portcall call --list"
    return ConfigurationError(f"nothing is called {name}. {hint}")


def _as_json(method: MethodDescriptor) -> JsonValue:
    return {
        "name": f"{method.containing_service.full_name}/{method.name}",
        "request": method.input_type.full_name,
        "reply": method.output_type.full_name,
        "client_streaming": method.client_streaming,
        "server_streaming": method.server_streaming,
    }
