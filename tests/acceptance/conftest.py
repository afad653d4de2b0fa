"""`processes`, for every test that needs real ones."""

from collections.abc import AsyncIterator

import pytest
from image_stand import base_folder, project, store, wheel_folder

from .engine import engine
from .processes import Processes

__all__ = ["base_folder", "engine", "processes", "project", "store", "wheel_folder"]


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    """Start `portcall` processes; whatever becomes of the test, they are gone after it."""
    started = Processes()
    yield started
    await started.clean_up()
