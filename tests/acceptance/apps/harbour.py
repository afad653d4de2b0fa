"""A worker with the harbour's servicer, whose contract has descriptors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "protos"))

from harbour_pb2_grpc import add_PortServicer_to_server  # noqa: E402
from harbour_port import Port  # noqa: E402

import portcall  # noqa: E402

worker = portcall.Worker()
add_PortServicer_to_server(Port(), worker)  # type: ignore[no-untyped-call]
