"""How a sidecar learns what its upstream serves: by server reflection, or from a descriptor set in a file."""

import asyncio
import difflib
from collections.abc import Sequence
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from portcall.contract.descriptors import FILES_BYTES_MAX, DescriptorFiles, shown
from portcall.errors import ConfigurationError
from portcall.protos.portcall.v1 import link_pb2
from portcall.worker.upstream import AWAY_CODES, Upstream, UpstreamAwayError

LEARN_S = 10.0
"""How long all of reflection may take."""

SET_BYTES_MAX = 8 * FILES_BYTES_MAX
"""Largest descriptor set that is read; comments may be most of it, and are left out."""

REFLECTION_VERSIONS = ("v1", "v1alpha")
"""On the wire they are the same; newer servers have the first one, and some no other."""

NOT_TAKEN = ("grpc.reflection.", "grpc.health.", "portcall.v1.")
"""Services that a hub has itself. Those of an upstream tell of the upstream alone, and nobody could reach them."""

HUB_SERVICE = "portcall.v1.Hub"

_SEVERAL = 5


def choose_services(offered: Sequence[str], wanted: Sequence[str], origin: str) -> list[str]:
    """Return which of the services that an upstream has shall join the fleet: those that are wanted, or all.

    Raises:
        ConfigurationError: one that is wanted is not there, or there is none at all.
    """
    usable = sorted({name for name in offered if not name.startswith(NOT_TAKEN)})
    for name in wanted:
        if name not in usable:
            raise ConfigurationError(f"{origin}: there is no service {name!r}. {_alternatives(name, usable)}")
    if not usable:
        raise ConfigurationError(f"{origin}: there are no services but those for reflection and health")
    return sorted(set(wanted)) or usable


def _alternatives(name: str, usable: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, usable, n=1)
    near = near or [each for each in usable if each.rpartition(".")[2] == name.rpartition(".")[2]][:1]
    if near:
        return f"Did you mean {shown(near[0])}?"
    more = f" and {len(usable) - _SEVERAL} more" if len(usable) > _SEVERAL else ""
    return f"It has {', '.join(map(shown, usable[:_SEVERAL])) or 'none'}{more}"


def read_descriptor_set(path: Path, wanted: Sequence[str]) -> link_pb2.Contract:
    """Return the contract of a descriptor set's services.

    Raises:
        ConfigurationError: the file cannot be read, is not sound, or lacks something.
    """
    files = DescriptorFiles(f"descriptor set {path}")
    try:
        with path.open("rb") as file:
            serialized = file.read(SET_BYTES_MAX + 1)
    except OSError as error:
        raise files.error(f"it cannot be read: {error.strerror or error}") from None
    if len(serialized) > SET_BYTES_MAX:
        raise files.error(f"it is larger than {SET_BYTES_MAX} bytes")
    files.add_set(serialized)
    files.add_well_known()
    if missing := files.missing():
        raise files.error(f"it lacks {shown(missing[0])}, which is imported; make it with protoc --include_imports")
    return files.contract(choose_services(files.services, wanted, files.origin))


async def learn_by_reflection(upstream: Upstream, wanted: Sequence[str]) -> link_pb2.Contract:
    """Return the contract of the upstream's services, as its reflection describes them.

    Raises:
        UpstreamAwayError: the upstream went away meanwhile.
        ConfigurationError: it has no reflection, or what that says cannot be used.
    """
    refusal = ""
    for version in REFLECTION_VERSIONS:
        asking = _Asking(upstream, version)
        try:
            async with asyncio.timeout(LEARN_S):
                return await _learn(asking, wanted)
        except TimeoutError:
            raise UpstreamAwayError(f"it did not tell its methods within {LEARN_S:g} s") from None
        except grpc.aio.AioRpcError as error:
            words = shown(f"{error.code().name}: {error.details()}")
            if error.code() in AWAY_CODES:
                raise UpstreamAwayError(f"it went away while it was asked for its methods ({words})") from None
            refusal = refusal or words
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                break
    raise ConfigurationError(
        f"the upstream {upstream.target} does not tell its methods by server reflection ({refusal}). Turn reflection on"
        " in it, or describe it with --descriptor-set FILE"
    )


async def _learn(asking: "_Asking", wanted: Sequence[str]) -> link_pb2.Contract:
    files = asking.files
    offered = await asking.list_services()
    if HUB_SERVICE in offered:
        raise files.error("this is a Portcall hub, whose calls would come back to it. Name the server itself")
    services = choose_services(offered, wanted, files.origin)
    for name in services:
        if name not in files.services:
            await asking.fetch(name)
    asked: set[str] = set()
    while unasked := [name for name in files.missing() if name not in asked]:
        asked.update(unasked)
        for name in unasked:
            await asking.fetch_import(name)
    files.add_well_known()
    return files.contract(services)


class _Asking:
    """Questions to a server's reflection, and the files that were the answers."""

    def __init__(self, upstream: Upstream, version: str) -> None:
        self.files = DescriptorFiles(f"reflection of the upstream {upstream.target}")
        path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        # The method takes a stream of questions. One question each needs no half-close of its own, nor a write that
        # could cross the end of a stream that the server refuses.
        self._call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = upstream.channel.unary_stream(path)

    async def list_services(self) -> list[str]:
        """Return what the upstream says that it serves."""
        answer = await self._ask(ServerReflectionRequest(list_services="*"))
        if not answer.HasField("list_services_response"):
            raise self.files.error(f"it does not list its services{_reason(answer)}")
        return [service.name for service in answer.list_services_response.service]

    async def fetch(self, service: str) -> None:
        """Take the file that declares a service, and what comes with it."""
        answer = await self._ask(ServerReflectionRequest(file_containing_symbol=service))
        if not answer.HasField("file_descriptor_response"):
            raise self.files.error(
                f"it lists {shown(service)}, but does not describe it{_reason(answer)}. Choose others with --service,"
                " or describe it with --descriptor-set FILE"
            )
        self._take(answer)

    async def fetch_import(self, name: str) -> None:
        """Take a file that others import, if the upstream has it. What lacks then is said where it is needed."""
        answer = await self._ask(ServerReflectionRequest(file_by_filename=name))
        if answer.HasField("file_descriptor_response"):
            self._take(answer)

    def _take(self, answer: ServerReflectionResponse) -> None:
        for serialized in answer.file_descriptor_response.file_descriptor_proto:
            self.files.add(serialized)

    async def _ask(self, question: ServerReflectionRequest) -> ServerReflectionResponse:
        call = self._call(question.SerializeToString())
        try:
            answer = await call.read()
        finally:
            call.cancel()
        if not isinstance(answer, bytes):
            raise self.files.error("it ended without an answer")
        try:
            return ServerReflectionResponse.FromString(answer)
        except DecodeError:
            raise self.files.error("its answer is not a ServerReflectionResponse") from None


def _reason(answer: ServerReflectionResponse) -> str:
    """Return why an answer is not the one that was asked for, as far as it says so."""
    if not answer.HasField("error_response"):
        return ""
    error = answer.error_response
    return f" ({shown(error.error_message) or f'error {error.error_code}'})"
