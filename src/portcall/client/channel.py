"""`Channel`: the drop-in `grpc.aio.Channel`."""

import os
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Any

import grpc
from grpc.aio import _channel as aio_channel

from portcall.client.mapping import LIMIT_DEFAULT, CallOptions, MapResults, map_by_calls, map_by_frames
from portcall.client.session import ClientSession
from portcall.client.transport import LinkTransport
from portcall.wire.access import Tls, resolve_access


class Channel(aio_channel.Channel, grpc.aio.Channel):  # type: ignore[misc]  # the published types know the second alone
    """A gRPC channel to a fleet: calls go to its hub over one link.

    Stubs, interceptors, call objects and states are those of `grpc.aio`. Multi-callables whose reply is unary have
    `map` besides.

    Args:
        hub: HOST:PORT or unix:PATH of the hub; if None, the environment's PORTCALL_HUB, and then 127.0.0.1:7070.
        interceptors: client interceptors, the first outermost.
        compression: accepted for likeness; a link does not compress.
        token: what proves to the hub that this program may call, or the path of a file that has it (a `Path`); if None,
            the environment's PORTCALL_TOKEN_FILE or PORTCALL_TOKEN.
        tls: how to encrypt: True trusts the system's authorities, a `Tls` names others; if None, the environment says
            (PORTCALL_TLS, PORTCALL_TLS_CA, ...), and else nothing is encrypted.
        insecure: send a token beyond this machine although nothing is encrypted; if None, PORTCALL_INSECURE.

    Raises:
        ConfigurationError: `hub` cannot be dialled in this way.
    """

    def __init__(
        self,
        hub: str | None = None,
        *,
        interceptors: Sequence[grpc.aio.ClientInterceptor] | None = None,
        compression: grpc.Compression | None = None,
        token: str | os.PathLike[str] | None = None,
        tls: Tls | bool | None = None,
        insecure: bool | None = None,
    ) -> None:
        self._session = ClientSession(resolve_access(hub, token=token, tls=tls, is_insecure=insecure))
        super().__init__(self._session.target, (), None, compression, interceptors)  # type: ignore[arg-type]
        # The channel of the base class is made without touching the network; ours takes its place.
        self._channel.close()
        self._channel = LinkTransport(self._session)

    async def close(self, grace: float | None = None) -> None:
        """Take no new calls, let those under way finish within `grace` seconds, and close the link. Idempotent."""
        await super().close(grace)
        await self._session.close()

    async def __aexit__(self, *args: object) -> None:
        await self.close()

    def unary_unary(  # type: ignore[override]  # as grpcio has it, which is one argument more than the published types have
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "UnaryUnary":
        """Return the multi-callable of a unary method."""
        return UnaryUnary(
            self._session,
            self._channel,
            method.encode(),
            request_serializer,
            response_deserializer,
            self._unary_unary_interceptors,
            [self],
            self._loop,
        )

    def stream_unary(  # type: ignore[override]  # as grpcio has it, which is one argument more than the published types have
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "StreamUnary":
        """Return the multi-callable of a client-streaming method."""
        return StreamUnary(
            self._channel,
            method.encode(),
            request_serializer,
            response_deserializer,
            self._stream_unary_interceptors,
            [self],
            self._loop,
        )


class UnaryUnary(aio_channel.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    """A unary method: call it, or map it over many requests."""

    def __init__(self, session: ClientSession, *args: Any) -> None:
        super().__init__(*args)
        self._session = session

    def map(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        ordered: bool = True,
        limit: int | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
    ) -> MapResults[Any]:
        """Call the method once for each request, many at once, and yield the replies.

        Args:
            requests: taken no faster than replies are. An iterable that blocks holds up the event loop.
            ordered: yield in the order of the requests; else as replies come.
            limit: requests taken and not yet yielded, at most: the bound of the calls under way and of memory.
            return_exceptions: yield the `grpc.aio.AioRpcError` of a call that fails in its place; else raise the first
                one and cancel the other calls.
            timeout, metadata, credentials, wait_for_ready: of each call, as in `__call__`.

        Returns:
            An async iterator; closing it cancels the calls under way.
        """
        options = CallOptions(
            timeout=timeout, metadata=metadata, credentials=credentials, wait_for_ready=wait_for_ready
        )
        bound = LIMIT_DEFAULT if limit is None else limit
        if self._interceptors or credentials is not None:
            return map_by_calls(self, requests, options, bound, ordered=ordered, return_exceptions=return_exceptions)
        return map_by_frames(
            self._session,
            self._method.decode(),
            self._request_serializer,
            self._response_deserializer,
            requests,
            options,
            bound,
            ordered=ordered,
            return_exceptions=return_exceptions,
        )


class StreamUnary(aio_channel.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    """A client-streaming method: call it, or map it over many streams of requests."""

    def map(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        ordered: bool = True,
        limit: int | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str | bytes]] | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
    ) -> MapResults[Any]:
        """Call the method once for each stream of requests, many at once; see `UnaryUnary.map`."""
        options = CallOptions(
            timeout=timeout, metadata=metadata, credentials=credentials, wait_for_ready=wait_for_ready
        )
        bound = LIMIT_DEFAULT if limit is None else limit
        return map_by_calls(self, requests, options, bound, ordered=ordered, return_exceptions=return_exceptions)
