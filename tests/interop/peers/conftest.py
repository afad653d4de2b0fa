"""Peers: built once, started once for each process of the tests, and put beside a sidecar for each test."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import portcall
from interop.blocking import Use
from interop.service import InteropStub, Register, interop_stub
from portcall.core.limits import CallLimits
from portcall.hub import Hub, HubConfig
from portcall.wire.access import resolve_access
from portcall.worker.sidecar import Sidecar, SidecarConfig

from .blocking import blocking_server
from .tools import CPP, GO, interop_by_node, node_environment

NO_LIMIT = [("grpc.max_receive_message_length", -1)]

CLIENTS: dict[str, Callable[[str], Any]] = {
    "native": lambda address: grpc.aio.insecure_channel(address, NO_LIMIT),
    "channel": portcall.Channel,
}

BLOCKING_CLIENTS: dict[str, Callable[[str], grpc.Channel]] = {
    "native": lambda address: grpc.insecure_channel(address, NO_LIMIT),
    "sync": portcall.sync.Channel,
}

BUILT = {built.language: built for built in (CPP, GO)}


BUILD_S = 600.0
"""How long a case may take, since the first of a language builds its server."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(BUILD_S))


@contextmanager
def started(command: Sequence[str]) -> Iterator[str]:
    """Run a server that says where it listens; give the address. It ends with its standard input."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=node_environment(), text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("serving on "), said
        yield said.removeprefix("serving on ").strip()
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


@pytest.fixture(scope="session", params=["blocking", "node", *BUILT])
def peer_language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def peer(peer_language: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that knows nothing of a fleet."""
    if peer_language == "blocking":
        with blocking_server() as address:
            yield address
        return
    if peer_language == "node":
        command = interop_by_node("server.js")
    else:
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        command = BUILT[peer_language].command(shared / f"{peer_language}-peer")
    with started(command) as address:
        yield address


@pytest.fixture
async def hub_address(peer: str) -> Any:
    """The address of a hub to which the peer has come by a sidecar."""
    at_once = CallLimits(settle_s=0.0)  # what is unknown is refused without a wait
    async with Hub(HubConfig(listen="127.0.0.1:0", limits=at_once)) as hub:
        sidecar = Sidecar(SidecarConfig(upstream=peer, access=resolve_access(hub.address)))
        await sidecar.start()
        yield hub.address
        await sidecar.stop(5.0)


class PeerRoute:
    """A way from a client to the peer, with what the published cases ask of a `Route`."""

    def __init__(self, address: str, client: str, exits: AsyncExitStack) -> None:
        self._address = address
        self._client = client
        self._exits = exits

    async def serve(self, register: Register) -> None:
        """The peer serves already."""

    async def connect(self) -> grpc.aio.Channel:
        channel: grpc.aio.Channel = await self._exits.enter_async_context(CLIENTS[self._client](self._address))
        return channel


@pytest.fixture(params=CLIENTS)
async def route(request: pytest.FixtureRequest, hub_address: str) -> Any:
    async with AsyncExitStack() as exits:
        yield PeerRoute(hub_address, request.param, exits)


@pytest.fixture
async def stub(route: PeerRoute) -> InteropStub:
    return interop_stub(await route.connect())


@pytest.fixture(params=BLOCKING_CLIENTS)
def blocking(request: pytest.FixtureRequest, hub_address: str) -> Use:
    """Calls the peer from a thread."""

    def call(use: Callable[[grpc.Channel], Any]) -> Any:
        with BLOCKING_CLIENTS[request.param](hub_address) as channel:
            return use(channel)

    return lambda use: asyncio.to_thread(call, use)
