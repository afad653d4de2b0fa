"""What type checkers read in the `_pb2_grpc.pyi` files that `portcall compile` writes. Nothing here is ever called.

A stub is generic in the channel that it is made on, and declares each method once, by the messages that it takes and
gives. What that attribute *is* follows from the channel: on a `portcall.Channel` a multi-callable with `map`, on any
other `grpc.aio.Channel` grpcio's own, on a `grpc.Channel` the blocking one. The declaration is a descriptor whose
`__get__` is overloaded by the channel, because Python's types cannot say "this channel's kind, of those messages".

A servicer's methods may be coroutines, generators or blocking functions. Their signatures here take what any of these
would take, and let them return what any of them would, so each is a valid override.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, Unpack, overload

import grpc
import grpc.aio

from portcall import sync
from portcall.client import Channel
from portcall.client.jobs.errors import SubmitError
from portcall.client.jobs.handles import Job, StreamJob
from portcall.client.jobs.submitting import SubmitOptions
from portcall.sync.jobs import Job as BlockingJob
from portcall.sync.jobs import StreamJob as BlockingStreamJob

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    ChannelT_co = TypeVarWithDefault(
        "ChannelT_co", bound=grpc.Channel | grpc.aio.Channel, covariant=True, default=Channel
    )
else:
    ChannelT_co = TypeVar("ChannelT_co", covariant=True)

Item = TypeVar("Item")
Request = TypeVar("Request")
Response = TypeVar("Response")
AnyJobT = TypeVar("AnyJobT")

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
Requests: TypeAlias = Iterable[Request] | AsyncIterable[Request]

# --- the channel's side ----------------------------------------------------------------------------------------------


class Mapped(Generic[Item, Response]):
    """A method whose reply is unary, on a `portcall.Channel`. `Item` is what one call takes."""

    @overload
    def map(
        self,
        requests: Requests[Item],
        *,
        ordered: bool = True,
        limit: int | None = None,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
    ) -> AsyncGenerator[Response, None]: ...
    @overload
    def map(
        self,
        requests: Requests[Item],
        *,
        ordered: bool = True,
        limit: int | None = None,
        return_exceptions: bool,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
    ) -> AsyncGenerator[Response | grpc.aio.AioRpcError, None]: ...
    def map(self, requests: Any, **_: Any) -> Any:
        """Call the method once for each request, many at once; see `portcall.client.channel.UnaryUnary.map`."""


class Submittable(Generic[Request, AnyJobT]):
    """A method whose request is unary, on a `portcall.Channel`. `AnyJobT` is the handle of its jobs."""

    async def submit(
        self,
        request: Request,
        *,
        key: str | None = None,
        step: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as it is
        **options: Unpack[SubmitOptions],
    ) -> AnyJobT:
        """Submit a job; see `portcall.client.channel.Submittable.submit`."""
        raise NotImplementedError

    @overload
    async def submit_many(
        self,
        requests: Requests[Request],
        *,
        key: Callable[[Request], str] | None = None,
        step: Callable[[Request], str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as it is
        return_exceptions: Literal[False] = False,
        **options: Unpack[SubmitOptions],
    ) -> list[AnyJobT]: ...
    @overload
    async def submit_many(
        self,
        requests: Requests[Request],
        *,
        key: Callable[[Request], str] | None = None,
        step: Callable[[Request], str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as it is
        return_exceptions: bool,
        **options: Unpack[SubmitOptions],
    ) -> list[AnyJobT | SubmitError]: ...
    async def submit_many(self, requests: Any, **_: Any) -> Any:
        """Submit a job for each request; see `portcall.client.channel.Submittable.submit_many`."""

    def job(self, job_id: str) -> AnyJobT:
        """Return the handle of a job by its id."""
        raise NotImplementedError


class UnaryUnaryMultiCallable(
    Mapped[Request, Response],
    Submittable[Request, Job[Response]],
    grpc.aio.UnaryUnaryMultiCallable[Request, Response],
):
    """A unary method on a `portcall.Channel`."""


class UnaryStreamMultiCallable(
    Submittable[Request, StreamJob[Response]], grpc.aio.UnaryStreamMultiCallable[Request, Response]
):
    """A server-streaming method on a `portcall.Channel`."""


class StreamUnaryMultiCallable(
    Mapped[Requests[Request], Response], grpc.aio.StreamUnaryMultiCallable[Request, Response]
):
    """A client-streaming method on a `portcall.Channel`."""

    def __call__(
        self,
        request_iterator: Requests[Request] | None = None,
        timeout: float | None = None,
        metadata: grpc.aio.Metadata | Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> grpc.aio.StreamUnaryCall[Request, Response]:
        """Call the method. Requests come from any iterable, which the published types do not say."""
        raise NotImplementedError


class StreamStreamMultiCallable(grpc.aio.StreamStreamMultiCallable[Request, Response]):
    """A bidirectional method on a `portcall.Channel`."""

    def __call__(
        self,
        request_iterator: Requests[Request] | None = None,
        timeout: float | None = None,
        metadata: grpc.aio.Metadata | Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> grpc.aio.StreamStreamCall[Request, Response]:
        """Call the method. Requests come from any iterable, which the published types do not say."""
        raise NotImplementedError


class BlockingMapped(Generic[Item, Response]):
    """A method whose reply is unary, on a `portcall.sync.Channel`. `Item` is what one call takes."""

    @overload
    def map(
        self,
        requests: Iterable[Item],
        *,
        ordered: bool = True,
        limit: int | None = None,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
    ) -> Generator[Response, None, None]: ...
    @overload
    def map(
        self,
        requests: Iterable[Item],
        *,
        ordered: bool = True,
        limit: int | None = None,
        return_exceptions: bool,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
    ) -> Generator[Response | grpc.RpcError, None, None]: ...
    def map(self, requests: Any, **_: Any) -> Any:
        """Call the method once for each request, many at once; see `portcall.sync.channel.Mappable.map`."""


class BlockingSubmittable(Generic[Request, AnyJobT]):
    """A method whose request is unary, on a `portcall.sync.Channel`. `AnyJobT` is the handle of its jobs."""

    def submit(
        self,
        request: Request,
        *,
        key: str | None = None,
        step: str | None = None,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AnyJobT:
        """Submit a job; see `portcall.sync.jobs.Submittable.submit`."""
        raise NotImplementedError

    @overload
    def submit_many(
        self,
        requests: Iterable[Request],
        *,
        key: Callable[[Request], str] | None = None,
        step: Callable[[Request], str] | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        **options: Unpack[SubmitOptions],
    ) -> list[AnyJobT]: ...
    @overload
    def submit_many(
        self,
        requests: Iterable[Request],
        *,
        key: Callable[[Request], str] | None = None,
        step: Callable[[Request], str] | None = None,
        timeout: float | None = None,
        return_exceptions: bool,
        **options: Unpack[SubmitOptions],
    ) -> list[AnyJobT | SubmitError]: ...
    def submit_many(self, requests: Any, **_: Any) -> Any:
        """Submit a job for each request; see `portcall.sync.jobs.Submittable.submit_many`."""

    def job(self, job_id: str) -> AnyJobT:
        """Return the handle of a job by its id."""
        raise NotImplementedError


if TYPE_CHECKING:  # grpcio's blocking multi-callables are not generic at run time

    class BlockingUnaryUnary(
        BlockingMapped[Request, Response],
        BlockingSubmittable[Request, BlockingJob[Response]],
        grpc.UnaryUnaryMultiCallable[Request, Response],
    ):
        """A unary method on a `portcall.sync.Channel`."""

    class BlockingUnaryStream(
        BlockingSubmittable[Request, BlockingStreamJob[Response]], grpc.UnaryStreamMultiCallable[Request, Response]
    ):
        """A server-streaming method on a `portcall.sync.Channel`."""

    class BlockingStreamUnary(
        BlockingMapped[Iterable[Request], Response], grpc.StreamUnaryMultiCallable[Request, Response]
    ):
        """A client-streaming method on a `portcall.sync.Channel`."""


class Stub(Generic[ChannelT_co]):
    """What every stub class is."""

    def __init__(self, channel: ChannelT_co) -> None: ...


class UnaryUnary(Generic[Request, Response]):
    """A unary method of a stub."""

    @overload
    def __get__(self, stub: Stub[Channel], owner: type) -> UnaryUnaryMultiCallable[Request, Response]: ...
    @overload
    def __get__(
        self, stub: Stub[grpc.aio.Channel], owner: type
    ) -> grpc.aio.UnaryUnaryMultiCallable[Request, Response]: ...
    @overload
    def __get__(self, stub: Stub[sync.Channel], owner: type) -> BlockingUnaryUnary[Request, Response]: ...
    @overload
    def __get__(self, stub: Stub[grpc.Channel], owner: type) -> grpc.UnaryUnaryMultiCallable[Request, Response]: ...
    def __get__(self, stub: Any, owner: type) -> Any:
        """Return the method as the stub's channel has it."""


class UnaryStream(Generic[Request, Response]):
    """A server-streaming method of a stub."""

    @overload
    def __get__(self, stub: Stub[Channel], owner: type) -> UnaryStreamMultiCallable[Request, Response]: ...
    @overload
    def __get__(
        self, stub: Stub[grpc.aio.Channel], owner: type
    ) -> grpc.aio.UnaryStreamMultiCallable[Request, Response]: ...
    @overload
    def __get__(self, stub: Stub[sync.Channel], owner: type) -> BlockingUnaryStream[Request, Response]: ...
    @overload
    def __get__(self, stub: Stub[grpc.Channel], owner: type) -> grpc.UnaryStreamMultiCallable[Request, Response]: ...
    def __get__(self, stub: Any, owner: type) -> Any:
        """Return the method as the stub's channel has it."""


class StreamUnary(Generic[Request, Response]):
    """A client-streaming method of a stub."""

    @overload
    def __get__(self, stub: Stub[Channel], owner: type) -> StreamUnaryMultiCallable[Request, Response]: ...
    @overload
    def __get__(
        self, stub: Stub[grpc.aio.Channel], owner: type
    ) -> grpc.aio.StreamUnaryMultiCallable[Request, Response]: ...
    @overload
    def __get__(self, stub: Stub[sync.Channel], owner: type) -> BlockingStreamUnary[Request, Response]: ...
    @overload
    def __get__(self, stub: Stub[grpc.Channel], owner: type) -> grpc.StreamUnaryMultiCallable[Request, Response]: ...
    def __get__(self, stub: Any, owner: type) -> Any:
        """Return the method as the stub's channel has it."""


class StreamStream(Generic[Request, Response]):
    """A bidirectional method of a stub."""

    @overload
    def __get__(self, stub: Stub[Channel], owner: type) -> StreamStreamMultiCallable[Request, Response]: ...
    @overload
    def __get__(
        self, stub: Stub[grpc.aio.Channel], owner: type
    ) -> grpc.aio.StreamStreamMultiCallable[Request, Response]: ...
    @overload
    def __get__(self, stub: Stub[grpc.Channel], owner: type) -> grpc.StreamStreamMultiCallable[Request, Response]: ...
    def __get__(self, stub: Any, owner: type) -> Any:
        """Return the method as the stub's channel has it."""


# --- the servicer's side ---------------------------------------------------------------------------------------------

Server: TypeAlias = grpc.Server | grpc.aio.Server
Reply: TypeAlias = Response | Awaitable[Response]
Replies: TypeAlias = Iterator[Response] | AsyncIterator[Response] | Awaitable[None]
"""Yielded, or written to the context by a coroutine."""


class RequestIterator(Iterator[Request], AsyncIterator[Request]):
    """The requests of a stream, for a blocking servicer or an asynchronous one."""


class Context(grpc.aio.ServicerContext[Request, Response], grpc.ServicerContext):  # type: ignore[misc]  # never both
    """The context of a call, for a blocking servicer or an asynchronous one."""
