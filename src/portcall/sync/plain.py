"""A channel of grpcio's own blocking multi-callables, on a transport of ours: what interceptors are put around."""

from collections.abc import Callable
from typing import Any, Self

import grpc
from grpc._channel import (
    _ChannelConnectivityState,
    _StreamStreamMultiCallable,
    _StreamUnaryMultiCallable,
    _subscribe,
    _UnaryStreamMultiCallable,
    _UnaryUnaryMultiCallable,
    _unsubscribe,
)

from portcall.sync import forking
from portcall.sync.transport import BlockingTransport


class PlainChannel(grpc.Channel):
    """What `grpc.insecure_channel` returns, but for the transport beneath."""

    def __init__(self, transport: BlockingTransport, target: str) -> None:
        self._transport = transport
        self._target = target.encode()
        self._connectivity = _ChannelConnectivityState(transport)
        forking.watch(self)

    def unary_unary(self, method: str, request_serializer: Any = None, response_deserializer: Any = None,
                    _registered_method: bool | None = False) -> Any:  # fmt: skip
        """Return the multi-callable of a unary method."""
        return self._make(_UnaryUnaryMultiCallable, method, request_serializer, response_deserializer)

    def unary_stream(self, method: str, request_serializer: Any = None, response_deserializer: Any = None,
                     _registered_method: bool | None = False) -> Any:  # fmt: skip
        """Return the multi-callable of a server-streaming method."""
        return self._make(_UnaryStreamMultiCallable, method, request_serializer, response_deserializer)

    def stream_unary(self, method: str, request_serializer: Any = None, response_deserializer: Any = None,
                     _registered_method: bool | None = False) -> Any:  # fmt: skip
        """Return the multi-callable of a client-streaming method."""
        return self._make(_StreamUnaryMultiCallable, method, request_serializer, response_deserializer)

    def stream_stream(self, method: str, request_serializer: Any = None, response_deserializer: Any = None,
                      _registered_method: bool | None = False) -> Any:  # fmt: skip
        """Return the multi-callable of a bidirectional method."""
        return self._make(_StreamStreamMultiCallable, method, request_serializer, response_deserializer)

    def _make(self, kind: Any, method: str, request_serializer: Any, response_deserializer: Any) -> Any:
        transport = self._transport
        return kind(
            transport,
            transport.integrated_call,
            method.encode(),
            self._target,
            request_serializer,
            response_deserializer,
            transport.get_registered_call_handle(method.encode()),
        )

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool | None = False
    ) -> None:
        """Call this with the connectivity now and whenever it changes."""
        _subscribe(self._connectivity, callback, bool(try_to_connect))

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Call this no more."""
        _unsubscribe(self._connectivity, callback)

    def close(self) -> None:
        """Close the transport."""
        self._unsubscribe_all()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._unsubscribe_all()  # the thread that watches would go on for ever

    def _unsubscribe_all(self) -> None:
        with self._connectivity.lock:
            self._connectivity.callbacks_and_connectivities.clear()

    # --- what a fork asks for --------------------------------------------------------------------------------------

    def before_fork(self) -> bool:
        """There is nothing to let go of: that is the transport's."""
        return False

    def after_fork_in_parent(self) -> None:
        """There is nothing to go on with."""

    def after_fork_in_child(self) -> None:
        """Subscribe anew: the thread that watched is the parent's."""
        inherited: list[Any] = self._connectivity.callbacks_and_connectivities
        self._connectivity = _ChannelConnectivityState(self._transport)
        for callback, _ in inherited:
            self.subscribe(callback)
