"""`processes`, for every test that needs real ones."""

from collections.abc import AsyncIterator

import pytest

from .processes import Processes


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    """Start `portcall` processes; whatever becomes of the test, they are gone after it."""
    started = Processes()
    yield started
    await started.clean_up()
