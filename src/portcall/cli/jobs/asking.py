"""How the commands for jobs and schedules ask a hub, and what they say when it does not answer as hoped."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import click
import grpc

from portcall.cli.call.directory import Directory
from portcall.cli.call.printing import printable
from portcall.cli.connection import OPTIONS, no_hub
from portcall.cli.exits import EXIT_UNREAD, CallError, FailedError
from portcall.client.jobs.connections import JobsService
from portcall.client.jobs.errors import HubLostError
from portcall.contract.catalog import Catalog
from portcall.contract.reflection import ReflectionClient
from portcall.errors import ConfigurationError, PortcallError
from portcall.protos.portcall.v1 import jobs_pb2 as pb
from portcall.wire.access import Access
from portcall.wire.diagnosis import explain
from portcall.wire.native import open_aio_channel

ANSWER_S: Final = 10.0
"""How long a hub may take to answer."""

PAGE_MAX: Final = 1_000
IDS_MAX: Final = 10_000
"""Jobs that one question may name."""

NAMED_MAX: Final = 3
"""Jobs that an error names: a line's worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSide:
    """A hub: its jobs, and what its fleet serves."""

    access: Access
    jobs: JobsService
    directory: Directory


@asynccontextmanager
async def opened(access: Access) -> AsyncIterator[HubSide]:
    """Give a hub that answers and keeps jobs, and say in words what it answers later when that is a failure.

    Raises:
        FailedError: it does not answer.
        ConfigurationError: it refuses what was asked, or is no hub that keeps jobs.
    """
    async with open_aio_channel(access, OPTIONS) as channel:
        reflection = ReflectionClient(channel, answer_s=ANSWER_S)
        directory = Directory(access, reflection, Catalog())
        jobs = JobsService(channel)
        try:
            await jobs.get(pb.GetRequest(), timeout=ANSWER_S)
            yield HubSide(access=access, jobs=jobs, directory=directory)
        except grpc.aio.AioRpcError as error:
            raise explained(access, error) from None


def explained(access: Access, error: grpc.aio.AioRpcError) -> PortcallError:
    """Return the error that a command ends with when the hub has answered with this one, or could not be asked."""
    details = printable(error.details() or "")
    if not isinstance(error, HubLostError):
        return _of_answer(access, error, details)
    # A `JobKeeper` says itself who and why.
    words = details[:1].lower() + details[1:]
    return FailedError(words) if error.code() is grpc.StatusCode.UNAVAILABLE else ConfigurationError(words)


def _of_answer(access: Access, error: grpc.aio.AioRpcError, details: str) -> PortcallError:
    target = access.target
    match error.code():
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return ConfigurationError(explain(access, error.code(), details))
        case grpc.StatusCode.UNAVAILABLE:
            return no_hub(access, error.details() or "")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return FailedError(f"the hub at {target} has not answered within {ANSWER_S:g} s. Look at its log")
        case grpc.StatusCode.UNIMPLEMENTED:
            return ConfigurationError(
                f"what answers at {target} keeps no jobs (UNIMPLEMENTED: {details}). Correct --hub, or start the hub"
                " with --store FILE"
            )
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.FAILED_PRECONDITION | grpc.StatusCode.NOT_FOUND:
            return ConfigurationError(f"the hub at {target} refuses it: {details}")
    return CallError(f"the hub at {target} answered {error.code().name}: {details}", error.code().value[0])


def run(work: Coroutine[Any, Any, int]) -> int:
    """Do the work of a command; return its exit code."""
    try:
        return asyncio.run(work)
    except BrokenPipeError:
        return EXIT_UNREAD


def read_ids(ids: Sequence[str]) -> list[str]:
    """Return ids of jobs as they were given; "-" stands for those in standard input, white space between them.

    Raises:
        click.UsageError: there are none.
    """
    found: list[str] = []
    for given in ids:
        found += _stdin().split() if given == "-" else [given]
    if not found and "-" not in ids:
        raise click.UsageError("say which jobs, by their ids; or - to read them from standard input")
    return list(dict.fromkeys(found))


def _stdin() -> str:
    if sys.stdin is None:
        raise ConfigurationError("standard input is closed, and cannot be read")
    return sys.stdin.read()


def parts(ids: Sequence[str]) -> list[Sequence[str]]:
    """Return ids in parts that one question may name."""
    return [ids[start : start + IDS_MAX] for start in range(0, len(ids), IDS_MAX)]


async def listed(hub: HubSide, question: pb.ListRequest, limit: int) -> tuple[list[pb.Job], bool]:
    """Return up to so many jobs, and whether there are more."""
    found: list[pb.Job] = []
    asked = pb.ListRequest()
    asked.CopyFrom(question)
    while len(found) < limit:
        asked.page_size = min(PAGE_MAX, limit - len(found))
        reply: pb.ListReply = await hub.jobs.list(asked, timeout=ANSWER_S)
        found += reply.jobs
        asked.page_token = reply.page_token
        if not reply.page_token:
            return found, False
    return found, True


def no_such_jobs(missing: Sequence[str]) -> ConfigurationError:
    """Return the error for ids that no job has."""
    if len(missing) == 1:
        return ConfigurationError(f"there is no job {missing[0]}. It may have been forgotten. See: portcall jobs ls")
    more = len(missing) - NAMED_MAX
    few = ", ".join(missing[:NAMED_MAX]) + (f" and {more:,} more" if more > 0 else "")
    return ConfigurationError(f"there are no jobs {few}. They may have been forgotten. See: portcall jobs ls")
