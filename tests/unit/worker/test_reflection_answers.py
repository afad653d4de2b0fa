"""Servers whose reflection is odd or hostile: a contract comes of it, or an error that says what is wrong."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import grpc
import hypothesis.strategies as st
import pytest
from google.protobuf import any_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from hypothesis import given

from portcall.contract.contract import parse_contract
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1.link_pb2 import Contract
from portcall.worker.learning import learn_by_reflection
from portcall.worker.upstream import Upstream, UpstreamAwayError
from unit.contract.proto_files import file_of, fuzzed_files

Answer = bytes | grpc.StatusCode | None
"""What comes for a question: bytes, an end with a status, or an end of the stream."""


class FakeUpstream:
    """Stands in for an `Upstream` whose server answers questions as a function says."""

    target = "app:1"

    def __init__(self, answer: Callable[[str, ServerReflectionRequest], Answer]) -> None:
        self._answer = answer
        self.channel = self

    def unary_stream(self, path: str) -> Callable[[bytes], "FakeCall"]:
        version = path.split(".")[2]
        return lambda question: FakeCall(self._answer(version, ServerReflectionRequest.FromString(question)))


class FakeCall:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def read(self) -> object:
        if isinstance(self._answer, grpc.StatusCode):
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(self._answer, nothing, nothing, details="no")
        return grpc.aio.EOF if self._answer is None else self._answer

    def cancel(self) -> None:
        pass


def learn(answer: Callable[[str, ServerReflectionRequest], Answer], *wanted: str) -> Contract:
    upstream = cast("Upstream", FakeUpstream(answer))
    return asyncio.run(learn_by_reflection(upstream, wanted))


def listing(*names: str) -> bytes:
    answer = ServerReflectionResponse()
    for name in names:
        answer.list_services_response.service.add(name=name)
    answer.list_services_response.SetInParent()
    return answer.SerializeToString()


def files(*serialized: bytes) -> bytes:
    answer = ServerReflectionResponse()
    answer.file_descriptor_response.file_descriptor_proto.extend(serialized)
    answer.file_descriptor_response.SetInParent()
    return answer.SerializeToString()


def error(words: str, code: int = 5) -> bytes:
    answer = ServerReflectionResponse()
    answer.error_response.error_code, answer.error_response.error_message = code, words
    return answer.SerializeToString()


def server_of(
    *declared: FileDescriptorProto, services: Sequence[str] = ("S",), versions: Sequence[str] = ("v1", "v1alpha")
) -> Callable[[str, ServerReflectionRequest], Answer]:
    """A server that gives each file alone, as some do, and the one with a service for its name."""
    by_name = {file.name: file for file in declared}

    def answer(version: str, question: ServerReflectionRequest) -> Answer:
        if version not in versions:
            return grpc.StatusCode.UNIMPLEMENTED
        if question.list_services:
            return listing(*services)
        name = question.file_by_filename
        if not name:
            symbol = question.file_containing_symbol
            name = next((file.name for file in declared if symbol in {each.name for each in file.service}), "")
        return files(by_name[name].SerializeToString()) if name in by_name else error(f"no {name}")

    return answer


@pytest.mark.parametrize("versions", [("v1",), ("v1alpha",), ("v1", "v1alpha")])
def test_either_version_will_do(versions: tuple[str, ...]) -> None:
    contract = learn(server_of(file_of("a.proto", service="S"), versions=versions))
    assert list(parse_contract(contract).kinds) == ["/S/Do"]


def test_imports_are_asked_for_one_by_one() -> None:
    contract = learn(
        server_of(file_of("a.proto", "b.proto", service="S"), file_of("b.proto", "c.proto"), file_of("c.proto"))
    )
    assert [file.name for file in parse_contract(contract).files] == ["c.proto", "b.proto", "a.proto"]


def test_protobufs_own_files_may_lack() -> None:
    contract = learn(server_of(file_of("a.proto", "google/protobuf/any.proto", service="S")))
    assert contract.files[0] == any_pb2.DESCRIPTOR.serialized_pb


def test_broken_service_that_is_not_wanted_does_no_harm() -> None:
    sound = server_of(file_of("a.proto", service="S"), services=("S", "Broken"))
    assert list(parse_contract(learn(sound, "S")).services) == ["S"]
    with pytest.raises(ConfigurationError, match="it lists Broken, but does not describe it"):
        learn(sound)


def says(*answers: Answer) -> Callable[[str, ServerReflectionRequest], Answer]:
    """A server that gives these answers in turn, and the last one again and again."""
    left = list(answers)
    return lambda _, __: left.pop(0) if len(left) > 1 else left[0]


SOUND = file_of("a.proto", service="S").SerializeToString()
ODD: dict[str, tuple[tuple[Answer, ...], str]] = {
    "no-listing": ((files(),), "it does not list its services"),
    "refused-listing": ((error("not today"),), "it does not list its services (not today)"),
    "refused-without-words": ((error("", 7),), "it does not list its services (error 7)"),
    "garbage": ((b"\xff\xff",), "its answer is not a ServerReflectionResponse"),
    "hub": ((listing("S", "portcall.v1.Hub"),), "this is a Portcall hub, whose calls would come back to it"),
    "end": ((None,), "it ended without an answer"),
    "nothing-listed": ((listing(),), "there are no services but those"),
    "end-later": ((listing("S"), None), "it ended without an answer"),
    "no-files": ((listing("S"), files()), "no file in it declares a service S"),
    "garbage-for-a-file": ((listing("S"), files(b"\xff")), "a file in it is not a google.protobuf.FileDescriptorProto"),
    "another-file": (
        (listing("S"), files(file_of("b.proto", service="Other").SerializeToString())),
        "no file in it declares a service S",
    ),
    "other-import": (
        (listing("S"), files(file_of("a.proto", "b.proto", service="S").SerializeToString()), files(SOUND)),
        "it has two different files by the name of a.proto",
    ),
    "import-refused": (
        (listing("S"), files(file_of("a.proto", "b.proto", service="S").SerializeToString()), error("no b")),
        "a.proto imports b.proto, which is not there",
    ),
    "cycle": (
        (
            listing("S"),
            files(file_of("a.proto", "b.proto", service="S").SerializeToString()),
            files(file_of("b.proto", "a.proto").SerializeToString()),
        ),
        "a.proto imports itself, by way of b.proto",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_answers(case: str) -> None:
    answers, words = ODD[case]
    with pytest.raises(ConfigurationError) as caught:
        learn(says(*answers))
    assert str(caught.value).startswith(f"reflection of the upstream app:1: {words}")


def test_names_from_outside_are_shown_in_one_line() -> None:
    names = [f"{'x' * 5_000}\n{number}" for number in range(9)]
    with pytest.raises(ConfigurationError) as caught:
        learn(says(listing(*names)), "bank.Account")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 3_000


def test_imports_without_end() -> None:
    count = 0

    def answer(_: str, question: ServerReflectionRequest) -> Answer:
        nonlocal count
        if question.list_services:
            return listing("S")
        count += 1
        return files(
            file_of(f"{count}.proto", f"{count + 1}.proto", service="S" if count == 1 else "").SerializeToString()
        )

    with pytest.raises(ConfigurationError, match="too large"):
        learn(answer)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_server_that_goes_meanwhile(code: grpc.StatusCode) -> None:
    with pytest.raises(UpstreamAwayError, match="it went away while it was asked for its methods"):
        learn(says(listing("S"), code))


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED])
def test_server_that_refuses_reflection(code: grpc.StatusCode) -> None:
    with pytest.raises(
        ConfigurationError, match=f"does not tell its methods by server reflection \\({code.name}: no\\)"
    ):
        learn(says(code))


answers = st.one_of(
    st.binary(max_size=40),
    st.none(),
    st.sampled_from([listing(), listing("S"), listing("S", "", "\x00", "p.S"), error("no"), files()]),
    st.lists(fuzzed_files(), max_size=3).map(lambda many: files(*(file.SerializeToString() for file in many))),
    st.sampled_from([grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN]),
)


@given(st.lists(answers, min_size=1, max_size=6))
def test_any_answers_make_a_contract_or_a_clear_error(given_answers: list[Any]) -> None:
    try:
        contract = learn(says(listing("S", "p.S"), *given_answers))
    except (ConfigurationError, UpstreamAwayError) as caught:
        assert str(caught)  # noqa: PT017  # no error is right as well
        assert len(str(caught)) < 2_000  # noqa: PT017
    else:
        parse_contract(contract)
