"""A process killed between any two steps: no call is run twice, and none is lost that had not begun.

The supervisor's side is the real one (switchboard, link, kept batches); a process is a model with each of its steps
apart: it reads a batch, begins a call (the mark), enters the handler, ends, writes a batch.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from portcall.core.calls import ClientPort, WorkerPort
from portcall.core.refusals import CANCELLED, UNAVAILABLE
from portcall.core.relaying import RelaySwitchboard
from portcall.protos.link_rules import singly
from portcall.protos.portcall.v1.link_pb2 import Cancel, Frame, HalfClose, Message, Open, Opens
from portcall.wire.link import Link
from portcall.worker.processes.keeping import KeptBatches
from portcall.worker.processes.relay import LIMITS

T = TypeVar("T")

METHOD = "/test.Service/Method"
SLOTS = 6
PICK = st.integers(0, 5)


class HubSink:
    """What goes to the hub."""

    bytes_held = 0

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        for one in singly([frame]):
            if one.HasField("end"):
                assert one.call_id not in self.ends, f"call {one.call_id} ended twice"
                self.ends[one.call_id] = one.end.status

    def send_ahead(self, frame: Frame, /) -> None:
        pass

    def drop_chunks(self, call_id: int, /) -> None:
        pass


class Process:
    """Both ends of one process."""

    def __init__(self, number: int) -> None:
        self.link, self.kept = Link(), KeptBatches()
        self.port = WorkerPort(f"process {number}", self.link, SLOTS)
        self.mark = 0
        self.down: deque[bytes] = deque()
        self.up: deque[bytes] = deque()
        """What the kernel holds of each direction."""
        self.there = Link()
        self.backlog: deque[int] = deque()
        self.begun: list[int] = []
        """Begun, and not entered yet."""
        self.running: list[int] = []
        self.names: dict[int, bytes] = {}
        self.messages: dict[int, list[bytes]] = {}
        self.halves: set[int] = set()
        self.link.establish()
        self.there.establish()


class KilledAnywhere(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.board = RelaySwitchboard(LIMITS, 0.0)
        self.hub = HubSink()
        self.port = ClientPort("hub", self.hub)
        self.id_last = 0
        self.sent: dict[int, list[bytes]] = {}
        self.open_ended: set[int] = set()
        self.cancelled: set[int] = set()
        self.entered: Counter[bytes] = Counter()
        self.was_begun: set[bytes] = set()
        self.processes: list[Process] = []
        self.killed = 0
        for _ in range(2):
            self.start()

    # --- the hub ------------------------------------------------------------------------------------------------------

    @rule(count=st.sampled_from([2, 5]))
    def open_many(self, count: int) -> None:
        call_ids = range(self.id_last + 1, self.id_last + count + 1)
        self.id_last += count
        names = [b"%d" % call_id for call_id in call_ids]
        self.sent |= {call_id: [name] for call_id, name in zip(call_ids, names, strict=True)}
        frame = Frame(opens=Opens(shared=Open(method=METHOD), call_ids=call_ids, messages=names))
        self.board.from_client(self.port, [frame], 0.0)

    @rule(count=st.sampled_from([1, 1, 4]), goes_on=st.booleans())
    def open(self, count: int, goes_on: bool) -> None:
        for _ in range(count):
            self.id_last += 1
            name = b"%d" % self.id_last
            self.sent[self.id_last] = [name]
            frame = Frame(call_id=self.id_last, open=Open(method=METHOD, message=name, half_close=not goes_on))
            if goes_on:
                self.open_ended.add(self.id_last)
            self.board.from_client(self.port, [frame], 0.0)

    @precondition(lambda self: self.open_ended)
    @rule(pick=PICK, size=st.sampled_from([3, 5_000]))
    def send_more(self, pick: int, size: int) -> None:
        call_id = self.nth(sorted(self.open_ended), pick)
        data = b"%d" % len(self.sent[call_id]) + b"x" * size
        if sum(max(64, len(message)) for message in [*self.sent[call_id], data]) > 65_536:
            return
        self.sent[call_id].append(data)
        self.board.from_client(self.port, [Frame(call_id=call_id, message=Message(data=data))], 0.0)

    @precondition(lambda self: self.open_ended)
    @rule(pick=PICK)
    def half_close(self, pick: int) -> None:
        call_id = self.nth(sorted(self.open_ended), pick)
        self.open_ended.remove(call_id)
        self.board.from_client(self.port, [Frame(call_id=call_id, half_close=HalfClose())], 0.0)

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        live = sorted(set(self.sent) - set(self.hub.ends) - self.cancelled)
        if live:
            call_id = self.nth(live, pick)
            self.cancelled.add(call_id)
            self.open_ended.discard(call_id)
            self.board.from_client(self.port, [Frame(call_id=call_id, cancel=Cancel())], 0.0)

    # --- the supervisor -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.processes)
    @rule(pick=PICK, first=st.integers(0, 6), count=st.integers(1, 7), times=st.integers(1, 3))
    def advance(self, pick: int, first: int, count: int, times: int) -> None:
        """Let a process come further by some of the steps of its round, which may end between any two of them."""
        process = self.nth(self.processes, pick)
        for step in self.steps[first : first + count]:
            for _ in range(times):
                step(process)

    @property
    def steps(self) -> list[Callable[[Process], None]]:
        """A whole round."""
        return [
            self.write_one_down,
            self.read_one_down,
            self.begin_one,
            self.enter_all,
            self.end_one,
            self.write_one_up,
            self.read_one_up,
        ]

    @staticmethod
    def nth(things: Sequence[T], number: int) -> T:
        return things[number % len(things)]

    def write_one_down(self, process: Process) -> None:
        batch = process.link.next_batch()
        if batch is not None:
            process.kept.forget(process.mark)
            process.kept.keep(batch, process.port.id_last)
            process.down.append(batch)

    def read_one_up(self, process: Process) -> None:
        process.kept.forget(process.mark)
        if process.up:
            self.board.from_worker(process.port, process.link.receive(process.up.popleft()), 0.0)

    @precondition(lambda self: len(self.processes) < 3)
    @rule()
    def start(self) -> None:
        process = Process(self.killed + len(self.processes))
        self.processes.append(process)
        self.board.add_worker(process.port, [METHOD], 0.0)

    @precondition(lambda self: self.processes)
    @rule(pick=PICK)
    def kill(self, pick: int) -> None:
        process = self.nth(self.processes, pick)
        self.processes.remove(process)
        self.killed += 1
        while process.up:  # what was written before the death arrives
            self.read_one_up(process)
        unbegun = process.link.take_unsent_calls(process.kept.unbegun_calls(process.mark))
        self.board.remove_worker(process.port, unbegun, 0.0)

    # --- a process ----------------------------------------------------------------------------------------------------

    def read_one_down(self, process: Process) -> None:
        if not process.down:
            return
        for frame in singly(process.there.receive(process.down.popleft())):
            match frame.WhichOneof("event"):
                case "open":
                    process.names[frame.call_id] = frame.open.message
                    process.messages[frame.call_id] = [frame.open.message]
                    process.backlog.append(frame.call_id)
                    if frame.open.half_close:
                        process.halves.add(frame.call_id)
                case "message":
                    process.messages[frame.call_id].append(frame.message.data)
                case "half_close" | "cancel":
                    process.halves.add(frame.call_id)

    def begin_one(self, process: Process) -> None:
        if process.backlog:
            call_id = process.backlog.popleft()
            process.mark = call_id
            process.begun.append(call_id)
            self.was_begun.add(process.names[call_id])

    def enter_all(self, process: Process) -> None:
        for call_id in process.begun:
            self.entered[process.names[call_id]] += 1
        process.running += process.begun
        process.begun = []

    def end_one(self, process: Process) -> None:
        """End the first call that has all its messages: it must have got all that were sent, in their order."""
        for call_id in process.running:
            if call_id in process.halves:
                process.running.remove(call_id)
                original = int(process.names[call_id])
                if original not in self.cancelled:
                    assert process.messages[call_id] == self.sent[original]
                process.there.end_ok(call_id, b"")
                return

    def write_one_up(self, process: Process) -> None:
        batch = process.there.next_batch()
        if batch is not None:
            process.up.append(batch)

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def no_call_is_run_twice(self) -> None:
        assert all(count == 1 for count in self.entered.values())

    @invariant()
    def only_what_had_begun_is_lost(self) -> None:
        for call_id, status in self.hub.ends.items():
            assert status in {0, CANCELLED, UNAVAILABLE}
            if status == UNAVAILABLE:
                assert b"%d" % call_id in self.was_begun or call_id in self.cancelled

    def teardown(self) -> None:
        """Let everything run to its end: every call has one."""
        if not self.processes:
            self.start()
        for call_id in sorted(self.open_ended):
            self.board.from_client(self.port, [Frame(call_id=call_id, half_close=HalfClose())], 0.0)
        for _ in range(10_000):
            if set(self.hub.ends) == set(self.sent):
                break
            for process in self.processes:
                for step in self.steps:
                    step(process)
        assert set(self.hub.ends) == set(self.sent)
        assert (self.board.calls_running, self.board.calls_waiting) == (0, 0)
        self.no_call_is_run_twice()
        self.only_what_had_begun_is_lost()


KilledAnywhere.TestCase.settings = settings(max_examples=250, stateful_step_count=60)
TestKilledAnywhere = KilledAnywhere.TestCase
