"""Attempts at jobs, as calls of the switchboard: starts go out by the thousand in a frame, and ends come back so.

Theory of operation. An attempt has an entry in `_calls` from its open to its end, under the id of its call, and one in
`_workers` from when a worker has it until its end is recorded, since that is when the worker may forget it. Neither is
an object of its own: 30,000 jobs a second pass through here. What only few attempts have (a large request on its way, a
reply in chunks) is kept beside, by call.

The switchboard may not be called while it calls. So what is to be sent to it from within (credit, chunks of a request)
waits for the next turn of the loop.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from portcall.core.attempts import AttemptPort
from portcall.core.calls import WorkerPort
from portcall.core.jobs.batch import row_of
from portcall.core.jobs.effects import Recorded, Start, Stop, Told
from portcall.core.jobs.verdicts import Ending
from portcall.hub.board import Board
from portcall.hub.jobs.endings import SUCCEEDED, ending_of, frame_metadata
from portcall.protos.link_rules import FRAME_MESSAGE_BYTES_MAX, MANY_BYTES_MAX, MANY_CALLS_MAX, many_opens
from portcall.protos.portcall.v1.link_pb2 import Cancel, End, Ends, Frame, Kept, Open
from portcall.protos.portcall.v1.link_pb2 import Recorded as RecordedFrame
from portcall.wire.messages import MessageReceiver, MessageSender, MessageTooLargeError

RESOURCE_EXHAUSTED = 8


class AttemptEvents(Protocol):
    """Who hears what becomes of attempts; the keeper."""

    def attempt_ended(self, job: int, attempt: int, ending: Ending) -> None:
        """Take the end of an attempt."""

    def attempts_ended(self, ended: Sequence[tuple[int, int, Ending]]) -> None:
        """Take many."""

    def attempts_lost(self, worker: str, attempts: Sequence[tuple[int, int]], *, is_begun: bool) -> None:
        """Take it that these are over without an end: with their worker, or before they had begun."""

    def attempt_replied(self, job: int, attempt: int, message: bytes) -> None:
        """Take a reply of a server-streaming attempt; `told` answers when it is stored."""

    def attempt_told(self, job: int, attempt: int, frame: Frame) -> None:
        """Take progress, a line of a log or a checkpoint."""


class AttemptDesk:
    """The client of the switchboard that opens the attempts of all jobs. It is the sink of its own port."""

    bytes_held = 0
    """Nothing waits here."""

    def __init__(
        self, board: Board, events: AttemptEvents, is_streaming: Callable[[str], bool], message_bytes_max: int
    ) -> None:
        """Tell `events`; `is_streaming` says whether a method has a stream of replies."""
        self._board = board
        self._events = events
        self._is_streaming = is_streaming
        self._message_bytes_max = message_bytes_max
        self._ids = itertools.count(1)
        self._calls: dict[int, tuple[int, int]] = {}
        """Job and attempt, by call."""
        self._call_of: dict[int, int] = {}
        """By job."""
        self._workers: dict[int, WorkerPort] = {}
        """By job; until its attempt is recorded."""
        self._streams: set[int] = set()
        """Calls that have a stream of replies."""
        self._senders: dict[int, MessageSender] = {}
        self._receivers: dict[int, MessageReceiver] = {}
        self._checkpoints: dict[int, int] = {}
        """How many checkpoints of a call are stored."""
        self._up: list[Frame] = []
        """Frames for the switchboard, to be sent in the next turn of the loop."""
        self.port = AttemptPort("jobs", self)

    @property
    def running(self) -> int:
        """Return how many attempts are under way."""
        return len(self._calls)

    # --- from the keeper ----------------------------------------------------------------------------------------------

    def start(self, starts: Iterable[Start]) -> None:
        """Open attempts: those that differ in nothing but their requests together."""
        groups: dict[tuple[str, float | None, bytes | None], list[Start]] = {}
        for start in starts:
            _, _, method, request, metadata, timeout_s, checkpoint, replies = start
            if len(request) > FRAME_MESSAGE_BYTES_MAX or checkpoint is not None or replies:
                self._start_one(start)
                continue
            key = (method, timeout_s, metadata)
            group = groups.get(key)
            if group is None:
                groups[key] = [start]
            else:
                group.append(start)
        for group in groups.values():
            self._start_group(group)

    def stop(self, stops: Iterable[Stop]) -> None:
        """Have attempts stopped that are under way; they end as their workers say."""
        for stop in stops:
            call_id = self._call_of.get(stop.job)
            if call_id in self.port.calls and self._calls[call_id][1] == stop.attempt:
                self._board.from_client(self.port, (Frame(call_id=call_id, cancel=Cancel()),))

    def recorded(self, recorded: Iterable[Recorded]) -> None:
        """Let workers forget attempts."""
        workers = self._workers
        columns: dict[WorkerPort, tuple[list[int], list[int]]] = {}
        for job, attempt in recorded:
            worker = workers.pop(job, None)
            if worker is None:
                continue
            column = columns.get(worker)
            if column is None:
                column = columns[worker] = ([], [])
            column[0].append(job)
            column[1].append(attempt)
        for worker, (jobs, attempts) in columns.items():
            if worker.pool is not None:
                worker.send(Frame(recorded=RecordedFrame(jobs=jobs, attempts=attempts)), 12 * len(jobs))

    def told(self, told: Iterable[Told]) -> None:
        """Let workers go on whose attempts wait for what they have told to be stored."""
        for one in told:
            call_id = self._call_of.get(one.job)
            if call_id is None or self._calls[call_id][1] != one.attempt:
                continue
            if one.has_checkpoint:
                self._checkpoints[call_id] = self._checkpoints.get(call_id, 0) + 1
            if (one.has_checkpoint or one.replies) and call_id in self.port.calls:
                kept = Kept(checkpoints=self._checkpoints.get(call_id, 0), replies=one.replies)
                self._board.from_client(self.port, (Frame(call_id=call_id, kept=kept),))
            receiver = self._receivers.get(call_id)
            if receiver is not None:
                self._grant(receiver)

    def adopt(self, worker: WorkerPort, job: int, attempt: int, method: str, replies: int) -> None:
        """Let an attempt go on that a worker has brought; of two sessions that bring it, the later one has it."""
        call_id = self._call_of.get(job)
        if call_id is None:
            call_id = self._enter(job, attempt)
        self._drop(call_id)
        if self._is_streaming(method):
            self._streams.add(call_id)
        self._workers[job] = worker
        self._board.switchboard.adopt(self.port, call_id, worker, job, attempt, method=method, replies=replies)

    def expect_record(self, worker: WorkerPort, job: int) -> None:
        """Let a worker forget an attempt that has ended, once that is recorded."""
        self._workers[job] = worker

    # --- starting -----------------------------------------------------------------------------------------------------

    def _start_group(self, group: Sequence[Start]) -> None:
        """Open attempts that have all but their requests in common, as many in a frame as may be."""
        first = group[0]
        shared = self._shared(first)
        is_streaming = self._is_streaming(first.method)
        size, begun = 0, 0
        for number, start in enumerate(group):
            size += len(start.request)
            if size > MANY_BYTES_MAX or number - begun == MANY_CALLS_MAX:
                self._open_many(shared, group[begun:number], is_streaming=is_streaming)
                begun, size = number, len(start.request)
        self._open_many(shared, group[begun:], is_streaming=is_streaming)

    def _open_many(self, shared: Open, starts: Sequence[Start], *, is_streaming: bool) -> None:
        jobs = [start.job for start in starts]
        attempts = [start.attempt for start in starts]
        call_ids = list(itertools.islice(self._ids, len(starts)))
        self._calls.update(zip(call_ids, zip(jobs, attempts, strict=True), strict=True))
        self._call_of.update(zip(jobs, call_ids, strict=True))
        if is_streaming:
            self._streams.update(call_ids)
        frame = many_opens(shared, call_ids, [start.request for start in starts], jobs, attempts)
        self._board.from_client(self.port, (frame,))

    def _start_one(self, start: Start) -> None:
        """Open an attempt that has something of its own: a large request, or what an earlier attempt has left."""
        call_id = self._enter(start.job, start.attempt)
        if self._is_streaming(start.method):
            self._streams.add(call_id)
        frame = Frame(call_id=call_id, open=self._shared(start))
        attempt = frame.open.attempt
        attempt.job, attempt.number, attempt.replies = start.job, start.attempt, start.replies
        if start.checkpoint is not None:
            attempt.checkpoint = start.checkpoint
        if len(start.request) <= FRAME_MESSAGE_BYTES_MAX:
            frame.open.message, frame.open.half_close = start.request, True
            self._board.from_client(self.port, (frame,))
            return
        sender = self._senders[call_id] = MessageSender(call_id, self._send_up)
        self._board.from_client(self.port, (frame,))
        sender.write(start.request)
        sender.finish()

    def _send_up(self, frame: Frame, _: int = 0) -> None:
        if not self._up:
            asyncio.get_running_loop().call_soon(self._flush_up)
        self._up.append(frame)

    def _flush_up(self) -> None:
        frames, self._up = self._up, []
        calls = self.port.calls
        self._board.from_client(self.port, [frame for frame in frames if frame.call_id in calls])

    def _shared(self, start: Start) -> Open:
        opening = Open(method=start.method, metadata=frame_metadata(start.metadata))
        if start.timeout_s is not None:
            opening.timeout_us = max(1, int(start.timeout_s * 1e6))
        return opening

    def _enter(self, job: int, attempt: int) -> int:
        call_id = next(self._ids)
        self._calls[call_id] = (job, attempt)
        self._call_of[job] = call_id
        return call_id

    # --- from the switchboard -----------------------------------------------------------------------------------------

    def placed(self, call_id: int, worker: WorkerPort, /) -> None:
        """Note which worker has an attempt."""
        entry = self._calls.get(call_id)
        if entry is not None:
            self._workers[entry[0]] = worker

    def lost(self, call_ids: Sequence[int], worker: WorkerPort | None, /, *, is_begun: bool) -> None:
        """Note that these attempts are over without an end."""
        attempts = [entry for call_id in call_ids if (entry := self._forget(call_id)) is not None]
        for job, _ in attempts:
            self._workers.pop(job, None)
        if attempts:
            self._events.attempts_lost("" if worker is None else worker.name, attempts, is_begun=is_begun)

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Take a frame of the switchboard."""
        if not frame.call_id:
            if frame.HasField("ends"):
                self._end_many(frame.ends)
            return
        entry = self._calls.get(frame.call_id)
        if entry is None:
            return
        kind = frame.WhichOneof("event")
        if kind == "end":
            self._end(frame.call_id, frame.end)
        elif kind == "message":
            self._take_message(frame, *entry)
        elif kind == "credit":
            sender = self._senders.get(frame.call_id)
            if sender is not None:
                sender.grant(frame.credit.bytes)
        elif kind in {"progress", "log", "checkpoint"}:
            self._events.attempt_told(*entry, frame)

    def send_ahead(self, frame: Frame, /) -> None:
        """Take a frame of the switchboard."""
        self.send(frame)

    def drop_chunks(self, call_id: int, /) -> None:
        """Nothing waits here."""

    def _end_many(self, ends: Ends) -> None:
        calls, call_of, workers = self._calls, self._call_of, self._workers
        ended: list[tuple[int, int, Ending]] = []
        for call_id, message in zip(ends.call_ids, ends.messages, strict=True):
            entry = calls.pop(call_id, None)
            if entry is None:
                continue
            job, attempt = entry
            del call_of[job]
            worker = workers.get(job)
            reply: bytes | None = message
            if call_id in self._streams:
                self._events.attempt_replied(job, attempt, message)
                self._drop(call_id)
                reply = None
            name = "" if worker is None else worker.name
            ended.append((job, attempt, row_of(Ending, (SUCCEEDED, 0, "", name, reply, None, None))))
        self._events.attempts_ended(ended)

    def _end(self, call_id: int, end: End) -> None:
        job, attempt = self._calls[call_id]
        receiver, is_streaming = self._receivers.get(call_id), call_id in self._streams
        reply: bytes | None = end.message if end.HasField("message") else None
        if reply is None and receiver is not None and len(receiver):
            reply = receiver.read()
        if is_streaming and reply is not None:
            self._events.attempt_replied(job, attempt, reply)
        self._forget(call_id)
        worker = self._workers.get(job)
        name = "" if worker is None else worker.name
        self._events.attempt_ended(job, attempt, ending_of(end, reply, name, is_streaming=is_streaming))

    def _take_message(self, frame: Frame, job: int, attempt: int) -> None:
        """Take a chunk of a reply. Those of a stream are told when they are whole, and stored before credit comes."""
        call_id = frame.call_id
        receiver = self._receivers.get(call_id)
        if receiver is None:
            receiver = self._receivers[call_id] = MessageReceiver(call_id, self._message_bytes_max)
        try:
            receiver.feed(frame.message.data, more=frame.message.more)
        except MessageTooLargeError as error:
            worker = self._workers.get(job)
            self._send_up(Frame(call_id=call_id, cancel=Cancel()))
            self._forget(call_id)
            end = End(status=RESOURCE_EXHAUSTED, details=str(error))
            name = "" if worker is None else worker.name
            self._events.attempt_ended(job, attempt, ending_of(end, None, name, is_streaming=False))
            return
        if call_id in self._streams and len(receiver):
            self._events.attempt_replied(job, attempt, receiver.read())
        else:
            self._grant(receiver)

    def _grant(self, receiver: MessageReceiver) -> None:
        frame = receiver.grant()
        if frame is not None:
            self._send_up(frame)

    def _forget(self, call_id: int) -> tuple[int, int] | None:
        """Let a call go; return its job and attempt."""
        entry = self._calls.pop(call_id, None)
        if entry is not None:
            del self._call_of[entry[0]]
            self._drop(call_id)
        return entry

    def _drop(self, call_id: int) -> None:
        self._streams.discard(call_id)
        self._senders.pop(call_id, None)
        self._receivers.pop(call_id, None)
        self._checkpoints.pop(call_id, None)
