"""Learns from a gRPC server itself what it serves: grpc.reflection v1, or v1alpha where the server is older."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

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
    """Asks one server, one question at a time, on one stream that stays open until `close`.

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
        self._metadata = metadata
        self._wait_for_ready = wait_for_ready
        self._services = list(SERVICES)
        self._stream: Any = None

    async def __aenter__(self) -> Self:
        """Nothing is asked yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End the stream. Idempotent."""
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None

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
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._ask_either(question)
        except TimeoutError:
            self.close()
            words = f"no answer to a question of reflection within {self._answer_s:g} s"
            raise _error(grpc.StatusCode.DEADLINE_EXCEEDED, words) from None

    async def _ask_either(self, question: ServerReflectionRequest) -> ServerReflectionResponse:
        while True:
            if self._stream is None:
                self._stream = self._open(self._services[0])
            answer = await self._exchange(question)
            if answer is not grpc.aio.EOF:
                return answer
            code, details = await self._stream.code(), await self._stream.details()
            self._stream = None
            if code is not grpc.StatusCode.UNIMPLEMENTED or len(self._services) == 1:
                raise _error(code, details)
            del self._services[0]

    def _open(self, service: str) -> Any:
        method = self._channel.stream_stream(
            f"/{service}/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        return method(metadata=tuple(self._metadata), wait_for_ready=self._wait_for_ready)

    async def _exchange(self, question: ServerReflectionRequest) -> Any:
        try:
            await self._stream.write(question)
            return await self._stream.read()
        except (grpc.RpcError, asyncio.InvalidStateError):
            return grpc.aio.EOF


def _error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
