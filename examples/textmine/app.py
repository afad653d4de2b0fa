"""The worker of this project: `portcall worker app:worker --hub HOST:PORT` runs it."""

from service import TextMine
from textmine_pb2_grpc import add_TextMineServicer_to_server

import portcall

worker = portcall.Worker()  # was: grpc.aio.server()
add_TextMineServicer_to_server(TextMine(), worker)
