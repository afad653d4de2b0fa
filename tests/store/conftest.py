"""Every kind of store, for tests that hold for all of them."""

from pathlib import Path

import pytest

from .stores import STORES, Place


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return STORES[request.param](tmp_path)
