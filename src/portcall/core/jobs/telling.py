"""What attempts tell while they run: progress, log lines, replies and checkpoints, on their way to the store."""

from collections.abc import Iterable, Sequence

from portcall.core.jobs.attempts import NOTE_BITS, Attempt, Attempts
from portcall.core.jobs.batch import Checkpoint, Note, Reply
from portcall.core.jobs.flight import Telling
from portcall.core.jobs.history import LOG, PROGRESS
from portcall.core.jobs.limits import JobLimits


class Tellings:
    """Gathers what attempts tell. What one tells that holds no job is dropped."""

    def __init__(self, limits: JobLimits, attempts: Attempts, now: float) -> None:
        self._limits = limits
        self._attempts = attempts
        self._telling: dict[int, Attempt] = {}
        """Those that have something to be stored at once."""
        self._progressing: dict[int, Attempt] = {}
        self._progress_at = now
        """When progress is stored next."""

    @property
    def progress_at(self) -> float | None:
        """Return when progress that has come is to be stored."""
        return self._progress_at if self._progressing else None

    def progressed(self, job: int, number: int, body: bytes, now: float) -> None:
        """Take progress; it waits for its turn, and what comes later takes its place."""
        attempt = self._attempts.find(job, number)
        if attempt is not None:
            attempt.progress = (now, body)
            self._progressing[job] = attempt

    def logged(self, job: int, number: int, body: bytes, now: float) -> None:
        """Take a line of a log."""
        attempt = self._attempts.find(job, number)
        if attempt is not None and self._add_note(attempt, now, LOG, body):
            self._telling[job] = attempt

    def replied(self, job: int, number: int, messages: Sequence[bytes]) -> None:
        """Take replies of a server-streaming job."""
        attempt = self._attempts.find(job, number)
        if attempt is not None:
            attempt.replies += [
                Reply(job, number, offset, message) for offset, message in enumerate(messages, attempt.reply_count)
            ]
            attempt.reply_count += len(messages)
            self._telling[job] = attempt

    def checkpointed(self, job: int, number: int, state: bytes, now: float) -> None:
        """Take a checkpoint."""
        attempt = self._attempts.find(job, number)
        if attempt is not None:
            attempt.checkpoint = Checkpoint(job, number, now, attempt.reply_count, state)
            self._telling[job] = attempt

    def take(self, ending: Iterable[Attempt], now: float) -> list[Telling]:
        """Remove and return what is to be stored now: all that was told by attempts that end with this batch too."""
        if now >= self._progress_at and self._progressing:
            for attempt in list(self._progressing.values()):
                self._flush_progress(attempt)
            self._progress_at = now + self._limits.progress_every_s
        elif self._progressing:
            for attempt in ending:
                self._flush_progress(attempt)
        if not self._telling:
            return []
        tellings = [
            Telling(attempt=attempt, notes=attempt.notes, replies=attempt.replies, checkpoint=attempt.checkpoint)
            for attempt in self._telling.values()
        ]
        for attempt in self._telling.values():
            attempt.notes, attempt.replies, attempt.checkpoint = [], [], None
        self._telling = {}
        return tellings

    def put_back(self, tellings: Iterable[Telling]) -> None:
        """Take back what could not be stored."""
        for telling in tellings:
            attempt = telling.attempt
            attempt.notes[:0] = telling.notes
            attempt.replies[:0] = telling.replies
            attempt.checkpoint = attempt.checkpoint or telling.checkpoint
            self._telling[attempt.job] = attempt

    def _flush_progress(self, attempt: Attempt) -> None:
        self._progressing.pop(attempt.job, None)
        if attempt.progress is not None:
            at, body = attempt.progress
            attempt.progress = None
            if self._add_note(attempt, at, PROGRESS, body):
                self._telling[attempt.job] = attempt

    def _add_note(self, attempt: Attempt, at: float, kind: int, body: bytes) -> bool:
        """Give a note its number; return whether there was room for it."""
        if attempt.note - (attempt.number << NOTE_BITS) >= self._limits.notes_max:
            return False
        attempt.note += 1
        attempt.notes.append(Note(attempt.job, attempt.number, attempt.note, at, kind, body))
        return True
