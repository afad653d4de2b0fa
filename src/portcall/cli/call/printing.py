"""What a call prints: replies on stdout, everything else on stderr."""

import base64
import re
import sys
from collections.abc import Sequence
from typing import Final

import click
import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from portcall.cli.call.conversation import Ending, Metadata
from portcall.cli.call.directory import Directory
from portcall.cli.call.pipes import write_all
from portcall.cli.connection import unreachable
from portcall.cli.exits import FailedError
from portcall.contract.documents import JsonValue, encode
from portcall.contract.to_json import JsonWriteError
from portcall.wire.access import Access
from portcall.wire.status import status_code

STDOUT: Final = 1
STATUS_DETAILS: Final = "grpc-status-details-bin"

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Printer:
    """Prints one call."""

    def __init__(self, directory: Directory, method: MethodDescriptor, *, is_pretty: bool, is_verbose: bool) -> None:
        self._directory = directory
        self._method = method
        self._is_pretty = is_pretty
        self._is_verbose = is_verbose
        self._held: list[bytes] = []
        self._reply = GetMessageClass(method.output_type)

    def on_start(self, target: str, metadata: Metadata) -> None:
        """Say what is called, if that is wanted."""
        method = self._method
        request = f"{'stream ' if method.client_streaming else ''}{method.input_type.full_name}"
        reply = f"{'stream ' if method.server_streaming else ''}{method.output_type.full_name}"
        self._say(f"> {method_name(method)} at {target}")
        self._say(f"> rpc {method.name}({request}) returns ({reply})")
        self._say_all(">", metadata)

    def on_headers(self, metadata: Metadata) -> None:
        """Show the initial metadata, if that is wanted."""
        self._say(f"< initial metadata ({len(metadata)})")
        self._say_all("<", metadata)

    async def on_reply(self, reply: bytes) -> None:
        """Print a reply of a stream; the only one of another method counts if the call ends well.

        Raises:
            FailedError: it is not what the descriptors say, or has no JSON form.
        """
        if self._method.server_streaming:
            await self._print(reply)
        else:
            self._held.append(reply)

    async def print_held(self) -> None:
        """Print the reply of a method that has but one.

        Raises:
            FailedError: there is none, or more than one, or as for `on_reply`.
        """
        if len(self._held) != 1:
            words = f"had {_count(len(self._held), 'reply')} instead of one, which breaks the rules of gRPC"
            raise FailedError(f"{method_name(self._method)} {words}")
        await self._print(self._held[0])

    async def _print(self, reply: bytes) -> None:
        name = self._method.output_type.full_name
        try:
            message: Message = self._reply.FromString(reply)
        except DecodeError:
            raise FailedError(
                f"the reply of {method_name(self._method)} is not a {name}: the descriptors are not the server's"
            ) from None
        try:
            value = await self._directory.json(message)
        except JsonWriteError as error:
            raise FailedError(f"the reply of {method_name(self._method)} is {error}") from None
        await write_all(STDOUT, f"{encode(value, is_pretty=self._is_pretty)}\n".encode())

    def on_end(self, ending: Ending) -> None:
        """Show trailers and status, if that is wanted."""
        self._say(f"< trailers ({len(ending.trailers)})")
        self._say_all("<", ending.trailers)
        words = f": {printable(ending.details)}" if ending.details else ""
        self._say(f"< status {ending.number} {ending.code.name}{words}")
        self._say(f"* sent {_count(ending.requests_count, 'request')}, got {_count(ending.replies_count, 'reply')}")

    async def status_details(self, ending: Ending) -> list[JsonValue]:
        """Return the details of a rich error as JSON, none if it has none."""
        from google.rpc.status_pb2 import Status  # noqa: PLC0415  # few calls need it, and every call would wait

        content = dict(ending.trailers).get(STATUS_DETAILS)
        try:
            status = Status.FromString(content if isinstance(content, bytes) else b"")
            return [await self._directory.json(detail) for detail in status.details]
        except (DecodeError, JsonWriteError):
            return []  # the trailer is another's business; --verbose shows its bytes

    def _say(self, line: str) -> None:
        if self._is_verbose:
            click.echo(line, err=True)

    def _say_all(self, sign: str, metadata: Metadata) -> None:
        for key, value in metadata:
            text = base64.b64encode(value).decode() if isinstance(value, bytes) else printable(value)
            self._say(f"{sign}   {key}: {text}")


def method_name(method: MethodDescriptor) -> str:
    """Return SERVICE/METHOD."""
    return f"{method.containing_service.full_name}/{method.name}"


def failure(method: MethodDescriptor, access: Access, ending: Ending, details: Sequence[JsonValue]) -> str:
    """Return the words for a call that failed: a line, and one for each detail of a rich error."""
    if ending.code is grpc.StatusCode.UNAVAILABLE and "failed to connect to all addresses" in ending.details:
        return unreachable(access, ending.details)
    words = f": {printable(ending.details)}" if ending.details else ""
    lines = [
        f"{method_name(method)} ended with {ending.code.name}{words}",
        *(f"  {encode(detail)}" for detail in details),
    ]
    return "\n".join(lines)


def failure_json(status: int, message: str, details: Sequence[JsonValue] = ()) -> str:
    """Return the same for programs."""
    return encode({"code": status, "status": status_code(status).name, "message": message, "details": list(details)})


def printable(text: str) -> str:
    """Return text of a server's that no longer breaks a line nor steers a terminal."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def _count(number: int, noun: str) -> str:
    plural = {"request": "requests", "reply": "replies"}[noun]
    return f"{number} {noun if number == 1 else plural}"
