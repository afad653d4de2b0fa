"""What the route `sidecar` puts beside its sidecar: a grpcio server that describes whatever a case serves."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection

from portcall.wire.access import resolve_access
from portcall.worker.sidecar import Sidecar, SidecarConfig

Handlers = Mapping[str, Any]


class UpstreamServer:
    """A `grpc.aio.Server` and its sidecar, which start and stop as one server does.

    Handlers without generated code get a descriptor by their names, so that reflection can tell of them. Interceptors
    are shown the calls of the case alone, and not those by which the sidecar asks.
    """

    def __init__(
        self, hub: str, slots: int, interceptors: Sequence[grpc.aio.ServerInterceptor], options: Sequence[Any]
    ) -> None:
        shown = [_OfTheCase(each) if isinstance(each, grpc.aio.ServerInterceptor) else each for each in interceptors]
        self._server = grpc.aio.server(interceptors=shown, options=options)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._sidecar = Sidecar(SidecarConfig(upstream=f"127.0.0.1:{port}", access=resolve_access(hub), slots=slots))
        self._services: dict[str, Handlers] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        for handler in generic_rpc_handlers:
            self._server.add_generic_rpc_handlers((handler,))
            self._services[handler.service_name()] = {
                path.rpartition("/")[2]: method for path, method in handler._method_handlers.items()
            }

    def add_registered_method_handlers(self, service_name: str, method_handlers: Handlers) -> None:
        self._server.add_registered_method_handlers(service_name, dict(method_handlers))
        self._services[service_name] = method_handlers

    async def start(self) -> None:
        pool = DescriptorPool()
        for name, methods in self._services.items():
            pool.AddSerializedFile(_file_of(name, methods))
        names = (*self._services, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server, pool=pool)
        await self._server.start()
        await self._sidecar.start()

    async def stop(self, grace: float | None) -> None:
        await self._sidecar.stop(grace)
        await self._server.stop(grace)


class _OfTheCase(grpc.aio.ServerInterceptor):
    """Shows an interceptor what is not the sidecar's own."""

    def __init__(self, interceptor: grpc.aio.ServerInterceptor) -> None:
        self._interceptor = interceptor

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        if details.method.startswith("/grpc."):
            return await continuation(details)
        return await self._interceptor.intercept_service(continuation, details)


def _file_of(service: str, methods: Handlers) -> bytes:
    """The file that declares a service: the generated one, or one made from its handlers."""
    try:
        return bytes(Default().FindServiceByName(service).file.serialized_pb)
    except KeyError:
        package, _, name = service.rpartition(".")
        file = FileDescriptorProto(name=f"{service}.proto", package=package, syntax="proto3")
        file.message_type.add(name="Bytes")
        declared = file.service.add(name=name)
        for method, handler in methods.items():
            declared.method.add(
                name=method,
                input_type=f".{package}.Bytes",
                output_type=f".{package}.Bytes",
                client_streaming=bool(handler.request_streaming),
                server_streaming=bool(handler.response_streaming),
            )
        return file.SerializeToString()
