"""A worker with the harbour's servicer, whose contract has descriptors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "protos"))

from harbour_pb2_grpc import add_PortServicer_to_server
from harbour_port import Port

import portcall

worker = portcall.Worker()
add_PortServicer_to_server(Port(), worker)  # type: ignore[no-untyped-call]
