"""The harbour's servicer, for a worker and for a plain gRPC server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import harbour_pb2_grpc
from google.rpc.status_pb2 import Status
from harbour_pb2 import Crate, Manifest, Refusal, Sighting, Summary, WatchRequest


class Port(harbour_pb2_grpc.PortServicer):
    """Does what harbour.proto says."""

    async def Inspect(self, request: Manifest, context: Any) -> Manifest:
        sent = tuple(context.invocation_metadata())
        await context.send_initial_metadata(tuple((key, value) for key, value in sent if key.startswith("x-")))
        context.set_trailing_metadata((("x-trailer", "anchored"), ("x-trailer-bin", b"\x00\xff")))
        return request

    async def Watch(self, request: WatchRequest, context: Any) -> AsyncIterator[Sighting]:
        number = 0
        while not request.count or number < request.count:
            number += 1
            yield Sighting(number=number, text="." * request.padding_bytes)

    async def Load(self, requests: AsyncIterator[Crate], context: Any) -> Summary:
        summary = Summary()
        async for crate in requests:
            summary.crates += 1
            summary.weight_kg += crate.weight_kg
        return summary

    async def Weigh(self, requests: AsyncIterator[Crate], context: Any) -> AsyncIterator[Sighting]:
        async for crate in requests:
            if crate.label == "stop":
                await context.abort(grpc.StatusCode.ABORTED, "stopped")
            yield Sighting(number=crate.weight_kg, text=crate.label)

    async def Refuse(self, request: Refusal, context: Any) -> Summary:
        if request.status_details:
            status = Status(code=request.code, message=request.details, details=request.status_details)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        if request.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]:
            await asyncio.Event().wait()
        code = next(code for code in grpc.StatusCode if code.value[0] == request.code)
        await context.abort(code, request.details)
        raise AssertionError
