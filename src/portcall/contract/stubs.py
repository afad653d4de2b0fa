"""Writes the module of a file's services, and its types: stubs, servicers and how they are added to a server.

The code does what that of grpcio's own generator does, less the experimental static class, with two differences: the
comments of the `.proto` become docstrings whatever is in them, and a stub class can be subscripted, since it is generic
to type checkers (`portcall.typed`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
    SourceCodeInfo,
)

from portcall.contract.modules import Layout, Module, alias, message_module, service_module

SERVICES_FIELD = FileDescriptorProto.SERVICE_FIELD_NUMBER
METHODS_FIELD = ServiceDescriptorProto.METHOD_FIELD_NUMBER
"""See `SourceCodeInfo` in descriptor.proto for how places are written."""


QUOTE = '"'


class MessageType(NamedTuple):
    """Where a message's class is: an attribute of a module."""

    module: Module
    attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method, in the words of the code that is made from it."""

    name: str
    path: str
    request: str
    """The message's class, as the code names it."""
    response: str
    is_request_stream: bool
    is_response_stream: bool
    comment: str

    @property
    def kind(self) -> str:
        """Return what grpcio calls it: unary_stream, for instance."""
        return f"{_kind(self.is_request_stream)}_{_kind(self.is_response_stream)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service, in the words of the code that is made from it."""

    name: str
    full_name: str
    methods: tuple[Method, ...]
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFile:
    """The services of one `.proto`."""

    name: str
    modules: Mapping[Module, str]
    """The modules of the messages, and the names that the code has for them."""
    services: tuple[Service, ...]


def _kind(is_stream: bool) -> str:
    return "stream" if is_stream else "unary"


def message_types(files: Iterable[FileDescriptorProto]) -> dict[str, MessageType]:
    """Return every message of these files, by its full name with a dot before it, as descriptors have it."""
    found: dict[str, MessageType] = {}

    def add(prefix: str, outer: str, message: DescriptorProto) -> None:
        found[f"{prefix}.{message.name}"] = MessageType(module, f"{outer}{message.name}")
        for nested in message.nested_type:
            add(f"{prefix}.{message.name}", f"{outer}{message.name}.", nested)

    for file in files:
        module = message_module(file.name)
        for message in file.message_type:
            add(f".{file.package}" if file.package else "", "", message)
    return found


def services_of(file: FileDescriptorProto, types: Mapping[str, MessageType]) -> ServiceFile:
    """Return the services of a file."""
    comments = {tuple(place.path): _comment(place) for place in file.source_code_info.location}
    prefix = f"{file.package}." if file.package else ""
    modules = _names_of(
        {
            types[message].module
            for service in file.service
            for method in service.method
            for message in (method.input_type, method.output_type)
        }
    )

    def class_of(message: str) -> str:
        return f"{modules[types[message].module]}.{types[message].attribute}"

    def method_of(service: ServiceDescriptorProto, method: MethodDescriptorProto, at: tuple[int, ...]) -> Method:
        return Method(
            name=method.name,
            path=f"/{prefix}{service.name}/{method.name}",
            request=class_of(method.input_type),
            response=class_of(method.output_type),
            is_request_stream=method.client_streaming,
            is_response_stream=method.server_streaming,
            comment=comments.get(at, ""),
        )

    def service_of(service: ServiceDescriptorProto, at: tuple[int, ...]) -> Service:
        methods = enumerate(service.method)
        return Service(
            name=service.name,
            full_name=prefix + service.name,
            methods=tuple(method_of(service, method, (*at, METHODS_FIELD, index)) for index, method in methods),
            comment=comments.get(at, ""),
        )

    services = tuple(service_of(service, (SERVICES_FIELD, index)) for index, service in enumerate(file.service))
    return ServiceFile(name=file.name, modules=modules, services=services)


def _names_of(modules: set[Module]) -> dict[Module, str]:
    """Return short names for modules, and long ones for those whose short names are the same."""
    last = [module[-1] for module in modules]
    return {module: module[-1] if last.count(module[-1]) == 1 else alias(module) for module in sorted(modules)}


def _comment(place: SourceCodeInfo.Location) -> str:
    lines = (place.leading_comments or place.trailing_comments).strip("\n").splitlines()
    return "\n".join(line.removeprefix(" ").rstrip() for line in lines)


# --- the code --------------------------------------------------------------------------------------------------------


def services_code(file: ServiceFile, layout: Layout) -> str:
    """Return the text of the module `_pb2_grpc.py`."""
    lines = [f'"""Stubs and servicers of {file.name}."""', "", "import types", "", "import grpc", ""]
    lines += [*_imports(file, layout), ""]
    for service in file.services:
        lines += ["", *_stub(service), "", "", *_servicer(service), "", "", *_adder(service), ""]
    return "\n".join(lines)


def _imports(file: ServiceFile, layout: Layout) -> list[str]:
    importer = service_module(file.name)
    return sorted(layout.import_line(module, importer, name) for module, name in file.modules.items())


def _stub(service: Service) -> Iterator[str]:
    yield f"class {service.name}Stub:"
    yield from _docstring(service.comment, "    ", f"Calls {service.full_name}.")
    yield ""
    yield "    __class_getitem__ = classmethod(types.GenericAlias)"
    yield ""
    yield "    def __init__(self, channel):"
    for method in service.methods:
        yield f"        self.{method.name} = channel.{method.kind}("
        yield f'            "{method.path}",'
        yield f"            request_serializer={method.request}.SerializeToString,"
        yield f"            response_deserializer={method.response}.FromString,"
        yield "            _registered_method=True,"
        yield "        )"
    if not service.methods:
        yield "        pass"


def _servicer(service: Service) -> Iterator[str]:
    yield f"class {service.name}Servicer:"
    yield from _docstring(service.comment, "    ", f"Answers the calls of {service.full_name}.")
    for method in service.methods:
        yield ""
        yield f"    def {method.name}(self, {_request_name(method)}, context):"
        yield from _docstring(method.comment, "        ", "")
        yield "        context.set_code(grpc.StatusCode.UNIMPLEMENTED)"
        yield '        context.set_details("Method not implemented!")'
        yield '        raise NotImplementedError("Method not implemented!")'


def _adder(service: Service) -> Iterator[str]:
    yield f"def add_{service.name}Servicer_to_server(servicer, server):"
    yield "    handlers = {"
    for method in service.methods:
        yield f'        "{method.name}": grpc.{method.kind}_rpc_method_handler('
        yield f"            servicer.{method.name},"
        yield f"            request_deserializer={method.request}.FromString,"
        yield f"            response_serializer={method.response}.SerializeToString,"
        yield "        ),"
    yield "    }"
    yield f'    generic_handler = grpc.method_handlers_generic_handler("{service.full_name}", handlers)'
    yield "    server.add_generic_rpc_handlers((generic_handler,))"
    yield f'    server.add_registered_method_handlers("{service.full_name}", handlers)'


def _request_name(method: Method) -> str:
    return "request_iterator" if method.is_request_stream else "request"


# --- its types -------------------------------------------------------------------------------------------------------

_DECLARED = {
    "unary_unary": "UnaryUnary",
    "unary_stream": "UnaryStream",
    "stream_unary": "StreamUnary",
    "stream_stream": "StreamStream",
}


def services_types(file: ServiceFile, layout: Layout) -> str:
    """Return the text of the type stub `_pb2_grpc.pyi`."""
    lines = ["from portcall import typed as _typed", "", *_imports(file, layout)]
    for service in file.services:
        lines += ["", *_stub_types(service), "", *_servicer_types(service), "", _adder_types(service)]
    return "\n".join([*lines, ""])


def _stub_types(service: Service) -> Iterator[str]:
    yield f"class {service.name}Stub(_typed.Stub[_typed.ChannelT_co]):"
    yield from _docstring(service.comment, "    ", f"Calls {service.full_name}.")
    if service.methods:
        yield ""
    for method in service.methods:
        yield f"    {method.name}: _typed.{_DECLARED[method.kind]}[{method.request}, {method.response}]"
        yield from _docstring(method.comment, "    ", "")


def _servicer_types(service: Service) -> Iterator[str]:
    yield f"class {service.name}Servicer:"
    yield from _docstring(service.comment, "    ", f"Answers the calls of {service.full_name}.")
    for method in service.methods:
        request = f"_typed.RequestIterator[{method.request}]" if method.is_request_stream else method.request
        reply = "Replies" if method.is_response_stream else "Reply"
        yield ""
        yield f"    def {method.name}("
        yield "        self,"
        yield f"        {_request_name(method)}: {request},"
        yield f"        context: _typed.Context[{method.request}, {method.response}],"
        yield f"    ) -> _typed.{reply}[{method.response}]:{'' if method.comment else ' ...'}"
        yield from _docstring(method.comment, "        ", "")


def _adder_types(service: Service) -> str:
    name = service.name
    return f"def add_{name}Servicer_to_server(servicer: {name}Servicer, server: _typed.Server) -> None: ..."


def _docstring(comment: str, indent: str, otherwise: str) -> Iterator[str]:
    """Write a comment of the `.proto` as a docstring, whatever is in it; nothing if there is nothing to say."""
    text = (comment or otherwise).replace("\\", "\\\\").replace('"""', r"\"\"\"")
    if not text:
        return
    first, *rest = text.splitlines()
    if not rest:
        yield f'{indent}"""{first}{" " if first.endswith(QUOTE) else ""}"""'
        return
    yield f'{indent}"""{first}'
    for line in rest:
        yield f"{indent}{line}".rstrip()
    yield f'{indent}"""'
