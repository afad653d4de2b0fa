"""A worker that echoes."""

from typing import Any

import grpc

import portcall


async def echo(request: bytes, _: Any) -> bytes:
    return request


worker = portcall.Worker()
worker.add_generic_rpc_handlers(
    (grpc.method_handlers_generic_handler("acceptance.Cargo", {"Echo": grpc.unary_unary_rpc_method_handler(echo)}),)
)
