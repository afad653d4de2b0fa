"""The demo's processes: a hub with a store, and workers, which can be killed and started again."""

import json
from pathlib import Path
from typing import Final

from portcall.cli.demo.children import Child, Children

HUB_OPTIONS: Final = ("--drain", "1", "--grace", "2", "--adopt", "5", "--json")
"""Who is killed counts as dead soon."""

WORKER_OPTIONS: Final = ("--slots", "8", "--grace", "1")
"""Few slots, so that documents are shared out while they are mined and not all at once before; but the example needs 3.
"""


class DemoFleet:
    """A hub and its workers, by their numbers from 1."""

    def __init__(self, children: Children, app: Path, store: Path) -> None:
        self._children = children
        self._app = str(app)
        self._store = str(store)
        self.address = "127.0.0.1:0"
        self.hub: Child
        self.workers: dict[int, Child] = {}

    async def start_hub(self) -> None:
        """Start the hub, on the address that it had before if there was one."""
        arguments = ["hub", "--listen", self.address, "--store", self._store, *HUB_OPTIONS]
        self.hub = await self._children.start("The hub", arguments)
        self.address = json.loads(await self.hub.line())["address"]

    async def start_worker(self, number: int) -> None:
        """Start a worker."""
        arguments = ["worker", self._app, "--hub", self.address, *WORKER_OPTIONS]
        self.workers[number] = await self._children.start(f"Worker {number}", arguments)
