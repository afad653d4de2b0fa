"""The fixtures: a route, and a stub of the reference servicer on it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from interop_pb2_grpc import InteropServicer

from .blocking import Use, with_channel
from .routes import ROUTES, Route
from .service import InteropStub
from .servicers import CoroutineServicer, ThreadServicer


@pytest.fixture(params=ROUTES)
async def route(request: pytest.FixtureRequest) -> AsyncIterator[Route]:
    async with AsyncExitStack() as exits:
        yield ROUTES[request.param](exits)


@pytest.fixture(params=[CoroutineServicer, ThreadServicer], ids=["coroutines", "threads"])
def servicer(request: pytest.FixtureRequest) -> InteropServicer:
    reference: InteropServicer = request.param()
    return reference


@pytest.fixture
async def stub(route: Route, servicer: InteropServicer) -> InteropStub:
    """Calls the reference servicer; the case runs with each of its forms."""
    return await route.open(servicer)


@pytest.fixture
def blocking(route: Route, servicer: InteropServicer) -> Use:
    """Calls the reference servicer from a thread; the case runs with each of its forms."""
    return lambda use: with_channel(route, servicer, use)
