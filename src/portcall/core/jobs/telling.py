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
        self._telling: dict[int, Telling] = {}
        """What is to be stored at once, by job."""
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
        if attempt is not None:
            self._add_note(attempt, now, LOG, body)

    def replied(self, job: int, number: int, messages: Sequence[bytes]) -> None:
        """Take replies of a server-streaming job."""
        attempt = self._attempts.find(job, number)
        if attempt is not None:
            self._telling_of(attempt).replies += [
                Reply(job, number, offset, message) for offset, message in enumerate(messages, attempt.reply_count)
            ]
            attempt.reply_count += len(messages)

    def checkpointed(self, job: int, number: int, state: bytes, now: float) -> None:
        """Take a checkpoint."""
        attempt = self._attempts.find(job, number)
        if attempt is not None:
            self._telling_of(attempt).checkpoint = Checkpoint(job, number, now, attempt.reply_count, state)

    def take(self, ending: Iterable[Attempt], now: float) -> list[Telling]:
        """Remove and return what is to be stored now: all that was told by attempts that end with this batch too."""
        if now >= self._progress_at and self._progressing:
            for attempt in list(self._progressing.values()):
                self._flush_progress(attempt)
            self._progress_at = now + self._limits.progress_every_s
        elif self._progressing:
            for attempt in ending:
                self._flush_progress(attempt)
        tellings = list(self._telling.values())
        self._telling.clear()
        return tellings

    def put_back(self, tellings: Iterable[Telling]) -> None:
        """Take back what could not be stored."""
        for telling in tellings:
            later = self._telling_of(telling.attempt)
            later.notes[:0] = telling.notes
            later.replies[:0] = telling.replies
            later.checkpoint = later.checkpoint or telling.checkpoint

    def _flush_progress(self, attempt: Attempt) -> None:
        self._progressing.pop(attempt.job, None)
        if attempt.progress is not None:
            at, body = attempt.progress
            attempt.progress = None
            self._add_note(attempt, at, PROGRESS, body)

    def _add_note(self, attempt: Attempt, at: float, kind: int, body: bytes) -> None:
        """Give a note its number, if there is room for it."""
        if attempt.note - (attempt.number << NOTE_BITS) < self._limits.notes_max:
            attempt.note += 1
            note = Note(attempt.job, attempt.number, attempt.note, at, kind, body)
            self._telling_of(attempt).notes.append(note)

    def _telling_of(self, attempt: Attempt) -> Telling:
        telling = self._telling.get(attempt.job)
        if telling is None:
            telling = self._telling[attempt.job] = Telling(attempt)
        return telling
