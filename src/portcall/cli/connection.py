"""How a command of ours reaches a hub, or any other gRPC server."""

import grpc

from portcall._version import __version__

OPTIONS = (
    ("grpc.primary_user_agent", f"portcall/{__version__}"),
    # The server's own bounds count; a person who asks wants the answer.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


def open_channel(target: str) -> grpc.aio.Channel:
    """Return a channel to the server at an address as gRPC takes it. Nothing is dialled yet."""
    return grpc.aio.insecure_channel(target, OPTIONS)


def unreachable(target: str, reason: str) -> str:
    """Return the words for a server that does not answer; `reason` is gRPC's own."""
    last = reason.rpartition(": ")[2]
    return f"no server answers at {target} ({last}). Start one with 'portcall hub', or name another with --hub"
