"""The pytest plugin: the fixtures `portcall_fleet`, for coroutines, and `portcall_sync_fleet`, for tests that block.

`portcall_fleet` needs pytest-asyncio. Whoever has another runner writes `async with portcall.testing.Fleet() as fleet`.
The mark `portcall(store=False, grace_s=2)` gives the arguments of the test's fleet.
"""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from portcall.testing.blocking import SyncFleet

MARK = "portcall"
FIXTURES_MODULE = "portcall.testing.asyncio_fixtures"
MISSING_MODULE = "portcall.testing.missing_fixtures"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark, and add the fixture that pytest-asyncio runs, or one that says that it is missing."""
    config.addinivalue_line("markers", f"{MARK}(**settings): arguments of the fleet of this test, as of Fleet.")
    module = FIXTURES_MODULE if config.pluginmanager.hasplugin("asyncio") else MISSING_MODULE
    config.pluginmanager.register(importlib.import_module(module), module)


def settings_of(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the arguments that a test wants for its fleet."""
    mark = request.node.get_closest_marker(MARK)
    return {} if mark is None else dict(mark.kwargs)


@pytest.fixture
def portcall_sync_fleet(request: pytest.FixtureRequest) -> "Iterator[SyncFleet]":
    """A fleet in a thread of its own, for tests that block."""
    from portcall.testing.blocking import SyncFleet  # noqa: PLC0415  # most runs of pytest need none of it

    with SyncFleet(**settings_of(request)) as fleet:
        yield fleet
