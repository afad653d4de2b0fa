"""What tools ask a hub: reflection (v1 and v1alpha), health, and the fleet."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TypeAlias

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from portcall.contract.registry import ContractRegistry
from portcall.errors import PortcallError
from portcall.hub.board import Board
from portcall.hub.fleet import Fleet
from portcall.hub.guard import Guard
from portcall.hub.jobs.hosting import HubJobs
from portcall.protos.portcall.v1 import fleet_pb2, jobs_pb2, link_pb2, options_pb2

HUB_SERVICES = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "portcall.v1.Fleet",
    "portcall.v1.Hub",
    "portcall.v1.Jobs",
)

Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"


def _reflection_v1() -> FileDescriptorProto:
    """Return the descriptor of grpc.reflection.v1: the same messages as v1alpha's, under the newer name."""
    alpha = reflection_pb2.DESCRIPTOR.serialized_pb
    file = FileDescriptorProto.FromString(alpha)
    file.name = "grpc/reflection/v1/reflection.proto"
    file.package = "grpc.reflection.v1"
    file.ClearField("options")
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".grpc.reflection.v1alpha.", ".grpc.reflection.v1.")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace("v1alpha", "v1")
            method.output_type = method.output_type.replace("v1alpha", "v1")
    return file


def own_files() -> tuple[FileDescriptorProto, ...]:
    """Return the descriptors of the hub's own services."""
    modules = (health_pb2, reflection_pb2, descriptor_pb2, options_pb2, jobs_pb2, link_pb2, fleet_pb2)
    return (
        *(FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb) for module in modules),
        _reflection_v1(),
    )


class Reflection:
    """grpc.reflection: which services there are, and their descriptors."""

    def __init__(self, registry: ContractRegistry) -> None:
        self._registry = registry

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return the service under both of its names; on the wire they are the same."""
        method = grpc.stream_stream_rpc_method_handler(
            self._answer_all,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return tuple(
            grpc.method_handlers_generic_handler(
                f"grpc.reflection.{version}.ServerReflection", {"ServerReflectionInfo": method}
            )
            for version in ("v1", "v1alpha")
        )

    async def _answer_all(
        self, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest], _: Context
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        async for request in requests:
            answer = self._answer(request)
            answer.valid_host = request.host
            answer.original_request.CopyFrom(request)
            yield answer

    def _answer(self, request: reflection_pb2.ServerReflectionRequest) -> reflection_pb2.ServerReflectionResponse:
        kind = request.WhichOneof("message_request")
        if kind == "list_services":
            names = sorted({*HUB_SERVICES, *self._registry.services})
            listing = reflection_pb2.ListServiceResponse(
                service=[reflection_pb2.ServiceResponse(name=name) for name in names]
            )
            return reflection_pb2.ServerReflectionResponse(list_services_response=listing)
        if kind == "file_by_filename":
            return self._files(self._registry.file(request.file_by_filename), request.file_by_filename)
        if kind == "file_containing_symbol":
            symbol = request.file_containing_symbol
            return self._files(self._registry.file_of_symbol(symbol), symbol)
        return _error(grpc.StatusCode.UNIMPLEMENTED, f"{kind or 'an empty request'} is not answered here")

    def _files(self, file: FileDescriptorProto | None, wanted: str) -> reflection_pb2.ServerReflectionResponse:
        if file is None:
            return _error(grpc.StatusCode.NOT_FOUND, f"no worker has brought a descriptor of {wanted}")
        files = [entry.SerializeToString() for entry in self._registry.with_dependencies(file)]
        return reflection_pb2.ServerReflectionResponse(
            file_descriptor_response=reflection_pb2.FileDescriptorResponse(file_descriptor_proto=files)
        )


def _error(code: grpc.StatusCode, words: str) -> reflection_pb2.ServerReflectionResponse:
    return reflection_pb2.ServerReflectionResponse(
        error_response=reflection_pb2.ErrorResponse(error_code=code.value[0], error_message=words)
    )


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the package has no types
    """grpc.health.v1: SERVING for the hub itself, and for each service as long as some worker takes calls for it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._changed = asyncio.Event()
        self._is_closing = False
        fleet.on_change(self._note_change)

    def close(self) -> None:
        """Answer NOT_SERVING from now on, and end the watches. Idempotent."""
        self._is_closing = True
        self._note_change()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """Answer for now."""
        status = self._status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no worker has brought a service {request.service}")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, _: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answer now and at every change."""
        last = None
        while True:
            changed, is_closing = self._changed, self._is_closing
            status = self._status(request.service)
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
            if is_closing:
                return
            await changed.wait()

    def _status(self, service: str) -> int:
        response = health_pb2.HealthCheckResponse
        if self._is_closing:
            is_serving = False
        elif not service or service in HUB_SERVICES:
            is_serving = True
        elif service in self._fleet.registry.services:
            is_serving = service in self._fleet.serving()
        else:
            return int(response.SERVICE_UNKNOWN)
        return int(response.SERVING if is_serving else response.NOT_SERVING)

    def _note_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class FleetService:
    """portcall.v1.Fleet."""

    def __init__(self, fleet: Fleet, board: Board, jobs: HubJobs, guard: Guard | None = None) -> None:
        self._fleet = fleet
        self._jobs = jobs
        self._board = board
        self._guard = guard

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the service for a `grpc.aio.Server`."""
        method = grpc.unary_unary_rpc_method_handler(
            self._list_workers,
            request_deserializer=fleet_pb2.ListWorkersRequest.FromString,
            response_serializer=fleet_pb2.ListWorkersReply.SerializeToString,
        )
        return grpc.method_handlers_generic_handler("portcall.v1.Fleet", {"ListWorkers": method})

    async def _list_workers(self, _: fleet_pb2.ListWorkersRequest, __: Context) -> fleet_pb2.ListWorkersReply:
        refusals = None if self._guard is None else self._guard.refusals
        reply = fleet_pb2.ListWorkersReply(
            workers=self._fleet.statuses(self._board.now),
            refusals=None if refusals is None else _refusals(refusals),
            keeps_jobs=self._jobs.keeper is not None,
        )
        try:
            reply.jobs.extend(await self._jobs.overview())
        except PortcallError as error:
            reply.jobs_fault = str(error)
        return reply


def _refusals(counts: Mapping[grpc.StatusCode, int]) -> fleet_pb2.Refusals:
    return fleet_pb2.Refusals(
        unauthenticated=counts[grpc.StatusCode.UNAUTHENTICATED],
        permission_denied=counts[grpc.StatusCode.PERMISSION_DENIED],
    )
