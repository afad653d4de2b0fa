"""How generated modules are named, and how one imports another."""

import pytest

from portcall.contract.modules import (
    Layout,
    alias,
    message_module,
    module_path,
    service_module,
    unimportable_part,
)

A, B, DEEP, OTHER, TOP = (
    ("acme", "a_pb2"),
    ("acme", "b_pb2"),
    ("acme", "v1", "deep_pb2"),
    ("other", "o_pb2"),
    ("top_pb2",),
)
OWN = frozenset({A, B, DEEP, OTHER, TOP})
FLEET = ("portcall", "v1", "fleet_pb2")
STRANGE = ("google", "rpc", "status_pb2")


def layout(*, is_package: bool) -> Layout:
    return Layout(is_package=is_package, own=OWN, moved={FLEET: "portcall.protos.portcall.v1"})


@pytest.mark.parametrize(
    ("module", "importer", "in_package", "in_source_root"),
    [
        (A, B, ".", "."),
        (A, DEEP, "..", ".."),
        (DEEP, A, ".v1", ".v1"),
        (DEEP, OTHER, "..acme.v1", "acme.v1"),
        (OTHER, DEEP, "...other", "other"),
        (TOP, A, "..", ""),
        (A, TOP, ".acme", "acme"),
        (TOP, ("own_pb2",), ".", ""),
        (STRANGE, A, "google.rpc", "google.rpc"),
        (("alone_pb2",), A, "", ""),
        (FLEET, DEEP, "portcall.protos.portcall.v1", "portcall.protos.portcall.v1"),
    ],
)
def test_package_that_a_module_is_imported_from(
    module: tuple[str, ...], importer: tuple[str, ...], in_package: str, in_source_root: str
) -> None:
    assert layout(is_package=True).package(module, importer) == in_package
    assert layout(is_package=False).package(module, importer) == in_source_root


def test_imports_of_protoc_are_put_right_and_nothing_else() -> None:
    text = """\
from google.protobuf import descriptor as _descriptor
import top_pb2 as top__pb2
from acme import a_pb2 as acme_dot_a__pb2
from google.rpc import status_pb2 as _status_pb2
from portcall.v1 import fleet_pb2 as _fleet_pb2
from acme.a_pb2 import *
from top_pb2 import One as One, Two as Two
word = 'import top_pb2 as top__pb2'
"""
    assert (
        layout(is_package=True).relocate(text, DEEP)
        == """\
from google.protobuf import descriptor as _descriptor
from ... import top_pb2 as top__pb2
from .. import a_pb2 as acme_dot_a__pb2
from google.rpc import status_pb2 as _status_pb2
from portcall.protos.portcall.v1 import fleet_pb2 as _fleet_pb2
from ..a_pb2 import *
from ...top_pb2 import One as One, Two as Two
word = 'import top_pb2 as top__pb2'
"""
    )
    assert (
        layout(is_package=False).relocate("from top_pb2 import One as One\n", A) == "from top_pb2 import One as One\n"
    )


@pytest.mark.parametrize(
    ("name", "module", "path", "name_in_code"),
    [
        ("greet.proto", ("greet_pb2",), "greet_pb2.py", "greet__pb2"),
        ("a/b_c.proto", ("a", "b_c_pb2"), "a/b_c_pb2.py", "a_dot_b__c__pb2"),
        ("my-api/x-y.proto", ("my_api", "x_y_pb2"), "my_api/x_y_pb2.py", "my__api_dot_x__y__pb2"),
        ("a.v1.proto", ("a", "v1_pb2"), "a/v1_pb2.py", "a_dot_v1__pb2"),
    ],
)
def test_names_are_those_of_protoc(name: str, module: tuple[str, ...], path: str, name_in_code: str) -> None:
    assert message_module(name) == module
    assert module_path(module, ".py") == path
    assert alias(module) == name_in_code
    assert module_path(service_module(name), ".pyi") == path.replace("_pb2.py", "_pb2_grpc.pyi")


@pytest.mark.parametrize(
    ("name", "part"), [("a/b.proto", None), ("class/b.proto", "class"), ("a/1.proto", "1_pb2"), ("a b/c.proto", "a b")]
)
def test_part_that_no_import_can_have(name: str, part: str | None) -> None:
    assert unimportable_part(message_module(name)) == part
