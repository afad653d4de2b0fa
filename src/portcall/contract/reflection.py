"""Learns from a gRPC server itself what it serves: grpc.reflection v1, or v1alpha where the server is older."""

from collections.abc import Sequence
from typing import Any, Final, cast

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from portcall.contract.catalog import Catalog, DescriptorError

SERVICES: Final = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""On the wire they are the same; what is asked and answered has the types of the older one here."""

NOT_FOUND: Final = grpc.StatusCode.NOT_FOUND.value[0]

Metadata = Sequence[tuple[str, str | bytes]]


class ReflectionClient:
    """Asks one server.

    Every question raises `grpc.RpcError` as the server or the channel has it: UNIMPLEMENTED if there is no reflection,
    DEADLINE_EXCEEDED if there is no answer within `answer_s`.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        answer_s: float | None,
        metadata: Metadata = (),
        wait_for_ready: bool = False,
    ) -> None:
        self._channel = channel
        self._answer_s = answer_s
        self._metadata = tuple(metadata)
        self._wait_for_ready = wait_for_ready
        self._services = list(SERVICES)

    async def services(self) -> list[str]:
        """Return the names of the server's services, sorted."""
        answer = await self._ask(ServerReflectionRequest(list_services="*"))
        return sorted(service.name for service in answer.list_services_response.service)

    async def load(self, symbol: str, catalog: Catalog) -> bool:
        """Add the file that declares a symbol, and all that it needs; return whether the server knows such a file.

        Raises:
            DescriptorError: what the server gives does not fit together, or lacks a file.
        """
        files = await self._files(ServerReflectionRequest(file_containing_symbol=symbol))
        missing = catalog.add(files)
        while missing:
            found = [file for name in missing for file in await self._files_named(name)]
            catalog.add(found)
            if absent := catalog.add_installed(set(missing) - {file.name for file in found}):
                raise DescriptorError(f"the server's reflection has no {absent[0]}, which {symbol} needs")
            missing = catalog.add(())
        return bool(files)

    async def _files_named(self, name: str) -> list[FileDescriptorProto]:
        return await self._files(ServerReflectionRequest(file_by_filename=name))

    async def _files(self, question: ServerReflectionRequest) -> list[FileDescriptorProto]:
        """Return the files of an answer, none if the server says that there is no such thing."""
        answer = await self._ask(question)
        if answer.HasField("error_response") and answer.error_response.error_code != NOT_FOUND:
            raise DescriptorError(f"the server's reflection failed: {answer.error_response.error_message}")
        try:
            return [
                FileDescriptorProto.FromString(file) for file in answer.file_descriptor_response.file_descriptor_proto
            ]
        except DecodeError:
            raise DescriptorError("the server's reflection gives something else than descriptors") from None

    async def _ask(self, question: ServerReflectionRequest) -> ServerReflectionResponse:
        service = self._services[0]
        # A stream for each question, half-closed with it. On one that stays open a server that ends the call, as one
        # without reflection does, meets our next write, and grpc.aio then has INTERNAL for its status.
        ask: Any = self._channel.unary_stream(
            f"/{service}/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        call = ask(question, timeout=self._answer_s, metadata=self._metadata, wait_for_ready=self._wait_for_ready)
        try:
            answer = await call.read()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED or service == SERVICES[-1]:
                raise
            self._services = [other for other in self._services if other != service]
            return await self._ask(question)
        finally:
            call.cancel()
        if answer is grpc.aio.EOF:
            raise DescriptorError("the server's reflection ends without an answer")
        return cast("ServerReflectionResponse", answer)
