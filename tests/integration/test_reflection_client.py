"""What can be learnt from servers of every kind by reflection, and what is said of those that do not tell."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
import harbour_pb2
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import (
    ErrorResponse,
    FileDescriptorResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from portcall.contract.catalog import Catalog, DescriptorError
from portcall.contract.reflection import SERVICES, ReflectionClient

from .harbour import SERVICE, attach, serve
from .stage import LONG_S, Stage

HARBOUR = FileDescriptorProto.FromString(harbour_pb2.DESCRIPTOR.serialized_pb)
Answer = Callable[[ServerReflectionRequest], ServerReflectionResponse]


def client(stage: Stage, address: str, answer_s: float = LONG_S, **options: Any) -> ReflectionClient:
    return ReflectionClient(stage.native_channel(address), answer_s=answer_s, **options)


def reflects(answer: Answer, service: str = SERVICES[0]) -> grpc.GenericRpcHandler:
    """A reflection service that answers as it is told."""

    async def answers(
        requests: AsyncIterator[ServerReflectionRequest], _: object
    ) -> AsyncIterator[ServerReflectionResponse]:
        async for request in requests:
            yield answer(request)

    handler = grpc.stream_stream_rpc_method_handler(
        answers, ServerReflectionRequest.FromString, ServerReflectionResponse.SerializeToString
    )
    return grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": handler})


def files(*content: bytes) -> ServerReflectionResponse:
    return ServerReflectionResponse(file_descriptor_response=FileDescriptorResponse(file_descriptor_proto=content))


def refusal(code: grpc.StatusCode = grpc.StatusCode.NOT_FOUND) -> ServerReflectionResponse:
    return ServerReflectionResponse(error_response=ErrorResponse(error_code=code.value[0], error_message="no such"))


async def test_hub_tells_all(stage: Stage) -> None:
    asker, catalog = client(stage, await attach(stage)), Catalog()
    assert SERVICE in await asker.services()
    assert await asker.load(SERVICE, catalog)
    assert catalog.service(SERVICE) is not None
    assert catalog.message("google.protobuf.Struct") is not None
    assert not await asker.load("harbour.Nothing", catalog)


async def test_older_server_tells_all(stage: Stage) -> None:
    address = await serve(stage, reflects=[SERVICE, reflection.SERVICE_NAME])
    asker, catalog = client(stage, address), Catalog()
    assert await asker.services() == ["grpc.reflection.v1alpha.ServerReflection", SERVICE]
    assert await asker.load(SERVICE, catalog)
    assert catalog.service(SERVICE) is not None


async def test_server_without_reflection_is_unimplemented(stage: Stage) -> None:
    asker = client(stage, await serve(stage))
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await asker.services()
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_server_that_is_away_is_unavailable(stage: Stage) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client(stage, "127.0.0.1:1").services()
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def answered_by(behavior: Callable[[Any, Any], AsyncIterator[bytes]]) -> grpc.GenericRpcHandler:
    handler = grpc.stream_stream_rpc_method_handler(behavior)
    return grpc.method_handlers_generic_handler(SERVICES[0], {"ServerReflectionInfo": handler})


async def test_server_that_does_not_answer_is_not_waited_for(stage: Stage) -> None:
    async def deaf(requests: AsyncIterator[Any], _: object) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client(stage, await serve(stage, answered_by(deaf)), answer_s=0.05).services()
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_server_that_ends_without_an_answer_is_named(stage: Stage) -> None:
    async def silent(requests: AsyncIterator[Any], _: object) -> AsyncIterator[bytes]:
        async for _request in requests:
            pass
        for nothing in ():
            yield nothing

    with pytest.raises(DescriptorError, match="ends without an answer"):
        await client(stage, await serve(stage, answered_by(silent))).services()


async def test_metadata_goes_with_the_questions(stage: Stage) -> None:
    seen: list[Any] = []

    async def answers(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        seen.extend(context.invocation_metadata())
        async for _request in requests:
            yield ServerReflectionResponse().SerializeToString()

    asker = client(stage, await serve(stage, answered_by(answers)), metadata=(("authorization", "Bearer x"),))
    assert await asker.services() == []
    assert ("authorization", "Bearer x") in seen


async def test_questions_asked_at_once_get_their_own_answers(stage: Stage) -> None:
    asker, catalog = client(stage, await attach(stage)), Catalog()
    names = [SERVICE, "harbour.Nothing", "grpc.health.v1.Health", "harbour.Flag", "no.Such"]
    found = await asyncio.gather(*(asker.load(name, catalog) for name in names))
    assert found == [True, False, True, True, False]


async def test_files_that_do_not_come_along_are_asked_for(stage: Stage) -> None:
    known = {file.name: file for file in _with_imports(HARBOUR)}
    asked: list[str] = []

    def answer(request: ServerReflectionRequest) -> ServerReflectionResponse:
        asked.append(request.file_by_filename)
        name = request.file_by_filename or "harbour.proto"
        return files(known[name].SerializeToString())

    catalog = Catalog()
    assert await client(stage, await serve(stage, reflects(answer))).load(SERVICE, catalog)
    assert catalog.service(SERVICE) is not None
    assert sorted(asked) == ["", *sorted(HARBOUR.dependency)]


async def test_files_that_everybody_has_are_not_needed(stage: Stage) -> None:
    def answer(request: ServerReflectionRequest) -> ServerReflectionResponse:
        return refusal() if request.file_by_filename else files(HARBOUR.SerializeToString())

    catalog = Catalog()
    assert await client(stage, await serve(stage, reflects(answer))).load(SERVICE, catalog)
    assert catalog.service(SERVICE) is not None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            lambda request: refusal() if request.file_by_filename else files(_lacking().SerializeToString()),
            "the server's reflection has no own/missing.proto, which harbour.Port needs",
        ),
        (lambda _: files(_lacking().SerializeToString()), "has no own/missing.proto, which harbour.Port needs"),
        (lambda _: files(b"\xff"), "the server's reflection gives something else than descriptors"),
        (lambda _: refusal(grpc.StatusCode.INTERNAL), "the server's reflection failed: no such"),
    ],
    ids=["missing", "another", "garbage", "error"],
)
async def test_reflection_that_is_broken_is_named(stage: Stage, answer: Answer, words: str) -> None:
    with pytest.raises(DescriptorError, match=words):
        await client(stage, await serve(stage, reflects(answer))).load(SERVICE, Catalog())


def _lacking() -> FileDescriptorProto:
    made = FileDescriptorProto.FromString(harbour_pb2.DESCRIPTOR.serialized_pb)
    made.dependency.append("own/missing.proto")
    return made


def _with_imports(file: FileDescriptorProto) -> Iterable[FileDescriptorProto]:
    catalog = Catalog()
    catalog.add_installed(catalog.add([file]))
    catalog.add(())
    return catalog.files
