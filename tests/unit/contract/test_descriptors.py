"""Descriptors from elsewhere: whatever they hold, a contract comes of them or an error that says what is wrong."""

import grpc_health.v1.health_pb2 as health
import hypothesis.strategies as st
import pytest
from google.protobuf import descriptor_pool, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from hypothesis import given

from portcall.contract import descriptors
from portcall.contract.contract import MethodKind, MethodSpec, describe_methods, parse_contract
from portcall.contract.descriptors import DescriptorFiles
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1 import fleet_pb2

from .proto_files import file_of, fuzzed_files

KINDS = {(False, False): "Unary", (False, True): "Down", (True, False): "Up", (True, True): "Both"}


def files_of(*files: FileDescriptorProto) -> DescriptorFiles:
    made = DescriptorFiles("test.binpb")
    made.add_set(FileDescriptorSet(file=files).SerializeToString())
    return made


def names(contract: object) -> list[str]:
    return [FileDescriptorProto.FromString(file).name for file in contract.files]  # type: ignore[attr-defined]


def test_methods_have_the_kinds_that_the_file_says() -> None:
    file = file_of("a.proto", package="a", service="S", methods=tuple(KINDS.values()))
    for method, kind in zip(file.service[0].method, KINDS, strict=True):
        method.client_streaming, method.server_streaming = kind
    contract = parse_contract(files_of(file).contract(["a.S"]))
    assert contract.kinds == {
        f"/a.S/{name}": MethodKind(client_streaming=up, server_streaming=down) for (up, down), name in KINDS.items()
    }


def test_contract_is_the_one_that_a_worker_with_the_same_code_has() -> None:
    service = fleet_pb2.DESCRIPTOR.services_by_name["Fleet"]
    specs = [
        MethodSpec(
            service=service.full_name,
            name=method.name,
            kind=MethodKind(client_streaming=False, server_streaming=False),
        )
        for method in service.methods
    ]
    files = DescriptorFiles("reflection")
    waiting = [fleet_pb2.DESCRIPTOR]
    while waiting:
        file = waiting.pop()
        files.add(file.serialized_pb)
        waiting.extend(file.dependencies)
    assert files.contract([service.full_name]) == describe_methods(specs)


def test_files_come_behind_their_imports_and_others_not_at_all() -> None:
    files = files_of(
        file_of("a.proto", "b.proto", "c.proto", service="A"),
        file_of("other.proto", service="Other"),
        file_of("c.proto", "d.proto"),
        file_of("d.proto"),
        file_of("b.proto", "d.proto"),
    )
    assert names(files.contract(["A"])) == ["d.proto", "b.proto", "c.proto", "a.proto"]


def test_default_pool_is_left_alone() -> None:
    file = file_of("left_alone.proto", package="left_alone", service="S")
    files_of(file).contract(["left_alone.S"])
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileByName("left_alone.proto")


def test_same_name_as_in_the_default_pool_may_mean_something_else() -> None:
    other = file_of(health.DESCRIPTOR.name, package="grpc.health.v1", service="Health", methods=("Other",))
    contract = parse_contract(files_of(other).contract(["grpc.health.v1.Health"]))
    assert list(contract.kinds) == ["/grpc.health.v1.Health/Other"]


def test_protobufs_own_files_need_not_be_there() -> None:
    files = files_of(file_of("a.proto", "google/protobuf/api.proto", service="A"))
    files.add_well_known()
    assert files.missing() == []
    imported = ["source_context", "any", "type", "api"]
    assert names(files.contract(["A"])) == [*(f"google/protobuf/{name}.proto" for name in imported), "a.proto"]


def test_protobufs_own_files_may_be_other_versions() -> None:
    theirs = FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    theirs.options.go_package = "elsewhere"
    files = files_of(theirs, file_of("a.proto", theirs.name, service="A"))
    files.add_well_known()
    assert files.contract(["A"]).files[0] == theirs.SerializeToString()


def test_file_that_comes_twice_is_one() -> None:
    file = file_of("a.proto", service="A")
    assert names(files_of(file, file).contract(["A"])) == ["a.proto"]


def test_comments_are_left_out_of_a_set() -> None:
    plain, commented = file_of("a.proto", service="A"), file_of("a.proto", service="A")
    commented.source_code_info.location.add(leading_comments="why")
    assert files_of(commented).contract(["A"]) == files_of(plain).contract(["A"])


def test_long_chain_of_imports() -> None:
    files = [file_of(f"{n}.proto", f"{n + 1}.proto", service=f"S{n}") for n in range(1_500)]
    contract = files_of(*files, file_of("1500.proto")).contract(["S0"])
    assert names(contract) == [f"{n}.proto" for n in reversed(range(1_501))]


UNFIT = {
    "no-such-service": ([file_of("a.proto", service="A")], "no file in it declares a service B"),
    "missing-import": ([file_of("a.proto", "b.proto", service="B")], "a.proto imports b.proto, which is not there"),
    "cycle": (
        [file_of("a.proto", "b.proto", service="B"), file_of("b.proto", "a.proto")],
        "a.proto imports itself, by way of b.proto",
    ),
    "self": ([file_of("a.proto", "a.proto", service="B")], "a.proto imports itself, by way of a.proto"),
    "two-files-of-a-name": (
        [file_of("a.proto", service="B"), file_of("a.proto")],
        "it has two different files by the name of a.proto",
    ),
    "two-services-of-a-name": (
        [file_of("a.proto", service="B"), file_of("b.proto", service="B")],
        "service B is in a.proto and in b.proto",
    ),
    "no-name": ([file_of("", service="B")], "a file in it has no name"),
    "no-methods": ([file_of("a.proto", service="B", methods=())], "there are no methods in B"),
    "two-methods-of-a-name": (
        [file_of("a.proto", service="B", methods=("C", "C"))],
        "a.proto is not sound: duplicate method name (C)",
    ),
    "odd-name": ([file_of("a.proto", service="B", methods=("\n",))], "a.proto is not sound: invalid name"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_files_that_do_not_fit_together(case: str) -> None:
    files, words = UNFIT[case]
    with pytest.raises(ConfigurationError) as caught:
        files_of(*files).contract(["B"])
    assert str(caught.value).startswith(f"test.binpb: {words}")


def test_type_that_is_nowhere() -> None:
    file = file_of("a.proto", service="A")
    file.service[0].method[0].output_type = ".no.Such"
    with pytest.raises(ConfigurationError, match=r"a\.proto is not sound: couldn't resolve name '\.no\.Such'"):
        files_of(file).contract(["A"])


def test_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "FILES_MAX", 2)
    with pytest.raises(ConfigurationError, match="too large"):
        files_of(*(file_of(f"{n}.proto") for n in range(3)))


def test_too_many_bytes() -> None:
    huge = file_of("a.proto")
    huge.message_type.add(name="x" * descriptors.FILES_BYTES_MAX)
    with pytest.raises(ConfigurationError, match="too large"):
        files_of(huge)


@pytest.mark.parametrize("garbage", [b"\xff", b"<html>", b"\x0a\x09short"])
def test_bytes_that_are_no_descriptors(garbage: bytes) -> None:
    for add in (DescriptorFiles("x").add, DescriptorFiles("x").add_set):
        with pytest.raises(ConfigurationError, match=r"^x: "):
            add(garbage)


def use(files: DescriptorFiles) -> None:
    """All that a sidecar does with them; a contract that comes of it is one that a hub takes."""
    files.add_well_known()
    files.missing()
    parse_contract(files.contract(files.services))


@given(st.lists(fuzzed_files(), max_size=4))
def test_nearly_sound_files_make_a_contract_or_a_clear_error(fuzzed: list[FileDescriptorProto]) -> None:
    try:
        use(files_of(*fuzzed))
    except ConfigurationError as error:
        assert str(error).startswith("test.binpb: ")  # noqa: PT017  # no error is right as well
        assert len(str(error)) < 2_000  # noqa: PT017


@given(st.binary(max_size=200), st.data())
def test_bytes_make_a_contract_or_a_clear_error(garbage: bytes, data: st.DataObject) -> None:
    sound = file_of("a.proto", package="p", service="S").SerializeToString()
    at = data.draw(st.integers(0, len(sound)))
    for serialized in (garbage, sound[:at] + garbage, sound[:at] + garbage + sound[at:]):
        files = DescriptorFiles("fuzzed")
        for add in (files.add, files.add_set):
            try:
                add(serialized)
                use(files)
            except ConfigurationError as error:
                assert str(error).startswith("fuzzed: ")  # noqa: PT017  # no error is right as well
