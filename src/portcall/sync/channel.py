"""`Channel`: the drop-in `grpc.Channel`."""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import grpc

from portcall.client.mapping import LIMIT_DEFAULT, CallOptions, MapResults, map_by_calls, map_by_frames
from portcall.client.session import ClientSession
from portcall.sync.jobs import Job, JobOwner, StreamJob, Submittable
from portcall.sync.mapping import Crossing, yield_replies
from portcall.sync.plain import PlainChannel
from portcall.sync.transport import BlockingTransport
from portcall.wire.access import Tls, resolve_access

STREAMS_LIMIT_DEFAULT = 64
"""Streams of requests that a map takes at once, unless told otherwise: each has a thread that iterates over it."""

Interceptor = (
    grpc.UnaryUnaryClientInterceptor
    | grpc.UnaryStreamClientInterceptor
    | grpc.StreamUnaryClientInterceptor
    | grpc.StreamStreamClientInterceptor
)


class Mappable:
    """A multi-callable of grpcio's, and `map` besides."""

    limit_default: ClassVar[int]

    def __init__(
        self, transport: BlockingTransport, callable_: Any, by_frames: Callable[..., MapResults[Any]] | None
    ) -> None:
        self._transport = transport
        self._callable = callable_
        self._by_frames = by_frames

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call the method and return the reply."""
        return self._callable(*args, **options)

    def with_call(self, *args: Any, **options: Any) -> Any:
        """Call the method and return the reply and the `grpc.Call`."""
        return self._callable.with_call(*args, **options)

    def future(self, *args: Any, **options: Any) -> Any:
        """Begin to call the method and return what is a `grpc.Future` and a `grpc.Call`."""
        return self._callable.future(*args, **options)

    def map(
        self,
        requests: Iterable[Any],
        *,
        ordered: bool = True,
        limit: int | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
    ) -> Generator[Any, None, None]:
        """Call the method once for each request, many at once, and yield the replies.

        Args:
            requests: taken in the thread that iterates over the replies, no faster than it does; while it waits for the
                next request, it gets no reply. Those of a client-streaming method are iterables of requests themselves,
                and each has a thread that iterates over it.
            ordered: yield in the order of the requests; else as replies come.
            limit: requests taken and not yet yielded, at most: the bound of the calls under way and of memory.
            return_exceptions: yield the `grpc.RpcError` of a call that fails in its place; else raise the first one and
                cancel the other calls.
            timeout, metadata, credentials, wait_for_ready: of each call, as in `__call__`.

        Returns:
            An iterator; closing it cancels the calls under way.

        Raises:
            ConfigurationError: `limit` allows no call.
        """
        bound = self.limit_default if limit is None else limit
        crossing = Crossing(self._transport)
        each: dict[str, Any] = {
            "timeout": timeout,
            "metadata": metadata,
            "credentials": credentials,
            "wait_for_ready": wait_for_ready,
        }
        window: dict[str, Any] = {"limit": bound, "ordered": ordered, "return_exceptions": return_exceptions}
        if self._by_frames is not None and credentials is None:
            results = self._by_frames(crossing.session, requests=crossing, options=CallOptions(**each), **window)
            return yield_replies(crossing, results, requests, bound)
        results = map_by_calls(crossing.settle, crossing, CallOptions(**each), **window)
        return yield_replies(crossing, results, map(partial(self._callable.future, **each), requests), bound)


class UnaryUnary(Mappable, Submittable, grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]  # not generic at run time
    """A unary method: call it, map it over many requests, or submit it."""

    limit_default = LIMIT_DEFAULT

    def __init__(self, jobs: JobOwner, *args: Any) -> None:
        super().__init__(*args)
        self._jobs = jobs


class UnaryStream(Submittable, grpc.UnaryStreamMultiCallable):  # type: ignore[type-arg]  # not generic at run time
    """A server-streaming method: call it, or submit it."""

    def __init__(self, jobs: JobOwner, callable_: Any) -> None:
        self._jobs = jobs
        self._callable = callable_

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call the method and return what iterates over the replies, and is a `grpc.Call`."""
        return self._callable(*args, **options)


class StreamUnary(Mappable, grpc.StreamUnaryMultiCallable):  # type: ignore[type-arg]  # not generic at run time
    """A client-streaming method: call it, or map it over many streams of requests."""

    limit_default = STREAMS_LIMIT_DEFAULT


class Channel(grpc.Channel):
    """A gRPC channel to a fleet, for programs that block: calls go to its hub over one link.

    Stubs, call objects, futures, errors and interceptors are those of `grpc`. Multi-callables whose reply is unary have
    `map` besides; those whose request is unary have `submit`, `submit_many` and `job`, which make the call a job. A
    channel may be used by many threads at once, and by parent and child after a fork. It dials when it is first used.

    Args:
        hub: HOST:PORT or unix:PATH of the hub; if None, the environment's PORTCALL_HUB, and then 127.0.0.1:7070.
        interceptors: client interceptors, the first outermost. `grpc.intercept_channel` works as well, but the stubs
            of what it returns have no `map`.
        compression: accepted for likeness; a link does not compress.
        token, tls, insecure: how the hub lets this program in; see `portcall.Channel`.

    Raises:
        ConfigurationError: `hub` cannot be dialled in this way.
    """

    def __init__(
        self,
        hub: str | None = None,
        *,
        interceptors: Sequence[Interceptor] | None = None,
        compression: grpc.Compression | None = None,
        token: str | os.PathLike[str] | None = None,
        tls: Tls | bool | None = None,
        insecure: bool | None = None,
    ) -> None:
        access = resolve_access(hub, token=token, tls=tls, is_insecure=insecure)
        self._transport = BlockingTransport(lambda: ClientSession(access))
        self._plain = PlainChannel(self._transport, access.target)
        self._intercepted: grpc.Channel = grpc.intercept_channel(self._plain, *interceptors or ())
        self._has_interceptors = bool(interceptors)

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "UnaryUnary":
        """Return the multi-callable of a unary method."""
        callable_ = self._intercepted.unary_unary(method, request_serializer, response_deserializer)
        by_frames = None
        if not self._has_interceptors:  # they have to see each call
            by_frames = partial(
                map_by_frames, method=method, serialize=request_serializer, deserialize=response_deserializer
            )
        jobs = JobOwner(self._transport, Job, method, request_serializer, response_deserializer)
        return UnaryUnary(jobs, self._transport, callable_, by_frames)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "UnaryStream":
        """Return the multi-callable of a server-streaming method."""
        jobs = JobOwner(self._transport, StreamJob, method, request_serializer, response_deserializer)
        callable_ = self._intercepted.unary_stream(method, request_serializer, response_deserializer)
        return UnaryStream(jobs, callable_)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "StreamUnary":
        """Return the multi-callable of a client-streaming method."""
        callable_ = self._intercepted.stream_unary(method, request_serializer, response_deserializer)
        return StreamUnary(self._transport, callable_, None)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        """Return the multi-callable of a bidirectional method."""
        return self._intercepted.stream_stream(method, request_serializer, response_deserializer)

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool | None = False
    ) -> None:
        """Call this with the connectivity now and whenever it changes, from a thread of the channel's."""
        self._plain.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Call this no more."""
        self._plain.unsubscribe(callback)

    def close(self) -> None:
        """Take no new calls, end those under way CANCELLED, and close the link. Idempotent."""
        self._plain.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
