"""What a hub's jobs are to its switchboard, moved by hand: attempts opened, adopted and recorded as a test says."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from interop_pb2 import UnaryReply, UnaryRequest

from portcall.core.attempts import AttemptPort, release, tell_recorded
from portcall.core.calls import WorkerPort
from portcall.hub import Hub
from portcall.protos.link_rules import many_opens, singly
from portcall.protos.portcall.v1.jobs_pb2 import Progress
from portcall.protos.portcall.v1.link_pb2 import Cancel, End, Frame, JobAttempt, Kept, Open
from portcall.wire.messages import MessageReceiver

from .stage import until

SERVICE = "/interop.Interop"
UNARY = f"{SERVICE}/UnaryCall"
STREAM = f"{SERVICE}/StreamingOutputCall"

BIG = 1 << 30


@dataclass
class Attempt:
    """One attempt, as the hub knows it."""

    job: int
    number: int
    call_id: int
    replies: list[bytes] = field(default_factory=list)
    offset: int = 0
    progress: list[Progress] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    checkpoints: list[bytes] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    lost: list[bool] = field(default_factory=list)
    worker: WorkerPort | None = None

    @property
    def is_over(self) -> bool:
        return bool(self.ends or self.lost)

    @property
    def body(self) -> bytes:
        """The body of a unary reply."""
        (end,) = self.ends
        assert end.status == 0, end.details
        message = end.message if end.HasField("message") else self.replies[0]
        return UnaryReply.FromString(message).body


class JobsByHand:
    """The port of a hub's attempts."""

    bytes_held = 0

    def __init__(self, hub: Hub, *, adopts: bool = True) -> None:
        self.board = hub._board
        self.board.on_held = self._on_held
        self.port = AttemptPort("jobs", self)
        self.adopts = adopts
        self.attempts: dict[int, Attempt] = {}
        """By call."""
        self.held: list[tuple[int, int]] = []
        """What workers said that they hold, in all."""
        self.known: dict[tuple[int, int], int] = {}
        """How many replies the hub has kept of attempts that it adopts."""
        self._receivers: dict[int, MessageReceiver] = {}
        self._ids = count(1)
        self._jobs = count(1_000)

    # --- what a test does ---------------------------------------------------------------------------------------------

    def open(
        self,
        method: str = UNARY,
        body: bytes = b"",
        *,
        request: bytes | None = None,
        job: int | None = None,
        number: int = 1,
        timeout_s: float = 0.0,
        checkpoint: bytes | None = None,
        replies: int = 0,
    ) -> Attempt:
        job = next(self._jobs) if job is None else job
        attempt = self._note(job, number)
        attempt.offset = replies
        opening = Open(
            method=method,
            message=UnaryRequest(body=body).SerializeToString() if request is None else request,
            half_close=True,
            timeout_us=int(timeout_s * 1e6),
            attempt=JobAttempt(job=job, number=number, checkpoint=checkpoint, replies=replies),
        )
        self._send(Frame(call_id=attempt.call_id, open=opening))
        return attempt

    def open_many(self, bodies: Sequence[bytes], method: str = UNARY) -> list[Attempt]:
        attempts = [self._note(next(self._jobs), 1) for _ in bodies]
        requests = [UnaryRequest(body=body).SerializeToString() for body in bodies]
        ids, jobs = [one.call_id for one in attempts], [one.job for one in attempts]
        self._send(many_opens(Open(method=method), ids, requests, jobs, [1] * len(jobs)))
        return attempts

    def cancel(self, attempt: Attempt) -> None:
        self._send(Frame(call_id=attempt.call_id, cancel=Cancel()))

    def keep(self, attempt: Attempt, *, replies: int | None = None) -> None:
        """Say that what has come of it is on the disk."""
        kept = attempt.offset + len(attempt.replies) if replies is None else replies
        self._send(Frame(call_id=attempt.call_id, kept=Kept(checkpoints=len(attempt.checkpoints), replies=kept)))

    def record(self, *attempts: Attempt) -> None:
        for attempt in attempts:
            assert attempt.worker is not None
            tell_recorded(attempt.worker, [(attempt.job, attempt.number)])

    def by_job(self, job: int) -> Attempt:
        """The attempt at a job that was opened or adopted last."""
        return [attempt for attempt in self.attempts.values() if attempt.job == job][-1]

    async def when_over(self, *attempts: Attempt) -> None:
        await until(lambda: all(attempt.is_over for attempt in attempts))

    async def when_held(self, count: int = 1) -> None:
        await until(lambda: len(self.held) >= count)

    # --- what the switchboard tells -----------------------------------------------------------------------------------

    def placed(self, call_id: int, worker: WorkerPort, /) -> None:
        self.attempts[call_id].worker = worker

    def lost(self, call_ids: Sequence[int], worker: WorkerPort | None, /, *, is_begun: bool) -> None:
        for call_id in call_ids:
            assert not self.attempts[call_id].is_over, "an attempt was lost that was over"
            self.attempts[call_id].lost.append(is_begun)

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        for one in singly([frame]):
            self._take(self.attempts[one.call_id], one)

    def send_ahead(self, frame: Frame, /) -> None:
        raise AssertionError("nothing is to be granted to these requests")

    def drop_chunks(self, call_id: int, /) -> None:
        raise AssertionError("the switchboard ends no attempt by itself")

    # --- within -------------------------------------------------------------------------------------------------------

    def _on_held(self, worker: WorkerPort, attempts: Sequence[tuple[int, int]]) -> None:
        for job, number in attempts:
            if not self.adopts:
                release(worker, [(job, number)])
                continue
            attempt = self._note(job, number)
            attempt.worker, attempt.offset = worker, self.known.get((job, number), 0)
            self.board.switchboard.adopt(self.port, attempt.call_id, worker, job, number, replies=attempt.offset)
        self.held += attempts

    def _note(self, job: int, number: int) -> Attempt:
        call_id = next(self._ids)
        attempt = self.attempts[call_id] = Attempt(job, number, call_id)
        self._receivers[call_id] = MessageReceiver(call_id, BIG)
        return attempt

    def _take(self, attempt: Attempt, frame: Frame) -> None:
        assert not attempt.is_over, f"job {attempt.job} was told after its end: {frame}"
        kind = frame.WhichOneof("event")
        if kind == "message":
            receiver = self._receivers[attempt.call_id]
            receiver.feed(frame.message.data, more=frame.message.more)
            while len(receiver):
                attempt.replies.append(receiver.read())
            grant = receiver.grant()
            if grant is not None:
                asyncio.get_running_loop().call_soon(self._send, grant)
        elif kind == "end":
            attempt.ends.append(End.FromString(frame.end.SerializeToString()))
        elif kind == "progress":
            attempt.progress.append(Progress.FromString(frame.progress.SerializeToString()))
        elif kind == "log":
            attempt.lines.append(frame.log.text)
        elif kind == "checkpoint":
            attempt.checkpoints.append(frame.checkpoint.state)

    def _send(self, frame: Frame) -> None:
        if frame.HasField("credit"):
            assert frame.credit.bytes <= BIG
            if self.attempts[frame.call_id].is_over:
                return
        self.board.from_client(self.port, [frame])
