"""What a tool learns of the fleet's services by reflection, under both names of the protocol."""

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from .servicers import echo
from .stage import Stage

HUB_SERVICES = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "portcall.v1.Fleet",
    "portcall.v1.Hub",
    "portcall.v1.Jobs",
]


class Asker:
    """Asks one hub, each question on a stream of its own unless they come together."""

    def __init__(self, channel: grpc.aio.Channel, version: str) -> None:
        self._ask = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            ServerReflectionRequest.SerializeToString,
            ServerReflectionResponse.FromString,
        )

    async def ask(self, *questions: ServerReflectionRequest) -> list[ServerReflectionResponse]:
        return [answer async for answer in self._ask(iter(questions))]

    async def services(self) -> list[str]:
        (answer,) = await self.ask(ServerReflectionRequest(list_services="*"))
        return [service.name for service in answer.list_services_response.service]

    async def pool(self, **question: str) -> DescriptorPool:
        """A pool that was built from the files of an answer alone."""
        (answer,) = await self.ask(ServerReflectionRequest(**question))
        files = {
            file.name: file
            for file in map(FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)
        }
        pool = DescriptorPool()

        def add(file: FileDescriptorProto) -> None:
            for name in file.dependency:
                add(files[name])
            pool.Add(file)

        for file in files.values():
            add(file)
        return pool


@pytest.fixture(params=["v1", "v1alpha"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def attach_and_ask(stage: Stage, version: str) -> Asker:
    hub = await stage.hub()
    await stage.worker(hub.address, UnaryCall=echo)
    return Asker(stage.native_channel(hub.address), version)


async def test_services_are_the_hubs_own_and_the_fleets(stage: Stage, version: str) -> None:
    hub = await stage.hub()
    asker = Asker(stage.native_channel(hub.address), version)
    assert await asker.services() == HUB_SERVICES
    worker = await stage.worker(hub.address, UnaryCall=echo)
    assert await asker.services() == sorted([*HUB_SERVICES, "interop.Interop"])
    await worker.stop()
    assert "interop.Interop" in await asker.services()


@pytest.mark.parametrize(
    "question",
    [
        {"file_containing_symbol": "interop.Interop"},
        {"file_containing_symbol": "interop.Interop.UnaryCall"},
        {"file_containing_symbol": "interop.UnaryRequest"},
        {"file_containing_symbol": "interop.UnaryRequest.reply_bytes"},
        {"file_by_filename": "interop.proto"},
    ],
    ids=lambda question: next(iter(question.values())),
)
async def test_answers_build_a_descriptor_pool(stage: Stage, version: str, question: dict[str, str]) -> None:
    pool = await (await attach_and_ask(stage, version)).pool(**question)
    service = pool.FindServiceByName("interop.Interop")
    assert service.methods_by_name["FullDuplexCall"].input_type.full_name == "interop.StreamRequest"


@pytest.mark.parametrize("service", HUB_SERVICES)
async def test_hub_describes_its_own_services(stage: Stage, version: str, service: str) -> None:
    pool = await (await attach_and_ask(stage, version)).pool(file_containing_symbol=service)
    assert pool.FindServiceByName(service).methods


async def test_nested_symbols_are_found(stage: Stage, version: str) -> None:
    symbols = ["portcall.v1.Goodbye.Reason", "portcall.v1.WorkerStatus.State", "grpc.health.v1.HealthCheckResponse"]
    asker = await attach_and_ask(stage, version)
    for symbol in symbols:
        pool = await asker.pool(file_containing_symbol=symbol)
        assert pool.FindFileContainingSymbol(symbol)


@pytest.mark.parametrize(
    "question",
    [
        {"file_containing_symbol": "interop.Nothing"},
        {"file_containing_symbol": "nothing.At.All"},
        {"file_containing_symbol": ""},
        {"file_by_filename": "nothing.proto"},
    ],
    ids=lambda question: next(iter(question.values())),
)
async def test_what_is_unknown_is_not_found(stage: Stage, version: str, question: dict[str, str]) -> None:
    (answer,) = await (await attach_and_ask(stage, version)).ask(ServerReflectionRequest(**question))
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_question_that_is_not_answered_here(stage: Stage, version: str) -> None:
    asker = await attach_and_ask(stage, version)
    (answer,) = await asker.ask(ServerReflectionRequest(all_extension_numbers_of_type="interop.Empty"))
    assert answer.error_response.error_code == grpc.StatusCode.UNIMPLEMENTED.value[0]


async def test_several_questions_on_one_stream(stage: Stage, version: str) -> None:
    questions = [
        ServerReflectionRequest(host="somewhere", file_by_filename="nothing.proto"),
        ServerReflectionRequest(list_services="*"),
    ]
    answers = await (await attach_and_ask(stage, version)).ask(*questions)
    assert [answer.original_request for answer in answers] == questions
    assert answers[0].valid_host == "somewhere"
    assert [answer.WhichOneof("message_response") for answer in answers] == ["error_response", "list_services_response"]
