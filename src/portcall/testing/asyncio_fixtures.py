"""The fixture that pytest-asyncio runs. Imported by the plugin where there is one."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from portcall.testing.plugin import settings_of

if TYPE_CHECKING:
    from portcall.testing.fleet import Fleet


@pytest_asyncio.fixture
async def portcall_fleet(request: pytest.FixtureRequest) -> "AsyncIterator[Fleet]":
    """A fleet in the test's own event loop."""
    from portcall.testing.fleet import Fleet  # noqa: PLC0415  # most runs of pytest need none of it

    async with Fleet(**settings_of(request)) as fleet:
        yield fleet
