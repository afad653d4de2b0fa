"""How the service for jobs ends a call that it cannot answer: one table from errors to statuses."""

from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import grpc

from portcall.core.jobs.identity import BadJobIdError
from portcall.core.jobs.schedules import TooManySchedulesError
from portcall.core.refusals import (
    HUB_CLOSING,
    STORE_DAMAGED,
    STORE_FULL,
    STORE_UNAVAILABLE,
    explained,
    overload,
    refusal,
)
from portcall.errors import ConfigurationError, PortcallError
from portcall.hub.jobs.requests import BadRequestError
from portcall.hub.jobs.threads import TooManyQuestionsError
from portcall.protos.portcall.v1.link_pb2 import End
from portcall.store.errors import StoreDamagedError, StoreUnavailableError
from portcall.wire.metadata import from_frame
from portcall.wire.status import status_code

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

Code = grpc.StatusCode

RETRY_DELAY_S = 1.0
"""What a caller is advised to wait whom the hub, or its store, cannot serve now."""

NO_STORE = (
    "This hub keeps no jobs. Start it with a file for them: portcall hub --store FILE"
    " (in a container, on a volume that outlives it)"
)

STATUSES: tuple[tuple[type[PortcallError], grpc.StatusCode], ...] = (
    (BadRequestError, Code.INVALID_ARGUMENT),
    (BadJobIdError, Code.INVALID_ARGUMENT),
    (TooManyQuestionsError, Code.RESOURCE_EXHAUSTED),
    (TooManySchedulesError, Code.RESOURCE_EXHAUSTED),
    (StoreUnavailableError, Code.UNAVAILABLE),
    (StoreDamagedError, Code.DATA_LOSS),
    (ConfigurationError, Code.INVALID_ARGUMENT),
)
"""The first that fits counts."""


class HubClosingError(StoreUnavailableError):
    """The hub is about to stop, and stores nothing more. Blames nobody; another one may come."""

    def __init__(self) -> None:
        super().__init__("The hub is shutting down")


class NotThereError(PortcallError):
    """There is no such thing (any more). Blames the caller."""


class BusyError(PortcallError):
    """A bound of the hub is reached. Blames nobody; try again a little later."""


def end_of(error: PortcallError) -> End:
    """Return the end of a call that this error is the answer to."""
    if isinstance(error, NotThereError):
        return refusal(Code.NOT_FOUND.value[0], str(error))
    if isinstance(error, BusyError | TooManyQuestionsError):
        return overload(str(error), RETRY_DELAY_S)
    code = next((code for kind, code in STATUSES if isinstance(error, kind)), Code.INTERNAL)
    if reason := reason_of(error):
        if reason == STORE_FULL:
            code = Code.RESOURCE_EXHAUSTED
        return explained(code.value[0], str(error), reason, None if reason == STORE_DAMAGED else RETRY_DELAY_S)
    return refusal(code.value[0], str(error))


def reason_of(error: PortcallError) -> str:
    """Return why the store or the hub cannot serve, for programs; empty if that is not what is wrong."""
    if isinstance(error, HubClosingError):
        return HUB_CLOSING
    if isinstance(error, StoreUnavailableError):
        return STORE_FULL if error.is_full else STORE_UNAVAILABLE
    return STORE_DAMAGED if isinstance(error, StoreDamagedError) else ""


async def abort(context: Context, end: End) -> NoReturn:
    """End a native call."""
    await context.abort(status_code(end.status), end.details, from_frame(end.trailers))


def no_store() -> End:
    """Return the end of whatever is asked of a hub that keeps no jobs."""
    return refusal(Code.FAILED_PRECONDITION.value[0], NO_STORE)


def refusing(end: Callable[[], End]) -> Handler:
    """Return a handler that ends every call."""

    async def refuse(_: object, context: Context) -> None:
        await abort(context, end())

    return grpc.stream_stream_rpc_method_handler(refuse)
