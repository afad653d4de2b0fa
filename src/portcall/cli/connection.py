"""How a command of ours reaches a hub, or any other gRPC server."""

import grpc

from portcall._version import __version__
from portcall.cli.exits import FailedError
from portcall.errors import ConfigurationError, PortcallError
from portcall.wire.access import Access
from portcall.wire.diagnosis import diagnose, explain, reason
from portcall.wire.native import dial
from portcall.wire.tokens import Entries, own_entries

OPTIONS = (
    ("grpc.primary_user_agent", f"portcall/{__version__}"),
    # The server's own bounds count; a person who asks wants the answer.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


def open_channel(access: Access) -> grpc.aio.Channel:
    """Return a channel to a server, each call on which brings `token_metadata` by itself. Nothing is dialled yet."""
    return dial(access, OPTIONS)


def token_metadata(access: Access) -> Entries:
    """Return the metadata that shows the token, if there is one. Not to be printed."""
    token = access.read_token()
    return () if token is None else own_entries(token)


def no_hub(access: Access, details: str) -> PortcallError:
    """Return the error for a hub that does not answer; `details` are gRPC's own.

    That is a mistake, as `portcall doctor` has it, where something there or here has to be changed first: a
    certificate, TLS on one side alone, something that is no hub. Else it may pass by itself.
    """
    is_passing = diagnose(details, is_encrypted=access.is_encrypted) is None
    return (FailedError if is_passing else ConfigurationError)(unreachable(access, details, "hub"))


def unreachable(access: Access, details: str, what: str = "server") -> str:
    """Return the words for a server, or `what` else it should be, that does not answer; `details` are gRPC's own."""
    words = explain(access, grpc.StatusCode.UNAVAILABLE, details)
    if not words.startswith("UNAVAILABLE"):
        return f"no {what} can be reached at {access.target}: {words}"
    start = "Start one with 'portcall hub', or name another with --hub"
    return f"no {what} answers at {access.target} ({reason(details)}). {start}"
