"""The attempts that a worker holds: between the link of the moment, which may go, and what runs them, which goes on.

Theory of operation. An attempt has two ids: that of its call on the link, which is another one after each new session,
and one that it keeps here, by which it is known to what runs it. What runs it has this class for a link, and notices
nothing of sessions: its frames are passed on if there is a call to pass them on to, and what the hub must not miss is
kept here until the hub says that it is on its disk: replies until `Kept`, checkpoints until `Kept` (beyond the end of
an attempt that another one may follow), the end until `Recorded`. What is merely good to know, progress and lines of a
log, is kept while there is no hub to hear it. A later session begins with all attempts of the earlier ones detached;
the hub adopts each or releases it.

Sans-I/O. What is kept is bounded: replies by the credit that an attempt is granted here (a window of `WINDOW_BYTES`),
one checkpoint and the latest progress each, lines by `notes.LINES_MAX` and `notes.LINES_BYTES_MAX`, and ends by
`ENDS_BYTES_MAX`.
"""

from collections.abc import Callable, Iterable, Sequence

from portcall.core.calls import WorkerPort
from portcall.core.refusals import CANCELLED, OK, UNAVAILABLE, refusal
from portcall.errors import ProtocolError
from portcall.protos.link_rules import many_opens, metadata_bytes
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Checkpoint,
    End,
    Frame,
    HeldAttempt,
    JobAttempt,
    Kept,
    Opens,
)
from portcall.wire.limits import TURN_BYTES_MIN
from portcall.wire.link import Link
from portcall.worker.notes import KeptNotes, Room
from portcall.worker.replies import KeptReplies

ENDS_BYTES_MAX = 67_108_864
"""Bytes of ends that wait to be recorded. Past it the oldest are forgotten, but for the last: a hub that is lost before
it has recorded them runs these attempts again."""

END_OVERHEAD_BYTES = 512
"""What an end is taken to cost beside its message."""

Run = Callable[[Sequence[Frame]], None]
"""Gives frames of attempts, under the ids that these have here, to what runs them."""


class Held:
    """One attempt, from its open until its end is recorded."""

    # What most attempts never use is a class attribute until it is set: making one of these is a part of its cost.
    offset = 0
    """How many replies of earlier attempts stay."""
    is_whole = True
    """Whether the whole request has come."""
    is_cancelled = False
    """Whether the hub wants it to stop."""
    stop_words = ""
    """Why this worker wants it to stop, if it does."""
    replies: KeptReplies | None = None
    """Replies of a stream, or one that is too large for its end."""
    checkpoint: bytes | None = None
    """The one that is not kept."""
    checkpoint_at = 0
    """How many replies come before it."""
    checkpoints = 0
    """How many what runs it has told."""
    checkpoints_sent = 0
    """How many have gone to the call of the moment."""
    is_checkpoint_sent = False
    """Whether the one that is not kept has."""
    notes: KeptNotes | None = None
    reply: bytes | None = None
    end: End | None = None
    """It is over if one of these is set; OK if it is `reply`."""
    is_told = False
    """Whether the end has gone to the call of the moment."""
    cost = END_OVERHEAD_BYTES
    """What it counts for among the ends, once it is over."""

    def __init__(self, id_: int, call_id: int, job: int, number: int) -> None:
        self.id = id_
        self.call_id = call_id
        """Its call on the link; 0 while there is none."""
        self.job = job
        self.number = number


class Holding:
    """All attempts of a worker. For what runs them it is the link: a `FrameSink`, and a sink for attempts."""

    bytes_held = 0

    def __init__(self, run: Run) -> None:
        self._run = run
        self._link: Link | None = None
        self._id_last = 0
        self._running: dict[int, Held] = {}
        """By the id that they have here."""
        self._by_job: dict[int, Held] = {}
        """Those that run, by their job."""
        self._over: dict[int, Held] = {}
        """Those that are over and not recorded, the oldest first, by their job."""
        self._over_bytes = 0
        self._notes_room = Room()
        self._by_call: dict[int, Held] = {}
        self._leaving_words = ""
        self.on_empty: Callable[[], None] | None = None
        """Called once when nothing is held any more."""

    # --- for the worker -----------------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not (self._running or self._over)

    def named(self) -> list[HeldAttempt]:
        """Return what a hello has to name."""
        held = [*self._over.values(), *self._running.values()]
        return [HeldAttempt(job=one.job, number=one.number) for one in held]

    def attach(self, link: Link) -> None:
        """Begin a new session; until the hub adopts them, earlier attempts belong to no call of it."""
        self.detach()
        self._link = link

    def detach(self) -> None:
        """Go on without a session. Idempotent."""
        self._link = None
        for held in self._by_call.values():
            held.call_id, held.is_told, held.is_checkpoint_sent = 0, False, False
            if held.replies is not None:
                held.replies.detach()
        cut_off = [held for held in self._by_call.values() if not held.is_whole]
        self._by_call = {}
        for held in cut_off:
            # The rest of its request will not come, so it cannot have begun anything.
            self._release(held)

    def stopping(self, ids: Iterable[int], words: str) -> None:
        """Note that this worker stops these attempts: they end UNAVAILABLE, for this reason."""
        for id_ in ids:
            held = self._running.get(id_)
            if held is not None:
                held.stop_words = words

    def leave(self, words: str) -> None:
        """Note that this worker stops whatever still runs, for this reason; see `stopping`."""
        self._leaving_words = words

    def give_up(self) -> None:
        """End what still runs although the worker is about to be gone."""
        for held in list(self._running.values()):
            self._finish(held, refusal(UNAVAILABLE, self._leaving_words))

    # --- what the hub sends -------------------------------------------------------------------------------------------

    def take_open(self, frame: Frame, /) -> None:
        """Take the open of an attempt, or the word that one goes on.

        Raises:
            ProtocolError: it is held already.
        """
        opening, call_id = frame.open, frame.call_id
        attempt = opening.attempt
        if attempt.is_adopted:
            self._adopt(call_id, attempt)
            return
        held = self._hold(call_id, attempt.job, attempt.number)
        held.offset, held.is_whole = attempt.replies, opening.half_close
        frame.call_id = held.id
        self._run((frame,))

    def take_opens(self, opens: Opens, /) -> None:
        """Take the open of many attempts; see `take_open`."""
        columns = zip(opens.call_ids, opens.jobs, opens.attempts, strict=True)
        ids = [self._hold(call_id, job, number).id for call_id, job, number in columns]
        self._run((many_opens(opens.shared, ids, opens.messages, opens.jobs, opens.attempts),))

    def take(self, frame: Frame, /) -> bool:
        """Take a frame that is no open; return whether it was for an attempt.

        Raises:
            ProtocolError: a hub cannot send it.
        """
        kind = frame.WhichOneof("event")
        if not frame.call_id:
            if kind == "recorded":
                self._take_recorded(frame.recorded.jobs, frame.recorded.attempts)
            elif kind == "release":
                for one in frame.release.attempts:
                    self._release_named(one.job, one.number)
            else:
                return False
            return True
        held = self._by_call.get(frame.call_id)
        if held is None:
            return False
        self._take_for(held, frame, kind)
        return True

    def _take_for(self, held: Held, frame: Frame, kind: str | None) -> None:
        if kind == "credit":
            self._replies(held).grant(frame.credit.bytes)
            self._deliver(held)
        elif kind == "kept":
            self._take_kept(held, frame.kept)
        elif kind in {"cancel", "message", "half_close"}:
            held.is_cancelled |= kind == "cancel"
            held.is_whole |= kind == "half_close"
            if held.id in self._running:
                frame.call_id = held.id
                self._run((frame,))
        else:
            raise ProtocolError(f"call {frame.call_id}: a hub cannot send {kind or 'a frame without an event'}")

    def _hold(self, call_id: int, job: int, number: int) -> Held:
        before = self._by_job.get(job) or self._over.get(job)
        if before is not None:
            if before.number >= number:
                raise ProtocolError(f"call {call_id}: attempt {number} opened where {before.number} is held")
            self._release(before)
        id_ = self._id_last = self._id_last + 1
        held = self._running[id_] = self._by_job[job] = self._by_call[call_id] = Held(id_, call_id, job, number)
        return held

    def _adopt(self, call_id: int, attempt: JobAttempt) -> None:
        held = self._by_job.get(attempt.job) or self._over.get(attempt.job)
        is_known = held is not None and held.number == attempt.number and not held.call_id
        if held is None or not is_known or (held.replies is not None and held.replies.kept > attempt.replies):
            assert self._link is not None
            end = refusal(UNAVAILABLE, "This worker does not hold the attempt any more")
            end.cause = End.CAUSE_DIED
            self._link.send(Frame(call_id=call_id, end=end), 0)
            return
        held.call_id, held.checkpoints_sent = call_id, 0
        self._by_call[call_id] = held
        if held.replies is not None:
            assert self._link is not None
            held.replies.attach(call_id, self._link.send, attempt.replies)
        if held.notes is not None:
            for frame in held.notes.frames(call_id):
                self._pass(held, frame, frame.ByteSize())
        # The hub may have kept replies of which it could not tell any more.
        self._grant(held)
        self._deliver(held)

    def _take_recorded(self, jobs: Sequence[int], numbers: Sequence[int]) -> None:
        over = self._over
        for job, number in zip(jobs, numbers, strict=False):
            held = over.get(job)
            if held is not None and held.number == number:
                self._forget_end(held)
        self._note_empty()

    def _take_kept(self, held: Held, kept: Kept) -> None:
        if held.is_checkpoint_sent and kept.checkpoints >= held.checkpoints_sent:
            held.checkpoint, held.is_checkpoint_sent = None, False
            if held.id in self._running:
                self._run((Frame(call_id=held.id, kept=Kept(checkpoints=held.checkpoints)),))
        if held.replies is not None:
            held.replies.keep(kept.replies)
            self._grant(held)
        self._deliver(held)

    def _release_named(self, job: int, number: int) -> None:
        held = self._by_job.get(job) or self._over.get(job)
        if held is not None and held.number == number:
            self._release(held)
            self._note_empty()

    def _release(self, held: Held) -> None:
        """Stop an attempt and forget it; what it still says is for nobody."""
        if self._running.pop(held.id, None) is None:
            self._forget_end(held)
            return
        del self._by_job[held.job]
        self._by_call.pop(held.call_id, None)
        _close_notes(held)
        self._run((Frame(call_id=held.id, cancel=Cancel()),))

    def _forget_end(self, held: Held) -> None:
        del self._over[held.job]
        self._by_call.pop(held.call_id, None)
        self._over_bytes -= held.cost
        _close_notes(held)

    # --- what is said by what runs them -------------------------------------------------------------------------------

    def end_ok(self, id_: int, message: bytes, /) -> None:
        """Take the end of an attempt that has sent nothing before it: OK, with a small reply."""
        held = self._running.pop(id_, None)
        if held is None:
            return
        del self._by_job[held.job]
        held.reply = message
        if held.call_id:
            assert self._link is not None
            self._link.end_ok(held.call_id, message)
            held.is_told = True
        held.cost += len(message)
        self._keep_end(held)

    def send(self, frame: Frame, message_bytes: int = 0, /) -> None:
        """Take a frame of an attempt, or the ends of many."""
        if frame.HasField("ends"):
            for id_, message in zip(frame.ends.call_ids, frame.ends.messages, strict=True):
                self.end_ok(id_, message)
            return
        held = self._running.get(frame.call_id)
        if held is None:
            return
        kind = frame.WhichOneof("event")
        if kind == "end":
            self._finish(held, frame.end)
        elif kind == "message":
            self._replies(held).feed(frame.message)
            self._grant(held)
            self._deliver(held)
        elif kind == "checkpoint":
            held.checkpoint, held.is_checkpoint_sent = frame.checkpoint.state, False
            held.checkpoint_at = held.offset if held.replies is None else held.replies.count
            held.checkpoints += 1
            self._deliver(held)
        elif kind in {"progress", "log"}:
            self._take_note(held, frame, message_bytes)

    def send_ahead(self, frame: Frame, /) -> None:
        """Take a grant for the request of an attempt."""
        held = self._running.get(frame.call_id)
        if held is not None and held.call_id:
            assert self._link is not None
            frame.call_id = held.call_id
            self._link.send_ahead(frame)

    def drop_chunks(self, id_: int, /) -> None:
        """Do nothing: of what has come here, only an unfinished message is forgotten, with the attempt's end."""

    def placed(self, id_: int, worker: WorkerPort, /) -> None:
        """Do nothing: see `AttemptSink`."""

    def lost(self, ids: Sequence[int], worker: WorkerPort | None, /, *, is_begun: bool) -> None:
        """End attempts whose process is gone, or that have not begun."""
        name = "The worker" if worker is None else worker.name
        for id_ in ids:
            held = self._running.get(id_)
            if held is None:
                continue
            words = f"{name} was lost while it ran this job" if is_begun else "Handed back unstarted"
            end = refusal(UNAVAILABLE, words)
            end.cause = End.CAUSE_DIED if is_begun else End.CAUSE_HANDED_BACK
            self._finish(held, end)

    def _take_note(self, held: Held, frame: Frame, message_bytes: int) -> None:
        """Pass progress or a line on, and keep what a later session has to hear."""
        notes = held.notes = held.notes or KeptNotes(self._notes_room)
        if frame.HasField("progress"):
            notes.put_progress(frame.progress)
        elif not held.call_id:
            notes.put_line(frame.log)
        if held.call_id:
            self._pass(held, frame, message_bytes)

    def _pass(self, held: Held, frame: Frame, message_bytes: int) -> None:
        assert self._link is not None
        frame.call_id = held.call_id
        self._link.send(frame, message_bytes)

    def _finish(self, held: Held, end: End) -> None:
        """Keep the end of an attempt, and tell it."""
        del self._running[held.id], self._by_job[held.job]
        held.end = End()
        held.end.CopyFrom(end)
        words = held.stop_words or self._leaving_words
        if end.status == CANCELLED and words and not held.is_cancelled:
            held.end.status, held.end.details = UNAVAILABLE, words
        if end.status == OK:
            held.checkpoint, held.is_checkpoint_sent = None, False
        held.cost += held.end.ByteSize() + (0 if held.replies is None else held.replies.bytes_held)
        held.cost += len(held.checkpoint or b"")
        self._deliver(held)
        self._keep_end(held)

    def _keep_end(self, held: Held) -> None:
        self._over[held.job] = held
        self._over_bytes += held.cost
        while self._over_bytes > ENDS_BYTES_MAX and len(self._over) > 1:
            self._forget_end(next(iter(self._over.values())))

    # --- what goes to the hub -----------------------------------------------------------------------------------------

    def _replies(self, held: Held) -> KeptReplies:
        if held.replies is None:
            held.replies = KeptReplies(held.id, held.offset)
            if held.call_id:
                assert self._link is not None
                held.replies.attach(held.call_id, self._link.send, held.offset)
        return held.replies

    def _grant(self, held: Held) -> None:
        """Let an attempt that runs send more, if there is room."""
        if held.replies is not None and held.id in self._running:
            grant = held.replies.grant_to_runner()
            if grant is not None:
                self._run((grant,))

    def _deliver(self, held: Held) -> None:
        """Send what the hub has not got and may have now, in its order: replies, a checkpoint among them, the end."""
        link = self._link
        if not held.call_id or held.is_told or link is None:
            return
        if held.checkpoint is not None and not held.is_checkpoint_sent:
            if held.replies is not None and not held.replies.send_up_to(held.checkpoint_at):
                return
            held.checkpoints_sent, held.is_checkpoint_sent = held.checkpoints_sent + 1, True
            frame = Frame(call_id=held.call_id, checkpoint=Checkpoint(state=held.checkpoint))
            link.send(frame, len(held.checkpoint))
        if held.replies is not None and not held.replies.send_up_to(None):
            return
        if held.reply is not None:
            held.is_told = True
            if held.replies is None and len(held.reply) < TURN_BYTES_MIN:
                link.end_ok(held.call_id, held.reply)
            else:
                link.send(Frame(call_id=held.call_id, end=End(message=held.reply)), len(held.reply))
        elif held.end is not None:
            held.is_told = True
            size = len(held.end.message) + metadata_bytes(held.end.trailers)
            link.send(Frame(call_id=held.call_id, end=held.end), size)

    def _note_empty(self) -> None:
        if self.on_empty is not None and self.is_empty:
            on_empty, self.on_empty = self.on_empty, None
            on_empty()


def _close_notes(held: Held) -> None:
    if held.notes is not None:
        held.notes.close()
