"""What must hold after every step, counted anew from what is really there."""

from typing import TYPE_CHECKING, Protocol

from portcall.core.calls import Call, CallState, ClientPort, WorkerPort
from portcall.core.pools import Pool, Route
from portcall.core.refusals import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    OK,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    UNIMPLEMENTED,
)
from portcall.protos.link_rules import FRAME_COST_BYTES_MIN, frame_cost
from portcall.wire.limits import BATCH_BYTES_MAX, WINDOW_BYTES
from portcall.wire.link import Link, LinkState
from portcall.wire.messages import MessageReceiver, MessageSender
from portcall.wire.outbox import FRAME_OVERHEAD_BYTES

from .plans import NOT_FOUND, CallRecord
from .profile import UNKNOWN_METHOD

if TYPE_CHECKING:
    from .world import World


class CallEnd(Protocol):
    """One end of a call: the caller's or the servicer's."""

    sender: MessageSender
    receiver: MessageReceiver
    record: CallRecord

    @property
    def link(self) -> Link:
        """The link that it is on."""


class Watch:
    """Looks at a world after every step."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.touched: list[CallEnd] = []
        """Ends of calls that have done something since they were last looked at."""
        self.links_moved: list[Link] = []
        """Links that have sent or received since they were last looked at."""

    def check(self) -> None:
        """Assert all that always holds, of everything that has done something since the last time."""
        for end in self.touched:
            check_messages(end.sender, end.receiver)
            check_record(end.record)
            check_link(end.link)
        self.touched.clear()
        for link in self.links_moved:
            check_link(link)
        self.links_moved.clear()
        if self._world.hub.is_up and self._world.hub.is_touched:
            self._world.hub.is_touched = False
            self._check_board()

    def check_end(self) -> None:
        """Assert all that holds once everything has come to rest."""
        for record in self._world.ledger.records.values():
            assert record.ends == 1, f"{record.key} ended {record.ends} times"
            check_outcome(record, self._world)
        self._world.hub.jobs.check_end()
        board = self._world.hub.board
        assert not board._routes.strange or self._world.schedule.now < board._settled_at

    def is_at_rest(self) -> bool:
        """Whether every call is over, for everybody."""
        board = self._world.hub.board
        return not (
            self._world.ledger.alive
            or not self._world.hub.jobs.is_at_rest
            or not self._world.hub.is_up
            or board.calls_running
            or board.calls_waiting
            or any(session.port.calls for session in self._world.hub.sessions.values())
            or any(worker.calls or worker.attempts for worker in self._world.workers)
            or any(not (worker.holding.is_empty or worker.dialer.has_left) for worker in self._world.workers)
        )

    # --- the switchboard ----------------------------------------------------------------------------------------------

    def _check_board(self) -> None:
        board, limits = self._world.hub.board, self._world.profile.limits
        for session in self._world.hub.sessions.values():
            check_link(session.link)
        ports = [session.port for session in self._world.hub.sessions.values()]
        clients = [port for port in ports if isinstance(port, ClientPort)]
        clients.append(self._world.hub.jobs.port)
        workers = [port for port in ports if isinstance(port, WorkerPort)]
        calls = [call for client in clients for call in client.calls.values()]
        for client in clients:
            for call_id, call in client.calls.items():
                assert call.client is client
                assert call.client_id == call_id <= client.id_last
        for call in calls:
            check_call(call, self._world.schedule.now)
        waiting = [call for call in calls if call.state is CallState.WAITING]
        held = sum(call.bytes_held for call in waiting)
        assert board.calls_waiting == len(waiting), "calls_waiting is wrong"
        assert board.calls_running == len(calls) - len(waiting), "calls_running is wrong"
        assert board.bytes_waiting == held, "bytes_waiting is wrong"
        given_back = self._world.hub.given_back
        assert len(waiting) <= limits.calls_waiting_max + given_back, "more calls wait than may"
        assert held <= limits.bytes_waiting_max or given_back, "waiting calls hold more than they may"
        routes = [*board._routes.known.values(), *board._routes.strange.values()]
        check_lines(routes, waiting)
        assert not set(board._routes.known) & set(board._routes.strange)
        for pool in board._routes.pools.values():
            check_pool(pool, board._routes.known)
        for worker in workers:
            self._check_worker(worker)

    def _check_worker(self, worker: WorkerPort) -> None:
        count = len(worker.calls)
        count += 0 if worker.pool is None else worker.pool.apart.count(worker)
        assert worker.free == worker.slots - count, f"{worker.name} has {count} calls in {worker.slots} slots"
        for worker_id, call in worker.calls.items():
            assert call.state in (CallState.RUNNING, CallState.CANCELLING), f"{worker.name} holds a dead call"
            assert call.worker is worker
            assert call.worker_id == worker_id <= worker.id_last
            is_client_waiting = call.client.calls.get(call.client_id) is call
            assert is_client_waiting is (call.state is CallState.RUNNING)
        assert worker.pool is not None
        assert (worker in worker.pool.workers) is worker.is_taking_calls
        if worker.is_taking_calls and worker.free > 0:
            assert not worker.pool.turns, f"calls wait though {worker.name} has a free slot"


def check_call(call: Call, now: float) -> None:
    """Assert that a call which its client waits for is in order."""
    assert call.up_credit >= 0, "a client spent more than it was granted"
    assert call.down_credit >= 0, "a worker spent more than it was granted"
    assert call.deadline is None or call.deadline >= now, "a call outlived its deadline"
    if call.state is CallState.WAITING:
        assert call.worker is None
        assert call.open is not None
        frames = [call.open, *(call.held or ())]
        assert call.bytes_held == sum(max(frame.ByteSize(), FRAME_COST_BYTES_MIN) for frame in frames)
    else:
        assert call.state is CallState.RUNNING, "a client waits for a call that is over"
        assert call.worker is not None
        assert call.worker.calls.get(call.worker_id) is call
        assert call.open is None
        assert call.held is None


def check_lines(routes: list[Route], waiting: list[Call]) -> None:
    """Assert that the lines hold the calls that wait, each once, and no other."""
    in_lines = [call for route in routes for call in route.line.calls()]
    assert len(in_lines) == len(waiting)
    assert set(in_lines) == set(waiting), "a line holds a dead call, or lacks one that waits"
    for route in routes:
        for client, flow in route.line._flows.items():
            assert flow, "a client without calls is in a line"
            assert all(call.client is client and call.method == route.method for call in flow)


def check_pool(pool: Pool, routes: dict[str, Route]) -> None:
    """Assert that a pool knows its workers, and who waits for them."""
    assert pool.workers, "a pool without workers was kept"
    assert all(worker.pool is pool and worker.is_taking_calls for worker in pool.workers)
    assert all(routes.get(route.method) is route and pool in route.pools for route in pool.routes)
    in_buckets = {(free, worker) for free, bucket in pool._buckets.items() for worker in bucket}
    others = pool.workers - {pool._best}
    assert in_buckets == {(worker.free, worker) for worker in others if worker.free > 0}
    assert pool._best is None or pool._best in pool.workers, "the best worker is one that has left"
    assert all(pool._buckets.values()), "an empty bucket was kept"
    assert max(pool._buckets, default=0) <= pool._most
    turns = {(client, line) for client, lines in pool.turns._clients.items() for line in lines}
    assert turns == {(client, route.line) for route in pool.routes for client in route.line._flows}


def check_messages(sender: MessageSender, receiver: MessageReceiver) -> None:
    """Assert that neither side of a call has gone past what it may."""
    assert sender._credit >= 0, "a sender spent more than it was granted"
    assert 0 <= receiver._outstanding <= WINDOW_BYTES, "a receiver granted more than its window"
    sizes = [frame_cost(len(message)) for message in receiver._messages]
    assert sum(sizes) <= WINDOW_BYTES + max(sizes, default=0), "more is unread than the window holds"


def check_link(link: Link) -> None:
    """Assert that the books of a link are right, and that no call has more queued than its window."""
    if link.state is LinkState.CLOSED:
        return
    assert link._unacked_bytes == sum(map(len, link._unacked))
    assert link._sent - link._acked == len(link._unacked)
    outbox = link._outbox
    turn_bytes = 0
    for turn in outbox._turns.values():
        bytes_in_turn = sum(map(len, turn))
        assert turn, "an empty turn was kept"
        assert bytes_in_turn <= WINDOW_BYTES + len(turn) * FRAME_OVERHEAD_BYTES, "more is queued than granted"
        turn_bytes += bytes_in_turn
    assert outbox._turn_bytes == turn_bytes
    assert outbox._full_bytes == sum(size for _, size in outbox._full)
    # One frame of ends, of which each call counts less than a frame does, may be among them.
    assert len(outbox._batch.frames) - 1 <= (BATCH_BYTES_MAX - outbox._room_bytes) // FRAME_OVERHEAD_BYTES


def check_record(record: CallRecord) -> None:
    """Assert that a call is nowhere twice."""
    assert record.ends <= 1, f"{record.key} ended twice"
    assert record.opens_left_client <= 1, f"{record.key} was sent to two hubs"
    assert record.opens_left_hub <= 1, f"{record.key} was sent to a second worker after it had left for the first"
    assert len(record.executions) <= 1, f"{record.key} was executed by {record.executions}"


def check_outcome(record: CallRecord, world: "World") -> None:
    """Assert that a call ended as it could, given what went wrong."""
    check_record(record)
    plan, profile, status = record.plan, world.profile, record.status
    what = f"{record.key} ended with {status} ({record.details})"
    if profile.is_calm:
        assert status == plan.status, what
    if status in (OK, NOT_FOUND):
        assert status == plan.status, what
        assert record.is_served, what
        assert len(record.executions) == 1, what
        assert plan.ends_early or record.requests_read == len(plan.requests), what
        assert status != OK or record.replies_read == len(plan.replies), f"{what}, {record.replies_read} replies read"
    elif status == DEADLINE_EXCEEDED:
        assert plan.timeout_s is not None, what
    elif status == CANCELLED:
        assert plan.cancels_after_s is not None or "client_leaves" in profile.faults, what
    elif status == RESOURCE_EXHAUSTED:
        assert profile.limits.calls_waiting_max < profile.calls_max or profile.limits.unread_bytes_max < 1 << 20, what
    elif status == UNIMPLEMENTED:
        assert plan.method == UNKNOWN_METHOD or profile.faults, what
    else:
        assert status == UNAVAILABLE, what
        assert profile.faults, what
