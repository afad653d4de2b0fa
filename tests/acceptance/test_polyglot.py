"""The example `polyglot`: its Node server joins a fleet, and Node's and Python's clients call it by the hub."""

import sys
from pathlib import Path

from interop.peers.tools import POLYGLOT, node_command, node_environment

from .processes import Processes

GREETER = POLYGLOT.parent / "greeter"
EVERYBODY = ["Ada", "Grace", "Edsger", "Barbara"]


async def test_example(processes: Processes, tmp_path: Path) -> None:
    upstream = f"unix:{tmp_path}/greeter.sock"
    server = await processes.spawn(*node_command(POLYGLOT / "server.js", upstream), **node_environment())
    await server.line("serving on")
    hub = await processes.hub()
    sidecar = await processes.start("attach", "--hub", hub.address, "--upstream", upstream)
    await sidecar.line("Attached to the hub")
    node = await processes.spawn(*node_command(POLYGLOT / "client.js"), **node_environment(), PORTCALL_HUB=hub.address)
    await node.wait()
    assert node.stdout == "Hello Ada, from Node\n"
    for client in ("client.py", "script.py"):
        python = await processes.spawn(sys.executable, str(GREETER / client), PORTCALL_HUB=hub.address)
        await python.wait()
        assert python.stdout == "".join(f"Hello {name}, from Node\n" for name in EVERYBODY)
    listing = await processes.start("call", "--list", "greet.Greeter", PORTCALL_HUB=hub.address)
    await listing.wait()
    assert listing.stdout == "greet.Greeter/SayHello\n"
    server.terminate()
    # It says that it is not serving before it goes; the sidecar sees one or the other first.
    await sidecar.line("(has gone|says that it is not serving); withdrawn until it is")
    assert await server.wait() == 0
