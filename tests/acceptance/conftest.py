"""`processes`, for every test that needs real ones."""

import signal
from collections.abc import AsyncIterator

import pytest
from image_stand import base_folder, debian, project, slim_base, store, wheel_folder

from .engine import engine
from .processes import Processes

__all__ = ["base_folder", "debian", "engine", "processes", "project", "slim_base", "store", "wheel_folder"]


# A shell has what it starts in the background ignore Ctrl-C, and the commands under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    """Start `portcall` processes; whatever becomes of the test, they are gone after it."""
    started = Processes()
    yield started
    await started.clean_up()
