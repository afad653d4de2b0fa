"""What stands for `portcall_fleet` where there is no pytest-asyncio to run it."""

import pytest


@pytest.fixture
def portcall_fleet() -> None:
    """Say what is missing."""
    pytest.fail(
        'portcall_fleet needs pytest-asyncio: pip install pytest-asyncio, and set asyncio_mode = "auto" for pytest.'
        " Tests that block have portcall_sync_fleet; with another runner, use: async with portcall.testing.Fleet()",
        pytrace=False,
    )
