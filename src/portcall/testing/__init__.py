"""To test one's own code: a whole fleet in the test's process, without containers, ports or configuration.

    async def test_greets(portcall_fleet):
        await portcall_fleet.serve(add_GreeterServicer_to_server, Greeter())
        stub = GreeterStub(portcall_fleet.channel())
        job = await stub.SayHello.submit(HelloRequest(name="Ada"), delay=3600)
        portcall_fleet.clock.advance(3600)
        assert (await job).message == "Hello Ada"

Owns fleets, the clock that a test moves, and the faults that it injects. May import everything but the command line.
What needs gRPC is imported when it is asked for, because pytest imports `portcall.testing.plugin` in every run.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portcall.testing.blocking import SyncFleet
    from portcall.testing.clock import MovableClock
    from portcall.testing.fleet import Fleet, FleetWorker
    from portcall.testing.wires import Wire
else:
    _MODULES = {
        "Fleet": "portcall.testing.fleet",
        "FleetWorker": "portcall.testing.fleet",
        "MovableClock": "portcall.testing.clock",
        "SyncFleet": "portcall.testing.blocking",
        "Wire": "portcall.testing.wires",
    }

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
        return value


__all__ = ["Fleet", "FleetWorker", "MovableClock", "SyncFleet", "Wire"]
