"""A harbour whose handlers a test holds in its hand."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import harbour_pb2_grpc
from harbour_pb2 import Crate, Manifest, Refusal, Sighting, Summary, WatchRequest
from harbour_pb2_grpc import PortStub

import portcall
from integration.stage import LONG_S

__all__ = ["Crate", "Dock", "Manifest", "PortStub", "Refusal", "Sighting", "Summary", "WatchRequest", "add"]

add = harbour_pb2_grpc.add_PortServicer_to_server


class Dock(harbour_pb2_grpc.PortServicer):
    """Inspect answers at once, or fails as often as it is told, or waits until it is let."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.attempts: list[int] = []
        self.parents: list[str] = []
        self.failures_left = 0
        self.opened = asyncio.Event()
        self.opened.set()
        self.news = asyncio.Event()

    async def Inspect(self, request: Manifest, context: Any) -> Manifest:
        job = portcall.current_job()
        self.begun.append(request.string_value)
        self.attempts.append(job.attempt if job is not None else 0)
        self.news.set()
        if job is not None:
            job.progress(1, 2, "half way")
        await self.opened.wait()
        if self.failures_left:
            self.failures_left -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return request

    async def Watch(self, request: WatchRequest, context: Any) -> AsyncIterator[Sighting]:
        for number in range(request.count):
            await self.opened.wait()
            yield Sighting(number=number)

    async def Refuse(self, request: Refusal, context: Any) -> Summary:
        context.set_trailing_metadata((("why", "because"), ("why-bin", b"\x00\xff")))
        code = next(code for code in grpc.StatusCode if code.value[0] == request.code)
        await context.abort(code, request.details)
        raise AssertionError

    async def when_begun(self, count: int) -> None:
        async with asyncio.timeout(LONG_S):
            while len(self.begun) < count:
                self.news.clear()
                await self.news.wait()
