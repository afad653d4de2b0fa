"""What grpcio's blocking layer is told: events, each with the operations of one batch and what they brought.

In grpcio these are C objects that only its core can fill in. The ones here have the methods that the layer calls.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from grpc._cython import cygrpc

KIND = cygrpc.OperationType

Operations = Sequence[Any]
Tag = Callable[["Event"], bool] | None
Batch = tuple[Operations, Tag]


def as_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[Any, ...]:
    """Return metadata as grpcio's blocking API gives it: entries have a `key` and a `value`."""
    return tuple(cygrpc._Metadatum(*entry) for entry in metadata)  # noqa: SLF001


class Event:
    """A batch that is done, as grpcio's `BatchOperationEvent`."""

    __slots__ = ("batch_operations", "tag")

    def __init__(self, batch_operations: Operations, tag: Tag) -> None:
        self.batch_operations = batch_operations
        self.tag = tag


class InitialMetadata:
    """What a `ReceiveInitialMetadataOperation` brought."""

    __slots__ = ("_metadata",)

    def __init__(self, metadata: Any) -> None:
        self._metadata = metadata

    def type(self) -> Any:
        """Return the kind of operation."""
        return KIND.receive_initial_metadata

    def initial_metadata(self) -> Any:
        """Return the metadata."""
        return as_metadata(self._metadata)


class ReceivedMessage:
    """What a `ReceiveMessageOperation` brought."""

    __slots__ = ("_message",)

    def __init__(self, message: bytes | None) -> None:
        self._message = message

    def type(self) -> Any:
        """Return the kind of operation."""
        return KIND.receive_message

    def message(self) -> bytes | None:
        """Return the message, or None if there is none any more."""
        return self._message


class ReceivedStatus:
    """What a `ReceiveStatusOnClientOperation` brought: an `AioRpcStatus`, whose methods have other names."""

    __slots__ = ("_status",)

    def __init__(self, status: Any) -> None:
        self._status = status

    def type(self) -> Any:
        """Return the kind of operation."""
        return KIND.receive_status_on_client

    def trailing_metadata(self) -> Any:
        """Return the metadata."""
        return as_metadata(self._status.trailing_metadata())

    def code(self) -> Any:
        """Return the number of the status."""
        return self._status.code()

    def details(self) -> Any:
        """Return the status message."""
        return self._status.details()

    def error_string(self) -> Any:
        """Return what helps to find the cause."""
        return self._status.debug_error_string()


class ConnectivityEvent:
    """Whether the connectivity has changed before the deadline, as grpcio's `ConnectivityEvent`."""

    __slots__ = ("success",)

    def __init__(self, *, success: bool) -> None:
        self.success = success


def renew(tag: Tag) -> None:
    """Give the call object that a tag is for a new lock, as grpcio does in a child of its own forks.

    In the parent, a thread that is not here may have held the old one.
    """
    if tag is not None:
        inspect.getclosurevars(tag).nonlocals["state"].reset_postfork_child()


def first_metadata(batches: Sequence[Batch]) -> tuple[Sequence[tuple[str, str | bytes]], bool]:
    """Return the metadata that a call begins with, and whether it waits for ready."""
    operation = batches[0][0][0]
    return operation._initial_metadata or (), bool(operation._flags & cygrpc.InitialMetadataFlags.wait_for_ready)  # noqa: SLF001


def first_request(batches: Sequence[Batch]) -> bytes | None:
    """Return the request that a call begins with, or None if its requests are a stream."""
    operation = _find(batches, KIND.send_message)
    return None if operation is None else operation._message  # noqa: SLF001


def batch_with(batches: Sequence[Batch], kind: Any) -> Batch | None:
    """Return the first batch that has an operation of this kind."""
    return next((batch for batch in batches if _find([batch], kind) is not None), None)


def _find(batches: Sequence[Batch], kind: Any) -> Any:
    return next((operation for operations, _ in batches for operation in operations if operation.type() == kind), None)
