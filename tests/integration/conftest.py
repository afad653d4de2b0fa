"""The stage, and the proof that nothing of it is left."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from image_stand import base_folder, image, project, store, wheel_folder

from .stage import Stage, staged

__all__ = ["base_folder", "image", "project", "stage", "store", "wheel_folder"]

LEFT_S = 30.0


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    before = asyncio.all_tasks()
    async with staged() as opened:
        yield opened
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:  # gRPC's own may need another turn of the loop
        _, left = await asyncio.wait(left, timeout=LEFT_S)
    assert not left, f"tasks went on after the end: {left}"
