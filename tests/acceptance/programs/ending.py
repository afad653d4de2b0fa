"""Calls, and then ends in the way that the first argument names, with its channel open."""

import os
import signal
import sys
import threading

import grpc
from programs.cargo import Cargo, say

import portcall

way, address, gate = sys.argv[1], sys.argv[2], os.fsencode(sys.argv[3])


def interrupt_when_running() -> None:
    """Have Ctrl-C pressed once the call runs: then its handler has opened the named pipe that it reads."""

    def interrupt() -> None:
        with open(gate, "wb"):  # noqa: PTH123  # as bytes
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()


channel = portcall.sync.Channel(address)
stub = Cargo(channel)
say(stub.Echo(b"hello").decode())

match way:
    case "by reaching its end":
        pass
    case "by sys.exit":
        sys.exit(3)
    case "by an error":
        raise LookupError("as it says")
    case "with a call under way":
        call = stub.Never(b"")
        next(call)
    case "with a future under way":
        future = stub.Echo.future(b"again")
    case "with a map half read":
        replies = stub.Echo.map(iter([b"1"] * 1000))
        next(replies)
    case "with a thread that calls":
        threading.Thread(target=lambda: stub.Echo(b"last"), daemon=False).start()
    case "interrupted in a call":
        try:
            interrupt_when_running()
            stub.HoldOnce(gate)
        except KeyboardInterrupt:
            say("interrupted")
        say(stub.Echo(b"the slot is free").decode())
    case "interrupted in a stream":
        call = stub.Hold(gate)
        next(call)
        try:
            interrupt_when_running()
            next(call)
        except KeyboardInterrupt:
            say("interrupted")
        del call
        say(stub.Echo(b"the slot is free").decode())
    case "interrupted in a future":
        call = stub.HoldOnce.future(gate)
        try:
            interrupt_when_running()
            call.result()
        except KeyboardInterrupt:
            say("interrupted")
        call.cancel()
        say(stub.Echo(b"the slot is free").decode())
    case "interrupted in a map":
        try:
            interrupt_when_running()
            list(stub.HoldOnce.map([gate] * 3))
        except KeyboardInterrupt:
            say("interrupted")
        say(stub.Echo(b"the slot is free").decode())
    case "unable to reach a hub":
        lost = Cargo(portcall.sync.Channel("127.0.0.1:1"))
        waiting = lost.Echo.future(b"", wait_for_ready=True)
    case "subscribed":
        channel.subscribe(lambda state: None, try_to_connect=True)
        grpc.channel_ready_future(channel).result()
