"""How the service for jobs ends a call that it cannot answer: one table from errors to statuses."""

from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import grpc

from portcall.core.jobs.identity import BadJobIdError
from portcall.core.refusals import overload, refusal
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
CLOSING = "The hub is shutting down"

STATUSES: tuple[tuple[type[PortcallError], grpc.StatusCode], ...] = (
    (BadRequestError, Code.INVALID_ARGUMENT),
    (BadJobIdError, Code.INVALID_ARGUMENT),
    (TooManyQuestionsError, Code.RESOURCE_EXHAUSTED),
    (StoreUnavailableError, Code.UNAVAILABLE),
    (StoreDamagedError, Code.DATA_LOSS),
    (ConfigurationError, Code.INVALID_ARGUMENT),
)
"""The first that fits counts."""


class NotThereError(PortcallError):
    """There is no such thing (any more). Blames the caller."""


class BusyError(PortcallError):
    """A bound of the hub is reached. Blames nobody; try again a little later."""


def end_of(error: PortcallError) -> End:
    """Return the end of a call that this error is the answer to."""
    if isinstance(error, NotThereError):
        return refusal(Code.NOT_FOUND.value[0], str(error))
    is_full = isinstance(error, StoreUnavailableError) and error.is_full
    if isinstance(error, BusyError | TooManyQuestionsError) or is_full:
        return overload(str(error), RETRY_DELAY_S)
    code = next((code for kind, code in STATUSES if isinstance(error, kind)), Code.INTERNAL)
    return refusal(code.value[0], str(error))


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
