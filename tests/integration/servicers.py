"""Handlers that a test holds in its hand: they tell what they were given, and answer when they are let."""

import asyncio
from collections.abc import AsyncIterator

from interop.service import Context
from interop_pb2 import InputReply, StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .stage import until


async def echo(request: UnaryRequest, context: Context) -> UnaryReply:
    """Answers at once, with the request's body."""
    return UnaryReply(body=request.body)


async def echo_each(requests: AsyncIterator[StreamRequest], context: Context) -> AsyncIterator[StreamReply]:
    """Answers each request as it comes."""
    async for request in requests:
        yield StreamReply(body=request.body)


async def join(requests: AsyncIterator[StreamRequest], context: Context) -> InputReply:
    """Answers with the number of requests, if their bodies count from 0."""
    count = 0
    async for request in requests:
        assert int(request.body) == count
        count += 1
    return InputReply(messages=count)


class Named:
    """Answers with a name, so that a caller sees who it was."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self.count = 0

    async def handle(self, request: UnaryRequest, context: Context) -> UnaryReply:
        self.count += 1
        return UnaryReply(body=self._name)


class Gate:
    """A unary handler that holds its calls until the gate opens; then it answers with the request's body."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.ended: list[bytes] = []
        self.cancelled: list[bytes] = []
        self.opened = asyncio.Event()

    async def handle(self, request: UnaryRequest, context: Context) -> UnaryReply:
        self.begun.append(request.body)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.body)
            raise
        self.ended.append(request.body)
        return UnaryReply(body=request.body)

    async def when_begun(self, count: int = 1) -> None:
        await until(lambda: len(self.begun) >= count)

    async def when_ended(self, count: int = 1) -> None:
        await until(lambda: len(self.ended) >= count)

    async def when_cancelled(self, count: int = 1) -> None:
        await until(lambda: len(self.cancelled) >= count)


class Source:
    """A server-streaming handler: counts from 0 to the number in the request's body, in bodies of some size."""

    def __init__(self, body_bytes: int = 0) -> None:
        self._body_bytes = body_bytes
        self.sent = 0
        self.is_done = asyncio.Event()

    async def handle(self, request: StreamRequest, context: Context) -> AsyncIterator[StreamReply]:
        try:
            for number in range(int(request.body)):
                yield StreamReply(body=(b"%d" % number).rjust(self._body_bytes))
                self.sent += 1
        finally:
            self.is_done.set()


def number(reply: StreamReply) -> int:
    """What a `Source` counted."""
    return int(reply.body)
