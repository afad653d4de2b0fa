"""The example project on `sys.path`, and its service on a plain gRPC server, behind a channel that has `map`."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "textmine"))

import textmine_pb2 as pb
from service import TextMine
from textmine_pb2_grpc import TextMineStub, add_TextMineServicer_to_server


class MappingCall:
    """A unary call with `map`, as on a Portcall channel, but one request after the other."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    async def map(
        self,
        requests: Iterable[Any],
        *,
        ordered: bool = True,
        limit: int | None = None,
        return_exceptions: bool = False,
    ) -> AsyncIterator[Any]:
        for request in requests:
            try:
                yield await self._call(request)
            except grpc.aio.AioRpcError as error:
                if not return_exceptions:
                    raise
                yield error


class MappingChannel:
    """A grpc.aio channel whose unary calls have `map`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def unary_unary(self, *args: Any, **kwargs: Any) -> MappingCall:
        return MappingCall(self._channel.unary_unary(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


Serve = Callable[[TextMine], Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve any TextMine on a port of its own, and return a channel to it."""
    servers, channels = [], []

    async def started(service: TextMine) -> MappingChannel:
        server = grpc.aio.server()
        add_TextMineServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        return MappingChannel(channels[-1])

    yield started
    for channel in channels:
        await channel.close()
    for server in servers:
        await server.stop(grace=None)


@pytest.fixture
async def stub(serve: Serve) -> TextMineStub:
    return TextMineStub(await serve(TextMine()))  # type: ignore[no-untyped-call]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A small corpus of all kinds, with two documents that have no text."""
    root = tmp_path / "corpus"
    (root / "news").mkdir(parents=True)
    (root / "ship.py").write_text("def load_cargo(self, harbour):\n    return harbour.cranes.lift(cargo)\n")
    (root / "port.html").write_text("<h1>Harbour</h1><script>var hidden</script><p>Cranes lift cargo.</p>")
    (root / "sea.txt").write_text("Waves, wind and waves. The harbour is far.")
    (root / "news" / "정책.txt").write_text("정부는 항만 정책을 발표했다. 정부의 정책이다.", encoding="utf-8")
    (root / "binary.txt").write_bytes(b"\x7fELF\0\0\1")
    (root / "broken.txt").write_bytes(b"caf\xe9 \xff\xff\xff")
    (root / "picture.png").write_bytes(b"\x89PNG")
    return root


@pytest.fixture
def terms_of() -> Callable[..., pb.DocumentTerms]:
    """Make a message of a document's counts."""

    def made(document_id: str, **counts: int) -> pb.DocumentTerms:
        return pb.DocumentTerms(document_id=document_id, counts=counts, term_total=sum(counts.values()))

    return made
