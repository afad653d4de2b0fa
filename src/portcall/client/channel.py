"""`Channel`: the drop-in `grpc.aio.Channel`."""

import os
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import Any, Unpack

import grpc
from grpc.aio import _channel as aio_channel

from portcall.client.jobs.handles import AnyJob, Job, StreamJob
from portcall.client.jobs.methods import JobMethod
from portcall.client.jobs.submitting import SubmitOptions
from portcall.client.mapping import LIMIT_DEFAULT, CallOptions, MapResults, map_by_calls, map_by_frames
from portcall.client.session import ClientSession
from portcall.client.transport import LinkTransport
from portcall.wire.access import Tls, resolve_access


class Channel(aio_channel.Channel, grpc.aio.Channel):  # type: ignore[misc]  # the published types know the second alone
    """A gRPC channel to a fleet: calls go to its hub over one link.

    Stubs, interceptors, call objects and states are those of `grpc.aio`. Multi-callables whose reply is unary have
    `map` besides; those whose request is unary have `submit`, `submit_many` and `job`, which make the call a job.

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

    def unary_stream(  # type: ignore[override]  # as grpcio has it, which is one argument more than the published types have
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "UnaryStream":
        """Return the multi-callable of a server-streaming method."""
        return UnaryStream(
            self._session,
            self._channel,
            method.encode(),
            request_serializer,
            response_deserializer,
            self._unary_stream_interceptors,
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


class Submittable:
    """A method with one request, whose call can be a job: stored before it is acknowledged, and run until it ends.

    Interceptors do not see jobs: what they would add to the metadata has to be given here.
    """

    _jobs: JobMethod

    async def submit(
        self,
        request: Any,
        *,
        key: str | None = None,
        step: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds the tries, and not this wait alone
        **options: Unpack[SubmitOptions],
    ) -> Any:
        """Submit a job; return its handle when the hub has it on disk.

        While the hub is away this is tried again for `timeout` seconds (30 by default), unless the hub may have stored
        the job already and it has neither key nor step.

        Args:
            request: the request.
            key: a name that no other job of the method has while this one is kept; a second submission gets the first
                one's job (see `on_duplicate`).
            step: inside a job: a name within it. When it is run again, the same step is the same job.
            timeout: see above.
            options: see `SubmitOptions`.

        Raises:
            SubmitError: the hub refuses it, or could not be asked, or nobody can know.
            ConfigurationError: an option cannot be.
        """
        return await self._jobs.submit(request, key=key, step=step, timeout_s=timeout, options=options)

    async def submit_many(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        key: Callable[[Any], str] | None = None,
        step: Callable[[Any], str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds the tries, and not this wait alone
        return_exceptions: bool = False,
        **options: Unpack[SubmitOptions],
    ) -> list[Any]:
        """Submit a job for each request, in batches; return their handles in the order of the requests.

        Args:
            requests: taken as batches are sent. An iterable that blocks holds up the event loop.
            key, step: functions that make them of each request.
            timeout: for each batch, as for `submit`.
            return_exceptions: return the `SubmitError` of a job that was not submitted in its place; else raise one
                that has all that became of the others in `results`.
            options: for all of them.

        Raises:
            SubmitError, ConfigurationError: as for `submit`.
        """
        return await self._jobs.submit_many(
            requests, key=key, step=step, timeout_s=timeout, return_exceptions=return_exceptions, options=options
        )

    def job(self, job_id: str) -> Any:
        """Return the handle of a job of this method by its id, wherever it was submitted. Asks nobody."""
        return self._jobs.job(job_id)


def _job_method(session: ClientSession, kind: type[AnyJob[Any]], callable_: Any) -> JobMethod:
    method = callable_._method.decode()  # noqa: SLF001  # the base class is grpcio's
    return JobMethod(
        session.jobs,
        kind,
        method,
        callable_._request_serializer,  # noqa: SLF001  # the base class is grpcio's
        callable_._response_deserializer,  # noqa: SLF001  # the base class is grpcio's
    )


class UnaryStream(aio_channel.UnaryStreamMultiCallable, Submittable):  # type: ignore[type-arg]
    """A server-streaming method: call it, or submit it."""

    def __init__(self, session: ClientSession, *args: Any) -> None:
        super().__init__(*args)
        self._jobs = _job_method(session, StreamJob, self)


class UnaryUnary(aio_channel.UnaryUnaryMultiCallable, Submittable):  # type: ignore[type-arg]
    """A unary method: call it, map it over many requests, or submit it."""

    def __init__(self, session: ClientSession, *args: Any) -> None:
        super().__init__(*args)
        self._session = session
        self._jobs = _job_method(session, Job, self)

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
