"""Contracts that other processes send: what is taken, what is refused, and what makes two of them equal."""

import hypothesis.strategies as st
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from hypothesis import given

from portcall.contract.contract import (
    FILES_MAX,
    METHODS_MAX,
    MethodKind,
    MethodSpec,
    describe_methods,
    fingerprint,
    parse_contract,
)
from portcall.errors import ProtocolError
from portcall.protos.portcall.v1.link_pb2 import Contract, Method, Service

FILE = FileDescriptorProto(name="a.proto", package="a").SerializeToString()


def contract_of(service: str = "a.B", *methods: str, files: list[bytes] | None = None) -> Contract:
    """Return a contract of one service; with one method if none is named."""
    named = [Method(name=method) for method in methods or ("C",)]
    return Contract(services=[Service(name=service, methods=named)], files=files or [])


def test_methods_are_known_by_their_paths() -> None:
    message = Contract(
        services=[
            Service(name="a.B", methods=[Method(name="C"), Method(name="D", client_streaming=True)]),
            Service(name="E", methods=[Method(name="F", server_streaming=True)]),
        ],
        files=[FILE],
    )
    contract = parse_contract(message)
    assert contract.kinds == {
        "/a.B/C": MethodKind(client_streaming=False, server_streaming=False),
        "/a.B/D": MethodKind(client_streaming=True, server_streaming=False),
        "/E/F": MethodKind(client_streaming=False, server_streaming=True),
    }
    assert contract.services == ("E", "a.B")
    assert [file.name for file in contract.files] == ["a.proto"]


@pytest.mark.parametrize("name", ["A", "a.B", "a.b.c.D", "_x", "a1.B_2", "a" * 512])
def test_names_of_services_that_can_be(name: str) -> None:
    assert parse_contract(contract_of(name)).services == (name,)


@pytest.mark.parametrize(
    "name",
    ["", ".", ".a", "a.", "a..b", "1a", "a.1b", "a/b", "a b", "a\n", "\u00e9", "a.B\x00", "a-b", "a" * 513, "../etc"],
)
def test_names_of_services_that_cannot_be(name: str) -> None:
    with pytest.raises(ProtocolError, match="names a service"):
        parse_contract(contract_of(name))


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "1a", "a b", "a\n", "\u00e9", "a" * 257])
def test_names_of_methods_that_cannot_be(name: str) -> None:
    with pytest.raises(ProtocolError, match="names a method"):
        parse_contract(contract_of("a.B", name))


@pytest.mark.parametrize("message", [Contract(), Contract(services=[Service(name="a.B")])], ids=["empty", "no methods"])
def test_a_contract_that_serves_nothing_is_refused(message: Contract) -> None:
    with pytest.raises(ProtocolError, match="a contract without methods"):
        parse_contract(message)


def test_too_many_methods_are_refused() -> None:
    parse_contract(contract_of("a.B", *[f"M{index}" for index in range(METHODS_MAX)]))
    with pytest.raises(ProtocolError, match=f"{METHODS_MAX + 1} methods; at most {METHODS_MAX}"):
        parse_contract(contract_of("a.B", *[f"M{index}" for index in range(METHODS_MAX + 1)]))


def test_too_many_files_are_refused_and_named() -> None:
    with pytest.raises(ProtocolError, match=f"{FILES_MAX + 1} files; at most {FILES_MAX}"):
        parse_contract(contract_of(files=[FILE] * (FILES_MAX + 1)))


@pytest.mark.parametrize("file", [b"\xff", b"\x0a\xff", FILE[:-1]], ids=["junk", "short", "cut"])
def test_a_file_that_is_none_is_refused(file: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"not a google\.protobuf\.FileDescriptorProto"):
        parse_contract(contract_of(files=[FILE, file]))


def test_a_refusal_does_not_repeat_a_name_of_megabytes() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_contract(contract_of("x" * 1_000_000))
    assert len(str(caught.value)) < 300
    with pytest.raises(ProtocolError) as caught:
        parse_contract(contract_of("a.B", "x" * 1_000_000))
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_contract_or_an_offence(junk: bytes) -> None:
    try:
        message = Contract.FromString(junk)
    except DecodeError:
        return
    try:
        parsed = parse_contract(message)
    except ProtocolError:
        return
    assert parsed.kinds


@given(
    st.lists(st.tuples(st.text(max_size=8), st.lists(st.text(max_size=5), max_size=3)), max_size=4),
    st.lists(st.binary(max_size=30), max_size=3),
)
def test_whatever_names_come_it_is_a_contract_or_an_offence(
    services: list[tuple[str, list[str]]], files: list[bytes]
) -> None:
    message = Contract(
        services=[
            Service(name=name, methods=[Method(name=method) for method in methods]) for name, methods in services
        ],
        files=files,
    )
    try:
        parsed = parse_contract(message)
    except ProtocolError:
        return
    assert all(path.count("/") == 2 and path.isascii() and path.isprintable() for path in parsed.kinds)


# --- fingerprints -----------------------------------------------------------------------------------------------------


def test_equal_contracts_have_equal_fingerprints_and_others_do_not() -> None:
    contracts = [contract_of(), contract_of("a.X"), contract_of("a.B", "X"), contract_of(files=[FILE])]
    assert len({fingerprint(contract) for contract in contracts}) == len(contracts)
    again = Contract.FromString(contracts[3].SerializeToString())
    assert fingerprint(again) == fingerprint(contracts[3]) == parse_contract(again).fingerprint


# --- what a worker says of itself -------------------------------------------------------------------------------------


def spec(service: str, name: str, *, server_streaming: bool = False) -> MethodSpec:
    kind = MethodKind(client_streaming=False, server_streaming=server_streaming)
    return MethodSpec(service=service, name=name, kind=kind)


def test_the_order_of_registration_changes_nothing() -> None:
    specs = [spec("b.B", "X"), spec("a.A", "Z"), spec("a.A", "Y", server_streaming=True)]
    first, second = describe_methods(specs), describe_methods(reversed(specs))
    assert first == second
    assert fingerprint(first) == fingerprint(second)
    assert [service.name for service in first.services] == ["a.A", "b.B"]
    assert [method.name for method in first.services[0].methods] == ["Y", "Z"]


def test_a_service_with_descriptors_brings_its_files_dependencies_first() -> None:
    from portcall.protos.portcall.v1 import fleet_pb2  # noqa: PLC0415  # puts itself into the default pool

    message = describe_methods([spec("portcall.v1.Fleet", "ListWorkers")])
    names = [file.name for file in parse_contract(message).files]
    assert names[-1] == fleet_pb2.DESCRIPTOR.name
    assert set(names) >= {dependency.name for dependency in fleet_pb2.DESCRIPTOR.dependencies}
    assert len(names) == len(set(names))


def test_a_service_without_descriptors_is_described_by_its_methods_alone() -> None:
    message = describe_methods([spec("handwritten.Service", "Do")])
    assert not message.files
    assert set(parse_contract(message).kinds) == {"/handwritten.Service/Do"}
