"""The methods of a worker: what its servicers registered, found by path."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import grpc

from portcall.contract.contract import MethodKind, MethodSpec
from portcall.errors import ConfigurationError

RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[RpcHandler | None]]"


class Metadatum(NamedTuple):
    """One metadata entry, as servicers get it."""

    key: str
    value: str | bytes


class CallDetails(grpc.HandlerCallDetails):
    """What interceptors see of a call before it is served."""

    def __init__(self, method: str, invocation_metadata: tuple[Metadatum, ...]) -> None:
        self.method = method
        self.invocation_metadata = invocation_metadata


class Method:
    """A handler, with what was found out about it once rather than at every call."""

    __slots__ = ("behavior", "deserialize", "is_async", "is_generator", "is_simple", "kind", "serialize")

    def __init__(self, handler: RpcHandler) -> None:
        self.kind = MethodKind(
            client_streaming=bool(handler.request_streaming), server_streaming=bool(handler.response_streaming)
        )
        behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        self.behavior: Callable[..., Any] = behavior
        self.deserialize: Callable[[bytes], Any] = handler.request_deserializer or bytes
        self.serialize: Callable[[Any], bytes] = handler.response_serializer or bytes
        self.is_generator = _is(behavior, inspect.isasyncgenfunction)
        self.is_async = self.is_generator or _is(behavior, inspect.iscoroutinefunction)
        self.is_simple = self.is_async and not (self.kind.client_streaming or self.kind.server_streaming)


def _is(behavior: object, test: Callable[[object], bool]) -> bool:
    """Whether a function passes a test, or an object's `__call__` does, or what a partial wraps."""
    while hasattr(behavior, "func"):
        behavior = behavior.func
    return test(behavior) or test(getattr(behavior, "__call__", None))  # noqa: B004  # the bound method is wanted


class Methods:
    """All methods of a worker, and the interceptors before them."""

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> None:
        invalid = [one for one in interceptors if not isinstance(one, grpc.aio.ServerInterceptor)]
        if invalid:
            raise ValueError(f"Interceptor must be ServerInterceptor, the following are invalid: {invalid}")
        self._interceptors = tuple(interceptors)
        self._handlers: dict[str, RpcHandler] = {}
        self._methods: dict[str, Method] = {}

    def __len__(self) -> int:
        return len(self._methods)

    def add(self, path: str, handler: RpcHandler) -> None:
        """Register a method; the first handler of a path counts, as with a gRPC server."""
        if path not in self._handlers:
            self._handlers[path] = handler
            self._methods[path] = Method(handler)

    def add_generic(self, handler: grpc.GenericRpcHandler) -> None:
        """Register the methods of a generic handler.

        Raises:
            ConfigurationError: it cannot be listed, and a worker must say which methods it has.
        """
        methods: Mapping[str, RpcHandler] | None = getattr(handler, "_method_handlers", None)
        if not isinstance(methods, Mapping):
            raise ConfigurationError(
                f"{type(handler).__name__} does not say which methods it has, and a hub must know them to send calls."
                " Make it with grpc.method_handlers_generic_handler(service, {name: handler})"
            )
        for path, method_handler in methods.items():
            self.add(path, method_handler)

    def specs(self) -> Iterator[MethodSpec]:
        """Return every method, for the contract."""
        for path, method in self._methods.items():
            _, service, name = path.split("/")
            yield MethodSpec(service=service, name=name, kind=method.kind)

    def get(self, path: str) -> Method | None:
        """Return a method if no interceptor wants to see the call first."""
        return None if self._interceptors else self._methods.get(path)

    async def find(self, details: CallDetails) -> Method | None:
        """Return the method for a call, after the interceptors have had their say."""
        chain: Continuation = self._look_up
        for interceptor in reversed(self._interceptors):
            chain = _link(interceptor, chain)
        handler = await chain(details)
        if handler is None:
            return None
        known = self._handlers.get(details.method)
        return self._methods[details.method] if handler is known else Method(handler)

    async def _look_up(self, details: grpc.HandlerCallDetails) -> RpcHandler | None:
        return self._handlers.get(details.method)


def _link(interceptor: grpc.aio.ServerInterceptor, chain: Continuation) -> Continuation:
    async def proceed(details: grpc.HandlerCallDetails) -> RpcHandler | None:
        return await interceptor.intercept_service(chain, details)

    return proceed
