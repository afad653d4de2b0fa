"""Which services of an upstream join, and what a descriptor set in a file comes to."""

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1 import fleet_pb2
from portcall.worker import learning
from portcall.worker.learning import choose_services, read_descriptor_set
from unit.contract.proto_files import file_of

OFFERED = [
    "shop.Stock",
    "shop.Cart",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "portcall.v1.Hub",
]


def test_all_services_join_but_those_that_a_hub_has() -> None:
    assert choose_services(OFFERED, (), "x") == ["shop.Cart", "shop.Stock"]


def test_chosen_services_join() -> None:
    assert choose_services(OFFERED, ("shop.Stock", "shop.Stock"), "x") == ["shop.Stock"]


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("shop.Cat", "Did you mean shop.Cart?"),
        ("Stock", "Did you mean shop.Stock?"),
        ("bank.Account", "It has shop.Cart, shop.Stock"),
        ("grpc.health.v1.Health", "It has shop.Cart, shop.Stock"),
    ],
)
def test_service_that_is_not_there(wanted: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        choose_services(OFFERED, (wanted,), "reflection of the upstream app:1")
    assert str(caught.value) == f"reflection of the upstream app:1: there is no service {wanted!r}. {hint}"


def test_many_services_are_not_all_named() -> None:
    with pytest.raises(ConfigurationError, match=r"It has a0\.S, a1\.S, a2\.S, a3\.S, a4\.S and 5 more$"):
        choose_services([f"a{number}.S" for number in range(10)], ("bank.Account",), "x")


def test_server_without_services_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match="there are no services but those for reflection and health"):
        choose_services(OFFERED[2:], (), "x")


def written(path: Path, *files: object) -> Path:
    path.write_bytes(FileDescriptorSet(file=files).SerializeToString())  # type: ignore[arg-type]
    return path


def test_descriptor_set(tmp_path: Path) -> None:
    path = written(tmp_path / "a.binpb", file_of("a.proto", "google/protobuf/empty.proto", service="A"))
    contract = read_descriptor_set(path, ())
    assert [service.name for service in contract.services] == ["A"]
    assert len(contract.files) == 2


def test_descriptor_set_without_imports(tmp_path: Path) -> None:
    path = written(tmp_path / "a.binpb", file_of("a.proto", "b.proto", service="A"))
    with pytest.raises(ConfigurationError, match=r"a\.binpb: it lacks b\.proto.*protoc --include_imports"):
        read_descriptor_set(path, ())


def test_descriptor_set_that_is_source(tmp_path: Path) -> None:
    path = tmp_path / "a.proto"
    path.write_text('syntax = "proto3";\n')
    with pytest.raises(
        ConfigurationError, match=r"a\.proto: this is not a descriptor set; protoc --descriptor_set_out"
    ):
        read_descriptor_set(path, ())


def test_descriptor_set_that_is_a_single_file(tmp_path: Path) -> None:
    path = tmp_path / "a.binpb"
    path.write_bytes(fleet_pb2.DESCRIPTOR.serialized_pb)
    with pytest.raises(ConfigurationError, match="not a descriptor set"):
        read_descriptor_set(path, ())


@pytest.mark.parametrize(
    ("name", "words"), [("nope.binpb", "No such file or directory"), ("", "Is a directory"), ("a/b", "No such file")]
)
def test_file_that_cannot_be_read(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"it cannot be read: {words}"):
        read_descriptor_set(tmp_path / name, ())


def test_file_that_is_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "SET_BYTES_MAX", 100)
    path = tmp_path / "a.binpb"
    path.write_bytes(bytes(101))
    with pytest.raises(ConfigurationError, match="it is larger than 100 bytes"):
        read_descriptor_set(path, ())


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.binpb").touch()
    with pytest.raises(ConfigurationError, match="there are no services"):
        read_descriptor_set(tmp_path / "a.binpb", ())
