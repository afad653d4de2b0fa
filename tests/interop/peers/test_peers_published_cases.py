"""The published cases, from Python's clients by way of hub and sidecar to servers in other languages."""

from interop_pb2 import StreamRequest, UnaryRequest

from interop.kinds import collect
from interop.service import InteropStub
from interop.test_published_cases import *  # noqa: F403  # each case runs with the fixtures of this folder
from interop.test_published_cases import METADATA


def own(metadata: object) -> tuple[tuple[str, str | bytes], ...]:
    """The entries of the case, without those that an HTTP server adds by itself, as Node's does with `date`."""
    return tuple((key, value) for key, value in metadata if key.startswith("x-"))  # type: ignore[attr-defined]


async def test_custom_metadata_of_a_unary_call(stub: InteropStub) -> None:
    call = stub.UnaryCall(UnaryRequest(), metadata=METADATA)
    await call
    assert own(await call.initial_metadata()) == METADATA[:1]
    assert own(await call.trailing_metadata()) == METADATA[1:]


async def test_custom_metadata_of_full_duplex(stub: InteropStub) -> None:
    call = stub.FullDuplexCall(iter([StreamRequest()]), metadata=METADATA)
    assert await collect(call) == []
    assert own(await call.initial_metadata()) == METADATA[:1]
    assert own(await call.trailing_metadata()) == METADATA[1:]
