"""The switchboard: frames and clock readings in, frames out.

Theory of operation. A client's port opens calls under ids of its own choice; the switchboard gives each call to the
worker with the most free slots that serves its method, under an id of that worker's port, or lets it wait in the
method's line. From then on it passes frames through, changing nothing but the id: a frame crosses without a copy or an
object of its own. It counts the credit of both directions, so that no peer can make it hold more than it granted.

Each call ends exactly once for its client: with the worker's end, or with one that the switchboard makes (a deadline,
a lost worker, a refusal). A call that its client no longer wants still holds the worker's slot until the worker says
that it has stopped.

Everything that a peer can do wrong raises `ProtocolError`; the owner then ends that peer's link and removes its port.
"""

from collections.abc import Iterable, Mapping
from operator import lt

from portcall.core.calls import (
    ABANDONED,
    DISPATCHED,
    RUNNING,
    WAITING,
    WORKER_ENDED,
    Call,
    ClientPort,
    WorkerPort,
)
from portcall.core.limits import CallLimits
from portcall.core.lines import Lines
from portcall.core.passing import (
    check_late,
    credit_down,
    credit_up,
    half_close_up,
    headers_down,
    is_keyed,
    message_down,
    message_up,
    trim_metadata,
    trim_status,
)
from portcall.core.pools import Route
from portcall.core.refusals import (
    DEADLINE_EXCEEDED,
    lost,
    overload,
    refusal,
    turned_away,
)
from portcall.errors import ProtocolError
from portcall.protos.link_rules import (
    FRAME_COST_BYTES_MIN,
    FRAME_MESSAGE_BYTES_MAX,
    detached,
    fault_of_many,
    many_ends,
    many_opens,
    metadata_bytes,
    single_open,
)
from portcall.protos.portcall.v1.link_pb2 import Cancel, End, Ends, Frame, Opens

DEADLINE_S_MAX = 10 * 365 * 86_400.0
"""Longer timeouts are no deadlines; gRPC's clients send such for "infinite"."""

SLOTS_MAX = 1_000_000
"""Most slots of one worker."""


class Switchboard(Lines):
    """Routes the calls of one hub."""

    _names_callers = True
    """Whether workers hear who calls from here, whatever the client says."""

    def __init__(self, limits: CallLimits, now: float) -> None:
        super().__init__(limits, now)
        self.keyed: Route | None = None
        """Where calls go whose metadata makes them jobs, whatever their methods."""
        self.is_closing = False
        """Refuse new calls, because the hub is about to stop."""

    @property
    def next_tick(self) -> float | None:
        """Return when `tick` is due, or None."""
        return self._deadlines.next

    def has_worker(self, method: str) -> bool | None:
        """Return whether a worker serves this method now; None for a method that the hub does not know."""
        route = self._routes.known.get(method)
        return None if route is None else route.has_worker

    # --- ports -----------------------------------------------------------------------------------------------------

    def remove_client(self, client: ClientPort) -> None:
        """Give up all calls of a client that is gone."""
        for call in list(client.calls.values()):
            self._abandon(call, None)

    def add_worker(self, worker: WorkerPort, methods: Iterable[str], now: float) -> None:
        """Let calls of these methods go to this worker."""
        worker.methods = frozenset(methods)
        self._join(worker, now)

    def suspend_worker(self, worker: WorkerPort, now: float) -> None:
        """Send no new calls while the worker's link is down; its calls go on."""
        worker.is_suspended = True
        self._withdraw(worker, now)

    def resume_worker(self, worker: WorkerPort, now: float) -> None:
        """Let calls go to a worker again whose link is back."""
        worker.is_suspended = False
        if worker.is_taking_calls:
            self._join(worker, now)

    def drain_worker(self, worker: WorkerPort, now: float) -> None:
        """Send no new calls from now on."""
        worker.is_draining = True
        self._withdraw(worker, now)

    def remove_worker(self, worker: WorkerPort, unsent: Mapping[int, list[Frame]], now: float) -> None:
        """Take a worker out that is gone.

        Calls in `unsent`, of which nothing had left the hub, wait anew, first in their lines; all others end
        UNAVAILABLE. A call of which a byte was sent is never repeated: only its client can know whether that is safe.
        """
        self._withdraw(worker, now)
        worker.pool = None
        calls, worker.calls = worker.calls, {}
        # The newest first, since each call given back goes before those that wait.
        for worker_id, call in reversed(calls.items()):
            frames = unsent.get(worker_id)
            if call.state is not RUNNING:
                call.move(WORKER_ENDED)
            elif frames and not call.is_stopping:
                self._give_back(call, frames, now)
            else:
                self._end_running(call, Frame(call_id=call.client_id, end=lost(worker.name)), 0)
        for method in dict.fromkeys(call.method for call in calls.values() if call.state is WAITING):
            self._serve_line(self._routes.known[method], now)

    def set_slots(self, worker: WorkerPort, slots: int, now: float) -> None:
        """Change how many calls a worker takes at once."""
        change, worker.slots = slots - worker.slots, slots
        if worker.pool is None:
            worker.free += change
        else:
            worker.pool.change_free(worker, change)
            self._fill(worker, now)

    # --- frames ----------------------------------------------------------------------------------------------------

    def from_client(self, client: ClientPort, frames: Iterable[Frame], now: float) -> None:
        """Take frames of a client.

        Raises:
            ProtocolError: a frame breaks the link's rules; those before it have been taken.
        """
        calls = client.calls
        is_unread = client.sink.bytes_held > self._limits.unread_bytes_max
        for frame in frames:
            if frame.HasField("open"):  # asked first, because it is most of them
                self._open(client, frame, now, is_unread=is_unread)
                continue
            kind = frame.WhichOneof("event")
            call = calls.get(frame.call_id)
            if kind == "opens" and not frame.call_id:
                self._open_many(client, frame.opens, now, is_unread=is_unread)
            elif call is None:
                self._stray(client, frame, kind)
            elif kind == "message":
                self._pass_up(call, frame, message_up(call, frame))
            elif kind == "half_close":
                half_close_up(call)
                self._pass_up(call, frame, 0)
            elif kind == "credit":
                credit_up(call, frame)
                self._pass_up(call, frame, 0)
            elif kind == "cancel":
                self._give_up(call, None)
            else:
                self._extra_up(call, frame, kind)

    def from_worker(self, worker: WorkerPort, frames: Iterable[Frame], now: float) -> None:
        """Take frames of a worker.

        Raises:
            ProtocolError: a frame breaks the link's rules; those before it have been taken.
        """
        calls = worker.calls
        for frame in frames:
            call = calls.get(frame.call_id)
            if call is not None and frame.HasField("end"):  # asked first, because it is most of them
                self._end_from_worker(call, worker, frame, now)
                continue
            kind = frame.WhichOneof("event")
            if call is None:
                self._worker_event(worker, frame, kind, now)
            elif kind == "message":
                message_down(call, frame)
            elif kind == "headers":
                headers_down(call, frame, self._limits.metadata_bytes_max)
            elif kind == "credit":
                credit_down(call, frame)
            else:
                self._extra_down(call, frame, kind)

    def tick(self, now: float) -> None:
        """End the calls whose time is up."""
        for call in self._deadlines.pop_due(now):
            if call.state not in (WAITING, RUNNING):
                continue
            if call.deadline is not None and call.deadline <= now:
                self._give_up(call, refusal(DEADLINE_EXCEEDED, "Deadline Exceeded"))
                continue
            call.is_watched = False
            if call.state is WAITING:
                self._check_hope(call, now)

    # --- the way up: from client to worker -------------------------------------------------------------------------

    def _open(self, client: ClientPort, frame: Frame, now: float, *, is_unread: bool) -> None:
        client_id = frame.call_id
        if client_id <= client.id_last:
            raise ProtocolError(f"call {client_id} opened after call {client.id_last}: ids must rise")
        client.id_last = client_id
        opening = frame.open
        if opening.HasField("attempt"):
            self._take_attempt(client, frame, now)
            return
        size = len(opening.message)
        call = Call(client, client_id, opening.method, frame)
        if size:
            call.up_credit -= size if size > FRAME_COST_BYTES_MIN else FRAME_COST_BYTES_MIN  # noqa: FURB136
            if size > FRAME_MESSAGE_BYTES_MAX:
                raise ProtocolError(f"call {client_id} opened with {size} bytes inline, over {FRAME_MESSAGE_BYTES_MAX}")
        elif opening.HasField("message"):
            call.up_credit -= FRAME_COST_BYTES_MIN
        if opening.half_close:
            call.is_half_closed = True
        if opening.wait_for_ready:
            call.is_patient = True
        if self._names_callers:
            opening.peer = client.name
        client.calls[client_id] = call
        extra = metadata_bytes(opening.metadata) if opening.metadata else 0
        if is_unread or self.is_closing or extra > self._limits.metadata_bytes_max:
            self._turn_away(call, extra)
            return
        call.bytes_held = size + extra
        timeout_us = opening.timeout_us
        if timeout_us and timeout_us < DEADLINE_S_MAX * 1e6:
            call.deadline = now + timeout_us / 1e6
            self._wake_at(call.deadline, call)
        is_job = extra and self.keyed is not None and is_keyed(opening.metadata)
        route = self.keyed if is_job else self._routes.known.get(call.method)
        worker = route.best_worker() if route is not None else None
        if worker is None:
            self._wait(call, route, now)
            return
        assert worker.pool is not None
        worker.pool.change_free(worker, -1)
        self._assign(call, worker)

    def _open_many(self, client: ClientPort, opens: Opens, now: float, *, is_unread: bool) -> None:
        """Open calls that differ in nothing but their requests, and send those of each worker together."""
        shared, call_ids, messages = opens.shared, list(opens.call_ids), list(opens.messages)
        if fault := fault_of_many(opens):
            raise ProtocolError(fault)
        if call_ids[0] <= client.id_last or not all(map(lt, call_ids, call_ids[1:])):
            raise ProtocolError(f"calls {call_ids[0]} to {call_ids[-1]} opened after {client.id_last}: ids must rise")
        client.id_last = call_ids[-1]
        is_job = shared.metadata and self.keyed is not None and is_keyed(shared.metadata)
        if is_job or opens.jobs or opens.attempts or shared.HasField("attempt"):
            self._open_jobs(client, opens, now, is_unread=is_unread)
            return
        if self._names_callers:
            shared.peer = client.name
        shared.ClearField("message")
        method, extra = shared.method, metadata_bytes(shared.metadata)
        is_refused = is_unread or self.is_closing or extra > self._limits.metadata_bytes_max
        timeout_us = shared.timeout_us
        deadline = now + timeout_us / 1e6 if timeout_us and timeout_us < DEADLINE_S_MAX * 1e6 else None
        route = self._routes.known.get(method)
        sent: dict[WorkerPort, tuple[list[int], list[bytes]]] = {}
        for call_id, message in zip(call_ids, messages, strict=True):
            call = Call(client, call_id, method, None)
            call.is_half_closed = True
            client.calls[call_id] = call
            worker = route.best_worker() if route is not None and not is_refused else None
            if worker is None:
                call.open = single_open(shared, call_id, message)
            if is_refused:
                self._turn_away(call, extra)
                continue
            if deadline is not None:
                call.deadline = deadline
                self._wake_at(deadline, call)
            if worker is None:
                self._wait(call, route, now)
                continue
            assert worker.pool is not None
            worker.pool.change_free(worker, -1)
            self._place(call, worker)
            columns = sent.get(worker)
            if columns is None:
                columns = sent[worker] = ([], [])
            columns[0].append(call.worker_id)
            columns[1].append(message)
        for worker, (worker_ids, requests) in sent.items():
            worker.send(many_opens(shared, worker_ids, requests), sum(map(len, requests)) + extra)

    def _open_jobs(self, client: ClientPort, opens: Opens, now: float, *, is_unread: bool) -> None:
        """Open attempts at jobs; or calls that are to be jobs, one by one."""
        if opens.jobs or opens.attempts or opens.shared.HasField("attempt"):
            self._take_attempts(client, opens, now)
            return
        client.id_last = opens.call_ids[0] - 1
        for call_id, message in zip(opens.call_ids, opens.messages, strict=True):
            self._open(client, single_open(opens.shared, call_id, message), now, is_unread=is_unread)

    def _place(self, call: Call, worker: WorkerPort) -> None:
        """Enter a call with a worker whose slot was taken for it."""
        call.move(DISPATCHED)
        worker_id = worker.id_last = worker.id_last + 1
        worker.calls[worker_id] = call
        call.worker, call.worker_id = worker, worker_id
        self.calls_running += 1

    def _assign(self, call: Call, worker: WorkerPort) -> None:
        """Send a call, and what its client has sent so far, to a worker whose slot was taken for it."""
        frame = call.open
        assert frame is not None
        call.open = None
        self._place(call, worker)
        worker_id = frame.call_id = call.worker_id
        if call.held is None:
            worker.send(frame, call.bytes_held)
            return
        worker.send(frame, frame.ByteSize())
        for held in call.held:
            held.call_id = worker_id
            worker.send(held, len(held.message.data))
        call.held = None

    def _pass_up(self, call: Call, frame: Frame, size: int) -> None:
        """Send a frame on, or keep it for the worker that will come."""
        worker = call.worker
        if worker is not None:
            frame.call_id = call.worker_id
            if frame.HasField("credit"):
                worker.sink.send_ahead(frame)
            else:
                worker.send(frame, size)
            return
        cost = max(frame.ByteSize(), FRAME_COST_BYTES_MIN)
        if self.bytes_waiting + cost > self._limits.bytes_waiting_max:
            self.calls_refused += 1
            self._abandon(call, overload(self._too_many_bytes(), self._limits.retry_delay_s))
            return
        self.bytes_waiting += cost
        call.bytes_held += cost
        if call.held is None:
            call.held = []
        call.held.append(detached(frame))

    # --- the way down: from worker to client -----------------------------------------------------------------------

    def _end_from_worker(self, call: Call, worker: WorkerPort, frame: Frame, now: float) -> None:
        if call.state is RUNNING:
            end = frame.end
            size = len(end.message)
            cost = size if size > FRAME_COST_BYTES_MIN else FRAME_COST_BYTES_MIN  # noqa: FURB136
            if (cost > call.down_credit and end.HasField("message")) or size > FRAME_MESSAGE_BYTES_MAX:
                raise ProtocolError(f"call {frame.call_id}: {size} bytes sent without credit for them")
            if end.status:
                size += trim_status(end, self._limits.metadata_bytes_max)
                if end.cause and self._end_unserved(call, worker, frame, now):
                    return
            if end.trailers:
                size += trim_metadata(end.trailers, self._limits.metadata_bytes_max)
            del worker.calls[frame.call_id]
            frame.call_id = call.client_id
            self._end_running(call, frame, size)
        else:
            del worker.calls[frame.call_id]
            call.move(WORKER_ENDED)
        worker.ended += 1
        self._free_slot(worker, now)

    def _end_many(self, worker: WorkerPort, ends: Ends, now: float) -> None:
        """End calls OK, and send those of each client together."""
        if fault := fault_of_many(ends):
            raise ProtocolError(fault)
        calls = worker.calls
        sent: dict[ClientPort, tuple[list[int], list[bytes]]] = {}
        try:
            for worker_id, message in zip(ends.call_ids, ends.messages, strict=True):
                call = calls.get(worker_id)
                if call is None:
                    check_late(worker, worker_id, "an end")
                    continue
                if call.state is RUNNING:
                    if call.down_credit < max(len(message), FRAME_COST_BYTES_MIN):
                        raise ProtocolError(f"call {worker_id}: {len(message)} bytes sent without credit for them")
                    client = call.client
                    del client.calls[call.client_id]
                    self.calls_running -= 1
                    columns = sent.get(client)
                    if columns is None:
                        columns = sent[client] = ([], [])
                    columns[0].append(call.client_id)
                    columns[1].append(message)
                del calls[worker_id]
                call.move(WORKER_ENDED)
                worker.ended += 1
                self._free_slot(worker, now)
        finally:
            for client, (call_ids, replies) in sent.items():
                client.send(many_ends(call_ids, replies), sum(map(len, replies)))

    def _end_running(self, call: Call, frame: Frame, size: int) -> None:
        del call.client.calls[call.client_id]
        call.move(WORKER_ENDED)
        self.calls_running -= 1
        call.client.send(frame, size)

    def _worker_event(self, worker: WorkerPort, frame: Frame, kind: str | None, now: float) -> None:
        """Handle a frame of a worker that belongs to no call that runs, or to many."""
        if kind == "ends" and not frame.call_id:
            self._end_many(worker, frame.ends, now)
        elif kind == "slots" and not frame.call_id:
            if frame.slots.slots > SLOTS_MAX:
                raise ProtocolError(f"a worker with {frame.slots.slots} slots; at most {SLOTS_MAX} may be")
            self.set_slots(worker, frame.slots.slots, now)
        elif kind == "drain" and not frame.call_id:
            self.drain_worker(worker, now)
            worker.send(Frame(drain=frame.drain), 0)
        else:
            check_late(worker, frame.call_id, kind)

    # --- ends that the switchboard makes ---------------------------------------------------------------------------

    def _refuse(self, call: Call, end: End) -> None:
        """End a call that was neither routed nor queued."""
        self.calls_refused += 1
        del call.client.calls[call.client_id]
        call.move(ABANDONED)
        call.open = None
        call.client.send(Frame(call_id=call.client_id, end=end), end.ByteSize())

    def _turn_away(self, call: Call, metadata_size: int) -> None:
        """Refuse a call that the hub will not take, whatever its workers could."""
        self._refuse(call, turned_away(self._limits, metadata_size, is_closing=self.is_closing))

    def _abandon(self, call: Call, end: End | None) -> None:
        """End a call for its client; with `end` None the client does not want to hear of it any more."""
        del call.client.calls[call.client_id]
        if call.state is WAITING:
            route = self._routes.of(call.method)
            route.line.remove(call)
            if not route.line:
                self._routes.forget_if_strange(call.method)
            self.calls_waiting -= 1
            self.bytes_waiting -= call.bytes_held
            call.open = call.held = None
        else:
            assert call.worker is not None
            self.calls_running -= 1
            call.worker.sink.drop_chunks(call.worker_id)
            call.worker.sink.send_ahead(Frame(call_id=call.worker_id, cancel=Cancel()))
        call.move(ABANDONED)
        if end is not None:
            call.client.sink.drop_chunks(call.client_id)
            call.client.send(Frame(call_id=call.client_id, end=end), end.ByteSize())

    def _give_up(self, call: Call, end: End | None) -> None:
        """Stop a call that its client does not want any more (`end` is None), or whose deadline has passed."""
        self._abandon(call, end)

    def _stop(self, call: Call) -> None:
        """Have a running call stopped; its end is passed on when it comes. Idempotent."""
        if call.is_stopping:
            return
        call.is_stopping = True
        assert call.worker is not None
        call.worker.sink.drop_chunks(call.worker_id)
        call.worker.sink.send_ahead(Frame(call_id=call.worker_id, cancel=Cancel()))

    # --- workers that come and go ----------------------------------------------------------------------------------

    def _join(self, worker: WorkerPort, now: float) -> None:
        """Put a worker among those that serve the same methods, and give it what waits."""
        self._routes.join(worker)
        self._fill(worker, now)

    def _withdraw(self, worker: WorkerPort, now: float) -> None:
        """Let no calls go to this worker; calls left without any worker begin to wait for one."""
        for route in self._routes.withdraw(worker):
            for call in route.line.calls():
                self._limit_wait(call, now)

    # --- attempts at jobs: see `portcall.core.attempts` --------------------------------------------------------------

    def _take_attempt(self, client: ClientPort, frame: Frame, now: float) -> None:
        """Take the open of an attempt."""
        raise ProtocolError(f"call {frame.call_id}: {client.name} cannot open attempts at jobs; only a hub does")

    def _take_attempts(self, client: ClientPort, opens: Opens, now: float) -> None:
        """Take the open of many attempts."""
        raise ProtocolError(f"call {opens.call_ids[0]}: {client.name} cannot open attempts at jobs; only a hub does")

    def _stray(self, client: ClientPort, frame: Frame, kind: str | None) -> None:
        """Take a frame of a client that belongs to no call that lives."""
        check_late(client, frame.call_id, kind)

    def _extra_up(self, call: Call, frame: Frame, kind: str | None) -> None:
        """Take a frame of a client that only attempts have."""
        raise ProtocolError(f"call {call.client_id}: a client cannot send {kind or 'a frame without an event'}")

    def _extra_down(self, call: Call, frame: Frame, kind: str | None) -> None:
        """Take a frame of a worker that only attempts have."""
        raise ProtocolError(f"call {call.worker_id}: a worker cannot send {kind or 'a frame without an event'}")

    def _end_unserved(self, call: Call, worker: WorkerPort, frame: Frame, now: float) -> bool:
        """Take the end of a running attempt that has a cause; return whether it was one."""
        return False
