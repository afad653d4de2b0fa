"""An attempt at a job, in the process that runs it: a call that knows its job.

How it outlives a session is none of its business: its link is a `Holding`, or the socket to the supervisor that has
one.
"""

import asyncio

import grpc

from portcall.protos.job_ids import id_text
from portcall.protos.portcall.v1.jobs_pb2 import LogLine, Progress
from portcall.protos.portcall.v1.link_pb2 import Checkpoint, End, Frame, Open
from portcall.wire.caller import ServingSink
from portcall.wire.current import CurrentJob
from portcall.worker.context import CallContext
from portcall.worker.handlers import Metadatum

ID_KEY = "portcall-job-id"
ATTEMPT_KEY = "portcall-job-attempt"
"""In the metadata that the handler sees, for code that knows gRPC alone, in any language."""


class AttemptContext(CallContext):
    """One attempt on a worker, from its open to its end."""

    _checkpoints = 0
    _checkpoints_kept = 0

    def __init__(
        self,
        call_id: int,
        opening: Open,
        request: bytes | None,
        link: ServingSink,
        calls: dict[int, CallContext],
        message_bytes_max: int,
        now: float,
        job: int,
        number: int,
    ) -> None:
        super().__init__(call_id, opening, request, link, calls, message_bytes_max, now)
        self._job, self._number = job, number
        self._loop = asyncio.get_running_loop()

    def as_current_job(self) -> CurrentJob:
        """Return the job as the handler sees it, made when it is first asked for, in whatever thread that is."""
        if self.job is None:
            attempt = self.opening.attempt
            checkpoint = attempt.checkpoint if attempt.HasField("checkpoint") else None
            job = CurrentJob(self, self._job, self._number, checkpoint, self._loop)
            # One step, so that of two threads that ask at once both get the same.
            self.__dict__.setdefault("job", job)
            assert self.job is not None
        return self.job

    def invocation_metadata(self) -> tuple[Metadatum, ...]:  # type: ignore[override]
        """Return what the submitter has sent along, and which attempt at which job this is."""
        if self._metadata is None:
            own = (Metadatum(ID_KEY, id_text(self._job)), Metadatum(ATTEMPT_KEY, str(self._number)))
            others = (entry for entry in super().invocation_metadata() if entry.key not in {ID_KEY, ATTEMPT_KEY})
            self._metadata = (*others, *own)
        return self._metadata

    def on_frame(self, frame: Frame) -> None:
        """Take a frame of this attempt that is not its open."""
        if frame.HasField("kept"):
            self._checkpoints_kept = frame.kept.checkpoints
            self._wake()
        else:
            super().on_frame(frame)

    def hand_back(self) -> None:
        """End it because this worker will not begin it."""
        end = End(
            status=grpc.StatusCode.UNAVAILABLE.value[0],
            details="Handed back unstarted",
            cause=End.CAUSE_HANDED_BACK,
        )
        self._link.send(Frame(call_id=self.call_id, end=end), 0)
        self._close()

    # --- what a job tells ---------------------------------------------------------------------------------------------

    def tell_progress(self, progress: Progress, /) -> None:
        """Tell how far it is."""
        self._tell(Frame(call_id=self.call_id, progress=progress))

    def tell_line(self, line: LogLine, /) -> None:
        """Tell a line of its log."""
        self._tell(Frame(call_id=self.call_id, log=line))

    async def checkpoint(self, state: bytes, /) -> None:
        """Tell where it is; return when that is on the hub's disk. Others wait until it is."""
        while self._checkpoints > self._checkpoints_kept:
            self._check_alive()
            await self._changed()
        self._check_alive()
        self._checkpoints += 1
        self._link.send(Frame(call_id=self.call_id, checkpoint=Checkpoint(state=state)), len(state))
        while self._checkpoints > self._checkpoints_kept:
            await self._changed()
            self._check_alive()

    def _tell(self, frame: Frame) -> None:
        if not self._is_ended:
            self._link.send(frame, frame.ByteSize())
