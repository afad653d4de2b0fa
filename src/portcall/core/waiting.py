"""Calls that wait for a slot, served fairly between clients.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996) with a cost of one for each call.
A waiting call gets a tag: the virtual time at which it would start if all clients took turns. The smallest tag is
served next, and the virtual time is the tag served last. So a client with a thousand waiting calls delays a client
with one by one turn, whichever methods they call.
"""

import heapq
from collections import OrderedDict

from portcall.core.calls import Call, ClientPort


class VirtualClock:
    """The virtual time that all lines of a switchboard share."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0

    def stamp(self, call: Call) -> None:
        """Give a call its tag."""
        client = call.client
        call.tag = max(self.now, client.tag)
        client.tag = call.tag + 1


Flow = OrderedDict[Call, None]
"""The waiting calls of one client in one line, in their order. Once empty it is dead: a client that comes back gets a
new one."""


class WaitingLine:
    """The calls that wait for one method: for each client its flow, and the flows by the tag of their first call."""

    __slots__ = ("_dead", "_flows", "_heads", "_order")

    def __init__(self) -> None:
        self._flows: dict[ClientPort, Flow] = {}
        self._heads: list[tuple[int, int, Flow]] = []
        self._dead = 0
        self._order = 0

    def __bool__(self) -> bool:
        return bool(self._flows)

    def calls(self) -> list[Call]:
        """Return all calls in this line, client by client."""
        return [call for flow in self._flows.values() for call in flow]

    def first_tag(self) -> int:
        """Return the tag of the call that is served next; the line must not be empty."""
        self._settle()
        return self._heads[0][0]

    def put(self, call: Call) -> None:
        """Add a call behind its client's others."""
        flow = self._flows.get(call.client)
        if flow is None:
            flow = self._flows[call.client] = OrderedDict()
            self._order += 1
            heapq.heappush(self._heads, (call.tag, self._order, flow))
        flow[call] = None

    def put_first(self, call: Call) -> None:
        """Give a call back its place before its client's others."""
        self.put(call)
        self._flows[call.client].move_to_end(call, last=False)

    def take(self) -> Call:
        """Remove and return the call that is served next; the line must not be empty."""
        self._settle()
        _, order, flow = self._heads[0]
        call, _ = flow.popitem(last=False)
        if flow:
            heapq.heapreplace(self._heads, (next(iter(flow)).tag, order, flow))
        else:
            heapq.heappop(self._heads)
            del self._flows[call.client]
        return call

    def remove(self, call: Call) -> None:
        """Take a call out that will not be served."""
        flow = self._flows[call.client]
        del flow[call]
        if flow:
            return
        del self._flows[call.client]
        # The dead flow's head goes when it comes to the front, or here, before dead ones outnumber the others.
        self._dead += 1
        if self._dead > len(self._flows) + 8:
            self._heads = [head for head in self._heads if head[2]]
            heapq.heapify(self._heads)
            self._dead = 0

    def _settle(self) -> None:
        """Bring the first head up to date with what `remove` took away behind it."""
        heads = self._heads
        while True:
            tag, order, flow = heads[0]
            if not flow:
                heapq.heappop(heads)
                self._dead -= 1
                continue
            first = next(iter(flow)).tag
            if first == tag:
                return
            heapq.heapreplace(heads, (first, order, flow))
