"""The harbour's descriptors as a catalog that got them from somewhere else than the generated code."""

import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

sys.path.insert(0, str(Path(__file__).parents[2] / "protos"))

import harbour_pb2

from portcall.contract.catalog import Catalog


@pytest.fixture(scope="session")
def harbour() -> Catalog:
    catalog = Catalog()
    catalog.add_installed(catalog.add([FileDescriptorProto.FromString(harbour_pb2.DESCRIPTOR.serialized_pb)]))
    assert catalog.add(()) == []
    return catalog
