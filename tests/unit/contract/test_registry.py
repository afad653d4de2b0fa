"""What a fleet has brought: methods, files and symbols by name, and how they are forgotten."""

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from portcall.contract.contract import Contract, parse_contract
from portcall.contract.registry import ContractRegistry
from portcall.protos.portcall.v1 import link_pb2

SHAPES = FileDescriptorProto(
    name="shapes.proto",
    package="geo.v1",
    service=[ServiceDescriptorProto(name="Shapes", method=[MethodDescriptorProto(name="Draw")])],
    message_type=[
        DescriptorProto(
            name="Shape",
            field=[FieldDescriptorProto(name="corners")],
            nested_type=[DescriptorProto(name="Corner", nested_type=[DescriptorProto(name="Angle")])],
            enum_type=[EnumDescriptorProto(name="Fill", value=[EnumValueDescriptorProto(name="SOLID")])],
        )
    ],
    enum_type=[EnumDescriptorProto(name="Colour")],
)


def contract_of(name: str, *files: FileDescriptorProto, streaming: bool = False) -> Contract:
    """Return a contract of one service with one method, `Call`."""
    method = link_pb2.Method(name="Call", server_streaming=streaming)
    return parse_contract(
        link_pb2.Contract(
            services=[link_pb2.Service(name=name, methods=[method])],
            files=[file.SerializeToString() for file in files],
        )
    )


def file_of(name: str, *dependencies: str, package: str = "p") -> FileDescriptorProto:
    message = DescriptorProto(name=name.removesuffix(".proto").capitalize())
    return FileDescriptorProto(name=name, package=package, dependency=dependencies, message_type=[message])


def test_an_empty_registry_knows_nothing() -> None:
    registry = ContractRegistry()
    assert registry.kind("/a.A/Call") is None
    assert registry.file("shapes.proto") is None
    assert registry.file_of_symbol("geo.v1.Shape") is None
    assert registry.services == []
    assert registry.methods_count == 0


def test_methods_and_services_are_known_once_brought() -> None:
    registry = ContractRegistry()
    registry.add(contract_of("b.B", streaming=True))
    registry.add(contract_of("a.A"))
    kind = registry.kind("/b.B/Call")
    assert kind is not None
    assert kind.server_streaming
    assert registry.kind("/b.B/Other") is None
    assert registry.services == ["a.A", "b.B"]
    assert registry.methods_count == 2


def test_equal_contracts_are_one_object() -> None:
    registry = ContractRegistry()
    first = registry.add(contract_of("a.A", SHAPES))
    assert registry.add(contract_of("a.A", SHAPES)) is first


@pytest.mark.parametrize(
    "symbol",
    [
        "geo.v1.Shapes",
        "geo.v1.Shapes.Draw",
        "geo.v1.Shape",
        "geo.v1.Shape.corners",
        "geo.v1.Shape.Corner",
        "geo.v1.Shape.Corner.Angle",
        "geo.v1.Shape.Fill",
        "geo.v1.Shape.Fill.SOLID",
        "geo.v1.Colour",
    ],
)
def test_a_symbol_leads_to_its_file(symbol: str) -> None:
    registry = ContractRegistry()
    registry.add(contract_of("geo.v1.Shapes", SHAPES))
    file = registry.file_of_symbol(symbol)
    assert file is not None
    assert file.name == "shapes.proto"
    assert registry.file("shapes.proto") == SHAPES


@pytest.mark.parametrize("symbol", ["", ".", "geo", "geo.v1", "geo.v2.Shape", "Shape", "geo.v1.Shape.Corner.Angle.x.y"])
def test_what_nobody_declared_leads_nowhere(symbol: str) -> None:
    registry = ContractRegistry()
    registry.add(contract_of("geo.v1.Shapes", SHAPES))
    assert registry.file_of_symbol(symbol) is None


def test_a_file_without_a_package_has_bare_symbols() -> None:
    registry = ContractRegistry()
    registry.add(contract_of("A", FileDescriptorProto(name="bare.proto", message_type=[DescriptorProto(name="Bare")])))
    file = registry.file_of_symbol("Bare")
    assert file is not None
    assert file.name == "bare.proto"


def test_the_newer_of_two_contracts_counts() -> None:
    registry = ContractRegistry()
    old, new = contract_of("a.A"), contract_of("a.A", streaming=True)
    registry.add(old)
    registry.add(new)
    kind = registry.kind("/a.A/Call")
    assert kind is not None
    assert kind.server_streaming
    registry.add(old)
    kind = registry.kind("/a.A/Call")
    assert kind is not None
    assert not kind.server_streaming


def test_a_file_comes_with_all_that_it_needs_each_once() -> None:
    files = [
        file_of("a.proto"),
        file_of("b.proto", "a.proto"),
        file_of("c.proto", "a.proto", "b.proto", "missing.proto"),
    ]
    registry = ContractRegistry()
    registry.add(contract_of("x.X", *files))
    found = [file.name for file in registry.with_dependencies(files[2])]
    assert found[0] == "c.proto"
    assert sorted(found) == ["a.proto", "b.proto", "c.proto"]


def test_files_that_need_each_other_do_not_go_on_for_ever() -> None:
    files = [file_of("a.proto", "b.proto"), file_of("b.proto", "a.proto")]
    registry = ContractRegistry()
    registry.add(contract_of("x.X", *files))
    assert len(registry.with_dependencies(files[0])) == 2


# --- forgetting -------------------------------------------------------------------------------------------------------


def test_past_the_bound_the_oldest_contract_goes() -> None:
    registry = ContractRegistry(contracts_max=2)
    for name in ("a", "b", "c"):
        registry.add(contract_of(f"{name}.S", file_of(f"{name}.proto", package=name)))
    assert registry.services == ["b.S", "c.S"]
    assert registry.kind("/a.S/Call") is None
    assert registry.file("a.proto") is None
    assert registry.file_of_symbol("a.A") is None
    assert registry.file_of_symbol("b.B") is not None
    assert registry.kind("/c.S/Call") is not None


def test_a_contract_that_is_brought_again_is_young_again() -> None:
    registry = ContractRegistry(contracts_max=2)
    for name in ("a.S", "b.S", "a.S", "c.S"):
        registry.add(contract_of(name))
    assert registry.services == ["a.S", "c.S"]


def test_contracts_in_use_are_not_forgotten() -> None:
    registry = ContractRegistry(contracts_max=2)
    kept = registry.add(contract_of("a.S"))
    for name in ("b.S", "c.S", "d.S"):
        registry.add(contract_of(name), keep=[kept.fingerprint])
    assert registry.services == ["a.S", "d.S"]


def test_more_contracts_in_use_than_the_bound_are_all_kept() -> None:
    registry = ContractRegistry(contracts_max=1)
    keep: list[str] = []
    for name in ("a.S", "b.S", "c.S"):
        keep.append(registry.add(contract_of(name), keep=keep).fingerprint)
    assert registry.services == ["a.S", "b.S", "c.S"]


def test_what_an_older_contract_says_counts_again_when_the_newer_is_forgotten() -> None:
    registry = ContractRegistry(contracts_max=2)
    old = registry.add(contract_of("a.S"))
    registry.add(contract_of("a.S", streaming=True))
    registry.add(contract_of("b.S"), keep=[old.fingerprint])
    kind = registry.kind("/a.S/Call")
    assert kind is not None
    assert not kind.server_streaming


def test_the_hubs_own_files_are_never_forgotten_nor_replaced() -> None:
    registry = ContractRegistry(contracts_max=1)
    registry.add_files([SHAPES])
    for name in ("a.S", "b.S"):
        registry.add(contract_of(name, FileDescriptorProto(name="shapes.proto", package="another")))
        assert registry.file("shapes.proto") == SHAPES
        assert registry.file_of_symbol("geo.v1.Shape") == SHAPES


def test_the_hubs_own_symbols_are_not_taken_over() -> None:
    registry = ContractRegistry()
    registry.add_files([SHAPES])
    impostor = FileDescriptorProto(
        name="impostor.proto", package="geo.v1", service=[ServiceDescriptorProto(name="Shapes")]
    )
    registry.add(contract_of("a.S", impostor))
    assert registry.file_of_symbol("geo.v1.Shapes") == SHAPES
