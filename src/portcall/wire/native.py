"""gRPC channels that reach a hub as an `Access` says: with its TLS, and with its token on every call."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import grpc

from portcall.wire.access import Access, Tls
from portcall.wire.certificates import read_authorities, read_identity, system_authorities
from portcall.wire.tokens import Entries, bearer_entries, own_entries

Options = Sequence[tuple[str, Any]]


def link_metadata(access: Access) -> Entries:
    """Return the metadata of a stream that carries a link.

    Raises:
        ConfigurationError: the token's file cannot be read, or holds no token.
    """
    token = access.read_token()
    return () if token is None else bearer_entries(token)


def dial(access: Access, options: Options = ()) -> grpc.aio.Channel:
    """Return a new channel to the hub, whose calls have to bring `link_metadata` by themselves.

    Raises:
        ConfigurationError: a file of the access cannot be read, or is not what it should be.
    """
    credentials = _credentials(access)
    if credentials is None:
        return grpc.aio.insecure_channel(access.target, options)
    return grpc.aio.secure_channel(access.target, credentials, options)


def open_aio_channel(access: Access, options: Options = ()) -> grpc.aio.Channel:
    """Return a native channel of `grpc.aio` to the hub, each of whose calls presents the token; see `open_channel`."""
    token = access.read_token()
    added: Sequence[grpc.aio.ClientInterceptor] = () if token is None else _aio_interceptors(own_entries(token))
    credentials = _credentials(access)
    if credentials is None:
        return grpc.aio.insecure_channel(access.target, options, interceptors=added)
    return grpc.aio.secure_channel(access.target, credentials, options, interceptors=added)


def open_channel(access: Access, options: Options = ()) -> grpc.Channel:
    """Return a native blocking channel to the hub, each of whose calls presents the token.

    The token travels as `portcall-token`: `authorization` stays the program's own, and a hub without tokens drops it.

    Raises:
        ConfigurationError: a file of the access cannot be read, or is not what it should be.
    """
    credentials = _credentials(access)
    if credentials is None:
        channel = grpc.insecure_channel(access.target, options)
    else:
        channel = grpc.secure_channel(access.target, credentials, options)
    token = access.read_token()
    return channel if token is None else grpc.intercept_channel(channel, _Adding(own_entries(token)))


def channel_credentials(tls: Tls) -> grpc.ChannelCredentials:
    """Return gRPC's form of TLS settings, from the files as they are now.

    Raises:
        ConfigurationError: a file cannot be read, or is not what it should be.
    """
    authorities = system_authorities() if tls.ca is None else read_authorities(tls.ca)
    if tls.cert is None or tls.key is None:
        return grpc.ssl_channel_credentials(authorities)
    identity = read_identity(tls.cert, tls.key)
    return grpc.ssl_channel_credentials(authorities, identity.key, identity.chain)


def _credentials(access: Access) -> grpc.ChannelCredentials | None:
    if not access.is_encrypted:
        return None
    assert access.tls is not None
    return channel_credentials(access.tls)


class _Details(NamedTuple):
    """A call's details, as grpcio's interceptors hand them on."""

    method: Any
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any = None


def _with(details: Any, entries: Entries) -> Any:
    """Return the details of a call with more metadata."""
    return _Details(
        details.method,
        details.timeout,
        (*(details.metadata or ()), *entries),
        details.credentials,
        details.wait_for_ready,
        getattr(details, "compression", None),
    )


class _Adding(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds metadata to every call of a blocking channel."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_with(client_call_details, self._entries), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_with(client_call_details, self._entries), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(_with(client_call_details, self._entries), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(_with(client_call_details, self._entries), request_iterator)


class _AioAdding:
    """Adds metadata to every call of a `grpc.aio` channel, which wants an interceptor for each kind of call."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def details(self, details: Any) -> grpc.aio.ClientCallDetails:
        method, timeout, metadata, credentials, wait_for_ready, _ = _with(details, self._entries)
        return grpc.aio.ClientCallDetails(method, timeout, grpc.aio.Metadata(*metadata), credentials, wait_for_ready)


class _AddingUnaryUnary(_AioAdding, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.details(client_call_details), request)


class _AddingUnaryStream(_AioAdding, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.details(client_call_details), request)


class _AddingStreamUnary(_AioAdding, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.details(client_call_details), request_iterator)


class _AddingStreamStream(_AioAdding, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.details(client_call_details), request_iterator)


def _aio_interceptors(entries: Entries) -> Sequence[grpc.aio.ClientInterceptor]:
    kinds = (_AddingUnaryUnary, _AddingUnaryStream, _AddingStreamUnary, _AddingStreamStream)
    return [kind(entries) for kind in kinds]
