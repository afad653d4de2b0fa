"""Calls that become jobs by their metadata alone: `portcall-job-key: K` on any unary call, from any client.

To the switchboard this is a worker that takes such calls, whatever their methods. It stores each as a job, says so by
the call's initial metadata, and ends the call as the job ends. A caller that goes away leaves the job alone; the same
call with the same key finds the job again, ended or not.

The switchboard may not be called while it calls, so answers go out in the next turn of the loop, together.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

from portcall.core.calls import WorkerPort
from portcall.core.jobs.effects import Outcome, Submitted
from portcall.core.jobs.identity import id_text
from portcall.core.jobs.policy import KEEP_S_MAX
from portcall.core.jobs.ranks import PRIORITY_MAX
from portcall.core.jobs.states import ENDED
from portcall.core.jobs.submissions import Submission
from portcall.core.pools import Pool, Route
from portcall.core.refusals import CANCELLED, INVALID_ARGUMENT, NOT_FOUND, OK, explained, overload, refusal
from portcall.core.switchboard import SLOTS_MAX
from portcall.errors import PortcallError
from portcall.hub.board import Board
from portcall.hub.jobs.endings import frame_metadata, stored_metadata
from portcall.hub.jobs.failing import RETRY_DELAY_S, end_of, no_store
from portcall.hub.jobs.keeper import JobKeeper
from portcall.hub.jobs.requests import KEY_PREFIX, BadRequestError, Submissions, metadata_fault
from portcall.protos.portcall.v1.link_pb2 import End, Frame, Headers, Metadatum, Open
from portcall.protos.portcall.v1.options_pb2 import JobOverrides
from portcall.wire.messages import MessageReceiver, MessageSender, MessageTooLargeError

KEY = f"{KEY_PREFIX}key"
ID = f"{KEY_PREFIX}id"
"""Initial metadata of the answer: the job's id. It comes when the job is on the disk."""

OVERRIDES = {f"{KEY_PREFIX}attempts": "attempts", f"{KEY_PREFIX}timeout": "timeout_s", f"{KEY_PREFIX}keep": "keep_s"}
PRIORITY = f"{KEY_PREFIX}priority"
DELAY = f"{KEY_PREFIX}delay"
KEYS = (KEY, *OVERRIDES, PRIORITY, DELAY)

CALLS_MAX = 100_000
"""Such calls at once."""


class KeyedCall:
    """One call, from its open until it has ended for its caller."""

    __slots__ = ("_calls", "call_id", "end", "job", "opening", "receiver", "sender")

    def __init__(self, calls: "KeyedCalls", call_id: int, opening: Open, message_bytes_max: int) -> None:
        self._calls = calls
        self.call_id = call_id
        self.opening = opening
        self.receiver = MessageReceiver(call_id, message_bytes_max)
        self.sender: MessageSender | None = None
        self.end: End | None = None
        """How it ends when the whole reply has gone."""
        self.job: int | None = None

    def answered(self, jobs: Sequence[Submitted]) -> None:
        """Take what became of the submission."""
        self._calls.submitted(self, jobs[0])

    def ended(self, outcome: Outcome) -> None:
        """Take the end of the job."""
        self._calls.finish(self, outcome.status, outcome.details, outcome.trailers, outcome.reply)


class KeyedCalls:
    """All such calls. It is the sink of the worker's port that it has at the switchboard."""

    bytes_held = 0
    """Nothing waits here."""

    def __init__(
        self, board: Board, keeper: JobKeeper | None, submissions: Submissions | None, message_bytes_max: int
    ) -> None:
        """Keep these calls as jobs; without a keeper, refuse them, since they ask for what cannot be given."""
        self._board = board
        self._keeper = keeper
        self._submissions = submissions
        self._message_bytes_max = message_bytes_max
        self._calls: dict[int, KeyedCall] = {}
        self._reading: set[asyncio.Task[None]] = set()
        self._down: list[Frame] = []
        self.port = WorkerPort("jobs", self, SLOTS_MAX)
        self.route = Route("any")
        """What the switchboard finds the port by."""
        self.port.pool = pool = Pool((self.route,))
        pool.add(self.port)
        self.route.join(pool)

    async def close(self) -> None:
        """End what is under way within. The calls themselves end with the hub."""
        for task in self._reading:
            task.cancel()
        if self._reading:
            await asyncio.wait(self._reading)

    # --- from the switchboard -----------------------------------------------------------------------------------------

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Take a frame of the switchboard."""
        kind = frame.WhichOneof("event")
        if kind == "open":
            self._open(frame.call_id, frame.open)
            return
        call = self._calls.get(frame.call_id)
        if call is None:
            if kind == "cancel":
                self._say(Frame(call_id=frame.call_id, end=refusal(CANCELLED, "")))
            return
        if kind == "message":
            self._take_chunk(call, frame)
        elif kind == "half_close":
            self._submit(call)
        elif kind == "credit" and call.sender is not None:
            call.sender.grant(frame.credit.bytes)
            self._end_if_idle(call)
        elif kind == "cancel":
            self._end(call, refusal(CANCELLED, ""))

    def send_ahead(self, frame: Frame, /) -> None:
        """Take a frame of the switchboard."""
        self.send(frame)

    def drop_chunks(self, call_id: int, /) -> None:
        """Nothing waits here."""

    def _open(self, call_id: int, opening: Open) -> None:
        if self._keeper is None:
            self._say(Frame(call_id=call_id, end=no_store()))
            return
        if len(self._calls) >= CALLS_MAX:
            words = f"{len(self._calls):,} calls wait for their jobs already"
            self._say(Frame(call_id=call_id, end=overload(words, RETRY_DELAY_S)))
            return
        kept = Open(method=opening.method, metadata=opening.metadata)
        call = self._calls[call_id] = KeyedCall(self, call_id, kept, self._message_bytes_max)
        if opening.HasField("message"):
            call.receiver.feed(opening.message)
        if opening.half_close:
            self._submit(call)

    def _take_chunk(self, call: KeyedCall, frame: Frame) -> None:
        try:
            call.receiver.feed(frame.message.data, more=frame.message.more)
        except MessageTooLargeError as error:
            self._end(call, refusal(INVALID_ARGUMENT, str(error)))
            return
        if len(call.receiver) > 1:
            self._end(call, refusal(INVALID_ARGUMENT, "A call that becomes a job has one request"))
            return
        grant = call.receiver.grant()
        if grant is not None:
            self._say(grant)

    # --- the job ------------------------------------------------------------------------------------------------------

    def _submit(self, call: KeyedCall) -> None:
        assert self._keeper is not None
        assert self._submissions is not None
        method = call.opening.method
        try:
            if len(call.receiver) != 1:
                raise BadRequestError("A call that becomes a job has one request")
            request = call.receiver.read()
            fault = self._submissions.check(method, len(request))
            if fault is not None:
                self._end(call, refusal(fault.status, fault.details))
                return
            submission = read_submission(method, request, call.opening.metadata, self._keeper.clock())
        except PortcallError as error:
            self._end(call, end_of(error))
            return
        self._keeper.submit_with(call.answered, [submission])

    def submitted(self, call: KeyedCall, submitted: Submitted) -> None:
        """Take what became of a submission; the caller may have gone meanwhile."""
        if call.call_id not in self._calls:
            return
        if submitted.id is None:
            status, details, reason = submitted.status, submitted.details, submitted.reason
            self._end(call, explained(status, details, reason) if reason else refusal(status, details))
            return
        call.job = submitted.id
        headers = Headers(metadata=[Metadatum(key=ID, value=id_text(submitted.id).encode())])
        self._say(Frame(call_id=call.call_id, headers=headers))
        assert self._keeper is not None
        if submitted.state not in ENDED:
            self._keeper.listeners.wait_for([submitted.id], call)
            return
        task = asyncio.get_running_loop().create_task(self._read(call, submitted.id))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, call: KeyedCall, job: int) -> None:
        """End a call as its job has ended before."""
        assert self._keeper is not None
        try:
            rows = await self._keeper.store.read(lambda reader: reader.get([job]))
        except PortcallError as error:
            self._end(call, end_of(error))
            return
        if not rows:
            self._end(call, refusal(NOT_FOUND, f"job {id_text(job)} was forgotten meanwhile"))
            return
        [row] = rows
        self.finish(call, row.status or OK, row.details, row.trailers, row.reply)

    def finish(self, call: KeyedCall, status: int, details: str, trailers: bytes | None, reply: bytes | None) -> None:
        """End a call as its job has ended. Nothing happens if its caller has gone."""
        end = End(status=status, details=details, trailers=frame_metadata(trailers))
        if status or reply is None:
            if not status:
                end = refusal(INVALID_ARGUMENT, "The job has a stream of replies; read them by portcall.v1.Jobs")
            self._end(call, end)
            return
        if call.call_id not in self._calls:
            return
        sender = call.sender = MessageSender(call.call_id, self._send_down)
        if sender.can_inline(len(reply)):
            end.message = reply
            self._end(call, end)
            return
        sender.write(reply)
        call.end = end
        self._end_if_idle(call)

    def _end_if_idle(self, call: KeyedCall) -> None:
        """End a call if the last of its reply has gone."""
        if call.sender is not None and call.end is not None and call.sender.is_idle:
            self._end(call, call.end)

    # --- to the switchboard -------------------------------------------------------------------------------------------

    def _end(self, call: KeyedCall, end: End) -> None:
        if self._calls.pop(call.call_id, None) is not None:
            if call.job is not None and self._keeper is not None:
                self._keeper.listeners.forget([call.job], call)
            self._say(Frame(call_id=call.call_id, end=end))

    def _send_down(self, frame: Frame, _: int) -> None:
        self._say(frame)

    def _say(self, frame: Frame) -> None:
        if not self._down:
            asyncio.get_running_loop().call_soon(self._flush)
        self._down.append(frame)

    def _flush(self) -> None:
        frames, self._down = self._down, []
        calls = self.port.calls
        self._board.from_worker(self.port, [frame for frame in frames if frame.call_id in calls])


def read_submission(method: str, request: bytes, metadata: Sequence[Metadatum], now: float) -> Submission:
    """Return the job that a call's metadata asks for.

    Raises:
        BadRequestError: a key of it is not known, or has a value that cannot be.
    """
    said = {entry.key: entry.value.decode("utf-8", "replace") for entry in metadata if _is_ours(entry)}
    rest = [entry for entry in metadata if not _is_ours(entry)]
    unknown = [name for name in said if name not in KEYS]
    if unknown:
        raise BadRequestError(f"there is no metadata {unknown[0][:80]!r}; there are {', '.join(KEYS)}")
    overrides = JobOverrides()
    for name, field in OVERRIDES.items():
        if name in said:
            setattr(overrides, field, _number(said, name, int if field == "attempts" else float))
    key = said.get(KEY, "")
    if not key:
        raise BadRequestError(f"the metadata {KEY} is empty; it names the job, so that the same call finds it again")
    if words := metadata_fault([(entry.key, entry.value) for entry in rest]):
        raise BadRequestError(words)
    return Submission(
        method=method,
        request=request,
        key=key,
        priority=int(_number(said, PRIORITY, int, -PRIORITY_MAX, PRIORITY_MAX)),
        due_at=now + _number(said, DELAY, float),
        metadata=stored_metadata(rest),
        overrides=overrides.SerializeToString() or None,
    )


def _is_ours(entry: Metadatum) -> bool:
    return entry.key.startswith(KEY_PREFIX)


def _number(
    said: Mapping[str, str], name: str, read: Callable[[str], float], least: float = 0, most: float = KEEP_S_MAX
) -> float:
    """Return what the metadata says, 0 if nothing."""
    text = said.get(name, "0")
    try:
        number = read(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise BadRequestError(f"the metadata {name} is {text[:80]!r}; it should be a number, {least:,g} to {most:,g}")
    return number
