"""Two ends of a link, joined by streams that deliver, stall and break as they like: all arrives once and in order."""

from collections import deque

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from portcall.protos.portcall.v1.link_pb2 import Frame, Message
from portcall.wire.limits import UNACKED_BYTES_MAX
from portcall.wire.link import Link, LinkState

SIZES = st.one_of(st.integers(0, 300), st.sampled_from([4_096, 30_000, 65_536]))
CALLS = st.integers(1, 4)
ENDS = st.integers(0, 1)


class End:
    """One end: what its owner sent, and what the other end's owner was given of it, by call."""

    def __init__(self) -> None:
        self.link = Link()
        self.link.establish()
        self.sent: dict[int, list[bytes]] = {}
        self.arrived: dict[int, list[bytes]] = {}
        self.on_the_way: deque[bytes] = deque()
        """Batches that have left this end on the stream of the moment."""
        self.has_stream = True


class LinkPair(RuleBasedStateMachine):
    @initialize()
    def join(self) -> None:
        self.ends = (End(), End())
        self.serial = 0

    # --- what owners do -----------------------------------------------------------------------------------------------

    @rule(end=ENDS, call=CALLS, size=SIZES, count=st.sampled_from([1, 1, 1, 20]))
    def send(self, end: int, call: int, size: int, count: int) -> None:
        for _ in range(count):
            self.serial += 1
            data = b"%8d" % self.serial + b"x" * (size - 8)
            self.ends[end].sent.setdefault(call, []).append(data)
            self.ends[end].link.send(Frame(call_id=call, message=Message(data=data)), len(data))

    # --- what streams do ----------------------------------------------------------------------------------------------

    @rule(end=ENDS, count=st.sampled_from([1, 1, 5, 100]))
    def write(self, end: int, count: int) -> None:
        side = self.ends[end]
        for _ in range(count):
            batch = side.link.next_batch() if side.has_stream else None
            if batch is None:
                return
            side.on_the_way.append(batch)

    @rule(end=ENDS, count=st.sampled_from([1, 1, 5, 100]))
    def deliver(self, end: int, count: int) -> None:
        """Let batches of this end arrive at the other, unless that has lost the stream already."""
        side, other = self.ends[end], self.ends[1 - end]
        for _ in range(min(count, len(side.on_the_way)) if other.has_stream else 0):
            for frame in other.link.receive(side.on_the_way.popleft()):
                side.arrived.setdefault(frame.call_id, []).append(frame.message.data)

    @rule(end=ENDS)
    def lose_stream(self, end: int) -> None:
        """One end notices that the stream is gone; what it had written may still be on its way, or be lost."""
        side = self.ends[end]
        if side.has_stream:
            side.has_stream = False
            side.link.suspend()
            self.ends[1 - end].on_the_way.clear()

    @precondition(lambda self: not all(end.has_stream for end in self.ends))
    @rule()
    def resume(self) -> None:
        """The dialling end comes back on a new stream, whether or not the other end has missed the old one."""
        dialler, other = self.ends
        if dialler.has_stream:
            dialler.has_stream = False
            dialler.link.suspend()
        for side in self.ends:
            side.on_the_way.clear()
        had = dialler.link.received
        told = other.link.received
        other.link.resume(had)
        dialler.link.resume(told)
        dialler.has_stream = other.has_stream = True

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def what_has_arrived_is_what_was_sent_in_order(self) -> None:
        for side in self.ends:
            for call, arrived in side.arrived.items():
                assert arrived == side.sent[call][: len(arrived)]

    @invariant()
    def the_books_are_right(self) -> None:
        for side in self.ends:
            link = side.link
            assert link.state is (LinkState.OPEN if side.has_stream else LinkState.SUSPENDED)
            assert link._unacked_bytes == sum(map(len, link._unacked))
            assert link._sent - link._acked == len(link._unacked)
            assert link._unacked_bytes <= UNACKED_BYTES_MAX + 1_000_000
            assert link.bytes_held >= 0

    def teardown(self) -> None:
        """Let everything run: then everything has arrived, and nothing is held that the other end has confirmed."""
        if not all(end.has_stream for end in self.ends):
            self.resume()
        for _ in range(10_000):
            for end in (0, 1):
                self.write(end, 100)
                self.deliver(end, 100)
            if not any(side.on_the_way or side.link._outbox for side in self.ends):
                break
        for side in self.ends:
            assert side.arrived == side.sent
            assert side.link._unacked_bytes < UNACKED_BYTES_MAX


LinkPair.TestCase.settings = settings(max_examples=25, stateful_step_count=50)
TestLinkPair = LinkPair.TestCase
