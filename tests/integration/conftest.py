"""The stage, and the proof that nothing of it is left."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import image_stand
import pytest

from portcall.image.store import Store

from .stage import Stage, staged

LEFT_S = 5.0


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    before = asyncio.all_tasks()
    async with staged() as opened:
        yield opened
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:  # gRPC's own may need another turn of the loop
        _, left = await asyncio.wait(left, timeout=LEFT_S)
    assert not left, f"tasks went on after the end: {left}"


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout to build upon, for amd64 and arm64."""
    return image_stand.base_layout(tmp_path_factory)


@pytest.fixture(scope="session")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Portcall and what it needs as wheels, for amd64 and arm64."""
    return image_stand.wheels(tmp_path_factory)


@pytest.fixture
def project(tmp_path: Path, wheel_folder: Path) -> Path:
    """The greeter, locked."""
    return image_stand.make_project(tmp_path / "greeter", wheel_folder)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """What is kept between builds, for all tests that do not look into it."""
    return Store(image_stand.once(tmp_path_factory, "cache", lambda folder: folder.mkdir()))
