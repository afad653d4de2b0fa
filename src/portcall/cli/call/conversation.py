"""One call of any kind: requests go out as they come, replies come in as they are taken.

On the wire all four kinds of call are streams; a unary one has one message each way. So there is one way of making
them. What is slow, on either side, slows the other down, and nothing is gathered in between.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a call ended."""

    code: grpc.StatusCode
    details: str
    trailers: Metadata
    requests_count: int
    replies_count: int

    @property
    def number(self) -> int:
        """Return the number of the status."""
        number: int = self.code.value[0]
        return number


class Listener(Protocol):
    """Takes what comes back."""

    def on_headers(self, metadata: Metadata) -> None:
        """Take the initial metadata. Once, before any reply."""

    async def on_reply(self, reply: bytes) -> None:
        """Take a reply. The next one is not read before this returns."""


class Conversation:
    """A call under way."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        path: str,
        *,
        metadata: Metadata,
        timeout_s: float | None,
        wait_for_ready: bool,
    ) -> None:
        method: Any = channel.stream_stream(path)
        self._call = method(timeout=timeout_s, metadata=tuple(metadata), wait_for_ready=wait_for_ready)
        self._requests_count = 0
        self._replies_count = 0

    async def run(self, requests: AsyncIterator[bytes], listener: Listener) -> Ending:
        """Send and receive until the call has ended.

        An error of `requests` or `listener`, or being cancelled, cancels the call and is raised.
        """
        receiving = asyncio.create_task(self._receive(listener))
        sending = asyncio.create_task(self._send(requests))
        try:
            pending = {receiving, sending}
            while receiving in pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            return await self._ending()
        finally:
            self._call.cancel()
            receiving.cancel()
            sending.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)

    async def _send(self, requests: AsyncIterator[bytes]) -> None:
        # Not `self._call.write`: when a server ends a call while a request is on its way, that replaces the server's
        # status by INTERNAL, and throws away the replies that are not read yet.
        write = self._call._cython_call.send_serialized_message  # noqa: SLF001  # tests/tidy/test_seam.py watches it
        try:
            await self._call.wait_for_connection()
        except grpc.RpcError:
            return  # the receiving side hears why
        async for request in requests:
            try:
                await write(request)
            except grpc.aio.InternalError:
                return  # the server has ended the call, and the receiving side hears how
            self._requests_count += 1
        with suppress(grpc.aio.InternalError):
            await self._call.done_writing()

    async def _receive(self, listener: Listener) -> None:
        try:
            listener.on_headers(_plain(await self._call.initial_metadata()))
            while (reply := await self._call.read()) is not grpc.aio.EOF:
                self._replies_count += 1
                await listener.on_reply(reply)
        except grpc.RpcError:
            return  # the ending says it

    async def _ending(self) -> Ending:
        return Ending(
            code=await self._call.code(),
            details=await self._call.details() or "",
            trailers=_plain(await self._call.trailing_metadata()),
            requests_count=self._requests_count,
            replies_count=self._replies_count,
        )


def _plain(metadata: Any) -> Metadata:
    return tuple((key, value) for key, value in metadata or ())
