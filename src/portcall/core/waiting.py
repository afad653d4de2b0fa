"""Calls that wait for a slot, served fairly between clients.

Theory of operation. A method's calls wait in its line, each client's in their order. Each pool of workers goes round
the clients that have calls waiting for it, whichever of its methods they call (Nagle, "On Packet Switches With Infinite
Storage", RFC 970). So a client with a thousand waiting calls delays a client with one by one turn.

Tags of virtual time (start-time fair queueing) were tried and left: a client paid there for calls that had ended
unserved, until it starved, and for turns that it had had at other workers.
"""

from collections import OrderedDict

from portcall.core.calls import Call, ClientPort

Flow = OrderedDict[Call, None]
"""The waiting calls of one client in one line, in their order; never empty."""


class WaitingLine:
    """The calls that wait for one method, by client."""

    __slots__ = ("_flows", "_turns")

    def __init__(self) -> None:
        self._flows: OrderedDict[ClientPort, Flow] = OrderedDict()
        self._turns: list[Turns] = []

    def __bool__(self) -> bool:
        return bool(self._flows)

    def calls(self) -> list[Call]:
        """Return all calls in this line, client by client."""
        return [call for flow in self._flows.values() for call in flow]

    def attach(self, turns: "Turns") -> None:
        """Let these calls be taken by the turns of one more pool."""
        self._turns.append(turns)
        for client in self._flows:
            turns.enter(client, self)

    def detach(self, turns: "Turns") -> None:
        """Let these calls be taken by a pool no more that is about to go; its turns are not to be used again."""
        self._turns.remove(turns)

    def put(self, call: Call) -> None:
        """Add a call behind its client's others."""
        flow = self._flows.get(call.client)
        if flow is None:
            flow = self._flows[call.client] = OrderedDict()
            for turns in self._turns:
                turns.enter(call.client, self)
        flow[call] = None

    def put_first(self, call: Call) -> None:
        """Give a call the next turn of every pool that serves it, or will."""
        self.put(call)
        self._flows[call.client].move_to_end(call, last=False)
        self._flows.move_to_end(call.client, last=False)
        for turns in self._turns:
            turns.put_first(call.client, self)

    def take(self, client: ClientPort) -> Call:
        """Remove and return the first call of a client that has one here."""
        flow = self._flows[client]
        call, _ = flow.popitem(last=False)
        if not flow:
            self._forget(client)
        return call

    def remove(self, call: Call) -> None:
        """Take a call out that will not be served."""
        flow = self._flows[call.client]
        del flow[call]
        if not flow:
            self._forget(call.client)

    def _forget(self, client: ClientPort) -> None:
        del self._flows[client]
        for turns in self._turns:
            turns.leave(client, self)


class Turns:
    """Whom a pool serves next: the clients with calls for it, and for each of them the lines that these wait in."""

    __slots__ = ("_clients",)

    def __init__(self) -> None:
        self._clients: OrderedDict[ClientPort, OrderedDict[WaitingLine, None]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._clients)

    def enter(self, client: ClientPort, line: WaitingLine) -> None:
        """Note that a client has calls in a line; a client that had none in any gets the last turn."""
        lines = self._clients.get(client)
        if lines is None:
            lines = self._clients[client] = OrderedDict()
        lines[line] = None

    def put_first(self, client: ClientPort, line: WaitingLine) -> None:
        """Let a client that is here have the next turn, and use it for this line."""
        self._clients.move_to_end(client, last=False)
        self._clients[client].move_to_end(line, last=False)

    def leave(self, client: ClientPort, line: WaitingLine) -> None:
        """Note that a client has no calls in a line any more."""
        lines = self._clients[client]
        del lines[line]
        if not lines:
            del self._clients[client]

    def take(self) -> Call:
        """Remove and return the call that is served next; there must be one."""
        client, lines = next(iter(self._clients.items()))
        line = next(iter(lines))
        self._clients.move_to_end(client)
        lines.move_to_end(line)
        return line.take(client)
