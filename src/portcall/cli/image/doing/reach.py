"""What is within reach of a command: what is kept here, and registries. Imports little: some commands build nothing."""

from collections.abc import Iterable
from pathlib import Path

from portcall.image.store import Store, default_folder


def store_of(cache: Path | None) -> Store:
    """Return what is kept between builds."""
    return Store(cache or default_folder())


def hosts_of(insecure_registry: Iterable[str] | None) -> frozenset[str]:
    """Return the registries that need not speak HTTPS."""
    return frozenset(insecure_registry or ())
