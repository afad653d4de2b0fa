"""`portcall call`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import grpc
from google.protobuf.descriptor import MethodDescriptor

from portcall.cli.call.completing import complete_name
from portcall.cli.call.conversation import Conversation, Ending, Metadata
from portcall.cli.call.directory import Directory, catalog_of_files
from portcall.cli.call.listing import describe, list_methods, list_services
from portcall.cli.call.metadata import metadatum
from portcall.cli.call.pipes import write_all
from portcall.cli.call.printing import STDOUT, Printer, failure, failure_json, is_terminal, method_name
from portcall.cli.call.requests import Requests, find_source
from portcall.cli.connection import open_channel, token_metadata
from portcall.cli.exits import EXIT_DONE, EXIT_STATUS, EXIT_UNREAD, CallError, FailedError
from portcall.cli.options import file_path, hub_access, seconds, setting
from portcall.contract.reflection import ReflectionClient
from portcall.wire.access import Access

ANSWER_S = 10.0
"""How long a server may take to say what it serves, if --timeout does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the options ask for."""

    access: Access
    metadata: Metadata
    """What the user wants sent; the token is not among it, so that it can be shown."""
    timeout_s: float | None
    wait_for_ready: bool
    protosets: Sequence[Path]
    emits_defaults: bool
    is_verbose: bool
    is_json: bool

    @property
    def target(self) -> str:
        """Where the server is."""
        return self.access.target

    @property
    def all_metadata(self) -> Metadata:
        """What is sent: the user's, and the token."""
        return (*self.metadata, *token_metadata(self.access))

    @property
    def answer_s(self) -> float | None:
        """How long to wait for what the server serves; for ever where the server itself is waited for."""
        return ANSWER_S if self.timeout_s is None and not self.wait_for_ready else self.timeout_s


@click.command(
    epilog="""\b
Examples:
  portcall call greet.Greeter/SayHello '{"name": "Ada"}'
  portcall call greet.Greeter/SayHello @request.json --timeout 5
  cat requests.jsonl | portcall call pkg.Service/AnyStream > replies.jsonl
  portcall call --list
  portcall call --describe greet.Greeter/SayHello

\b
Exit codes: 0 if the call ended with OK, 2 for a mistake in the command line
or a request, 130 after Ctrl-C (which cancels the call), 141 if nobody reads
the output any more, 1 for what else fails. If it ended with another status:
  65 CANCELLED          66 UNKNOWN             67 INVALID_ARGUMENT
  68 DEADLINE_EXCEEDED  69 NOT_FOUND           70 ALREADY_EXISTS
  71 PERMISSION_DENIED  72 RESOURCE_EXHAUSTED  73 FAILED_PRECONDITION
  74 ABORTED            75 OUT_OF_RANGE        76 UNIMPLEMENTED
  77 INTERNAL           78 UNAVAILABLE         79 DATA_LOSS
  80 UNAUTHENTICATED"""
)
@click.argument("name", metavar="SERVICE/METHOD", required=False, shell_complete=complete_name)
@click.argument("request", metavar="[REQUEST]", required=False)
@hub_access
@click.option(
    "-H",
    "--metadata",
    multiple=True,
    type=metadatum,
    metavar="'KEY: VALUE'",
    help="Metadata to send; may be repeated. The value of a -bin key is base64.",
)
@setting("--timeout", "The call's deadline.", type=seconds, metavar="S", shown="none", variable="PORTCALL_CALL_TIMEOUT")
@setting(
    "--wait-for-ready",
    "Wait for a server that cannot be reached yet.",
    is_flag=True,
    default=False,
    variable="PORTCALL_CALL_WAIT_FOR_READY",
)
@setting(
    "--emit-defaults",
    "Print fields that have no value, too, unless they are optional.",
    is_flag=True,
    default=False,
    variable="PORTCALL_CALL_EMIT_DEFAULTS",
)
@setting(
    "--protoset",
    "Take descriptors from what protoc wrote, and not from the server; may be repeated.",
    also=("--descriptor-set", "protosets"),
    multiple=True,
    type=file_path,
    metavar="FILE",
    shown="ask the server",
    variable="PORTCALL_CALL_PROTOSET",
)
@click.option("-v", "--verbose", "is_verbose", is_flag=True, help="Show metadata, trailers and status on stderr.")
@click.option(
    "--json",
    "is_json",
    is_flag=True,
    help="Print for programs: a line for each reply, a status that is not OK as JSON.",
)
@click.option("--list", "is_list", is_flag=True, help="List the services, or the methods of one.")
@click.option(
    "--describe",
    "is_describe",
    is_flag=True,
    help="Print a service, method, message, enum or file as .proto text, with JSON to start from.",
)
def call(
    *,
    name: str | None,
    request: str | None,
    access: Access,
    metadata: Metadata,
    timeout: float | None,
    wait_for_ready: bool,
    emit_defaults: bool,
    protosets: Sequence[Path],
    is_verbose: bool,
    is_json: bool,
    is_list: bool,
    is_describe: bool,
) -> int:
    """Call a method: JSON in, JSON out.

    The server is a hub, or any gRPC server that has reflection.

    REQUEST is JSON, by the rules of protobuf's JSON mapping, or @FILE, or - for standard input, which is also read if
    something is piped into the command. For a stream of requests write one document after another; each is sent as
    soon as it is read. A method that takes one request takes nothing at all for an empty one. Each reply is a line on
    standard output; on a terminal, the reply of a method that has but one is laid out for people.
    """
    wishes = Wishes(
        access=access,
        metadata=metadata,
        timeout_s=timeout,
        wait_for_ready=wait_for_ready,
        protosets=protosets,
        emits_defaults=emit_defaults,
        is_verbose=is_verbose,
        is_json=is_json,
    )
    if is_list and is_describe:
        raise click.UsageError("--list and --describe exclude each other")
    if (is_list or is_describe) and request is not None:
        raise click.UsageError(f"{'--list' if is_list else '--describe'} takes no request")
    if name is None and not is_list:
        raise click.UsageError("say what to describe" if is_describe else "say which method to call, as SERVICE/METHOD")
    if is_list:
        return _run(_list(wishes, name), is_json=is_json)
    assert name is not None
    return _run(_describe(wishes, name) if is_describe else _call(wishes, name, request), is_json=is_json)


def _run(work: Coroutine[None, None, int], *, is_json: bool) -> int:
    if sys.stdout is None:  # and its number may be that of one of gRPC's own files by now
        work.close()
        raise FailedError("standard output is closed")
    try:
        return asyncio.run(work)
    except CallError as error:
        if not is_json:
            raise
        click.echo(failure_json(error.status, str(error)), err=True)
        return error.exit_code
    except BrokenPipeError:
        return EXIT_UNREAD
    except OSError as error:
        raise FailedError(f"cannot write to standard output: {error.strerror}") from None


async def _list(wishes: Wishes, service: str | None) -> int:
    async with _opened(wishes) as (directory, _):
        if service is None:
            text = await list_services(directory, is_json=wishes.is_json)
        else:
            text = await list_methods(directory, service, is_json=wishes.is_json)
        await write_all(STDOUT, f"{text}\n".encode() if text else b"")
    return EXIT_DONE


async def _describe(wishes: Wishes, name: str) -> int:
    async with _opened(wishes) as (directory, _):
        described = await describe(directory, name)
        text = described.json() if wishes.is_json else described.text()
        await write_all(STDOUT, f"{text}\n".encode())
    return EXIT_DONE


async def _call(wishes: Wishes, name: str, request: str | None) -> int:
    async with _opened(wishes) as (directory, channel):
        method = await directory.method(name)
        requests = Requests(directory, method, find_source(request, is_stream=method.client_streaming))
        bodies = requests.each() if method.client_streaming else _alone(await requests.one())
        is_pretty = not wishes.is_json and not method.server_streaming and is_terminal()
        printer = Printer(directory, method, is_pretty=is_pretty, is_verbose=wishes.is_verbose)
        printer.on_start(wishes.target, wishes.metadata)
        conversation = Conversation(
            channel,
            f"/{method_name(method)}",
            metadata=wishes.all_metadata,
            timeout_s=wishes.timeout_s,
            wait_for_ready=wishes.wait_for_ready,
        )
        ending = await conversation.run(bodies, printer)
        return await _conclude(wishes, printer, method, ending)


async def _conclude(wishes: Wishes, printer: Printer, method: MethodDescriptor, ending: Ending) -> int:
    """Say how the call ended; return the exit code."""
    if ending.code is grpc.StatusCode.OK and not method.server_streaming:
        await printer.print_held()
    printer.on_end(ending)
    if ending.code is not grpc.StatusCode.OK:
        details = await printer.status_details(ending)
        if not wishes.is_json:
            raise CallError(failure(method, wishes.access, ending, details), ending.number)
        click.echo(failure_json(ending.number, ending.details, details), err=True)
        return EXIT_STATUS + ending.number
    return EXIT_DONE


async def _alone(request: bytes) -> AsyncIterator[bytes]:
    yield request


@asynccontextmanager
async def _opened(wishes: Wishes) -> AsyncIterator[tuple[Directory, grpc.aio.Channel]]:
    """Give what the server serves, and the way to it. Descriptor sets take the place of the server's reflection."""
    catalog = catalog_of_files(wishes.protosets)
    async with open_channel(wishes.access) as channel:
        reflection = ReflectionClient(
            channel, answer_s=wishes.answer_s, metadata=wishes.all_metadata, wait_for_ready=wishes.wait_for_ready
        )
        source = None if wishes.protosets else reflection
        yield Directory(wishes.access, source, catalog, emits_defaults=wishes.emits_defaults), channel
