"""The four kinds of gRPC method, for a case that holds for each of them alike."""

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from interop_pb2 import InputReply, StreamReply, StreamRequest, UnaryReply, UnaryRequest

from .service import Context, InteropStub
from .servicers import Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind, by the method of `Interop` that has it."""

    method: str
    request: Any
    reply: Any
    is_request_stream: bool
    is_reply_stream: bool

    def begin(self, stub: InteropStub, **options: Any) -> Any:
        """Start a call with one request, and half-close."""
        request = iter([self.request]) if self.is_request_stream else self.request
        return getattr(stub, self.method)(request, **options)

    def begin_open(self, stub: InteropStub, **options: Any) -> Any:
        """Start a call; a stream of requests is left open, and empty.

        For a server that ends the call unread. Its status and a request may cross, and then grpc.aio makes the status
        INTERNAL now and then.
        """
        request = () if self.is_request_stream else (self.request,)
        return getattr(stub, self.method)(*request, **options)

    async def replies(self, call: Any) -> list[Any]:
        """All that `call` answers; raises what it raises."""
        return await collect(call) if self.is_reply_stream else [await call]

    def handler(self, act: Callable[[Context], Awaitable[None]]) -> Handler:
        """A handler that takes all requests, does `act` with the context, and answers with one `reply`."""

        async def handle(request: Any, context: Context) -> Any:
            if self.is_request_stream:
                await collect(request)
            await act(context)
            if not self.is_reply_stream:
                return self.reply
            await context.write(self.reply)
            return None

        return handle


async def collect(replies: AsyncIterable[Any]) -> list[Any]:
    return [reply async for reply in replies]


UNARY_UNARY = Kind(
    method="UnaryCall",
    request=UnaryRequest(body=b"?"),
    reply=UnaryReply(body=b"!"),
    is_request_stream=False,
    is_reply_stream=False,
)
UNARY_STREAM = Kind(
    method="StreamingOutputCall",
    request=StreamRequest(body=b"?"),
    reply=StreamReply(body=b"!"),
    is_request_stream=False,
    is_reply_stream=True,
)
STREAM_UNARY = Kind(
    method="StreamingInputCall",
    request=StreamRequest(body=b"?"),
    reply=InputReply(messages=1),
    is_request_stream=True,
    is_reply_stream=False,
)
STREAM_STREAM = Kind(
    method="FullDuplexCall",
    request=StreamRequest(body=b"?"),
    reply=StreamReply(body=b"!"),
    is_request_stream=True,
    is_reply_stream=True,
)


def each(kinds: Sequence[Kind] = (UNARY_UNARY, UNARY_STREAM, STREAM_UNARY, STREAM_STREAM)) -> pytest.MarkDecorator:
    """Run a test with `kind` as each of these."""
    return pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.method) for kind in kinds])
